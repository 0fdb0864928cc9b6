# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch arguments and launched nodes from the parameter tables, for the files in launch/."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, List  # noqa: UP035 - launch does not know list[str]

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch.utilities.type_utils import coerce_to_type
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from uncloning_ros.nodes.parameters import NODES, USE_SIM_TIME, Parameter


class _Given(LaunchConfiguration):
    """The value of an argument; launch's own errors would not name the argument."""

    def __init__(self, name: str, row: Parameter) -> None:
        super().__init__(name)
        self._row = replace(row, name=name)

    def perform(self, context: Any) -> str:
        """Return the text; raise `ContractError` if launch cannot read the parameter from it."""
        text: str = super().perform(context)
        try:
            coerce_to_type(text, _type(self._row))
        except ValueError:
            self._row.check_type(text)
            raise
        return text


def argument(node: str, parameter: str, name: str = '', **options: Any) -> DeclareLaunchArgument:
    """Declare a launch argument with default and description of a node's parameter.

    `name` is that of the argument, if it is another one. `options` replace default and
    description; with `default_value=None` the argument is required.
    """
    row = _row(node, parameter)
    described = {'default_value': row.default_text, 'description': row.meaning}
    return DeclareLaunchArgument(name or parameter, **described | options)


def node(name: str, *parameters: str, renamed: Mapping[str, str] | None = None,
         fixed: Mapping[str, Any] | None = None, **options: Any) -> Node:
    """Start a node; its `parameters` come from the launch arguments of the same names.

    `renamed` maps a parameter to an argument of another name, `fixed` to a value. `options` are
    those of `launch_ros.actions.Node`.
    """
    sources = dict(zip(parameters, parameters, strict=True)) | dict(renamed or {})
    values = {parameter: ParameterValue(_Given(source, row := _row(name, parameter)),
                                        value_type=_type(row))
              for parameter, source in sources.items()}
    return Node(package='uncloning_ros', executable=name, name=name, output='screen',
                parameters=[values | dict(fixed or {})], **options)


def _row(node: str, parameter: str) -> Parameter:
    return {row.name: row for row in (*NODES[node], USE_SIM_TIME)}[parameter]


def _type(row: Parameter) -> Any:
    return List[str] if isinstance(row.default, list) else type(row.default)  # noqa: UP006
