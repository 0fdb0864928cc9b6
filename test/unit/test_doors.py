# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The doors of the house that stay shut. The layers themselves are listed in pyproject.toml."""

import copy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import grimp
import pytest
from importlinter import cli as importlinter

from uncloning_ros.extras import FROM_EXTRAS

REPOSITORY = Path(__file__).resolve().parents[2]

ROS = ('rclpy', 'rcl_interfaces', 'builtin_interfaces', 'action_msgs', 'diagnostic_msgs',
       'geometry_msgs', 'lifecycle_msgs', 'nav_msgs', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs',
       'std_srvs', 'tf2_ros', 'trajectory_msgs', 'visualization_msgs', 'launch', 'launch_ros',
       'ament_index_python')
PYBULLET = ('pybullet', 'pybullet_data', 'pybullet_utils')

# Whether the extra lerobot is installed, as `make venv` does it.
LEROBOT = find_spec('pyarrow') is not None and find_spec('av') is not None

# Who alone may import what, directly.
DOORS = {
    **dict.fromkeys(ROS, ('uncloning_ros.nodes',)),
    **dict.fromkeys(PYBULLET, ('uncloning_ros.simulation.pybullet',)),
    'torch': ('uncloning_ros.learning',),
    'onnx': ('uncloning_ros.learning',),
    'tensorboard': ('uncloning_ros.learning',),
    'pyarrow': ('uncloning_ros.demos.lerobot',),
    'av': ('uncloning_ros.demos.lerobot',),
    'ray': ('uncloning_ros.audit.cluster.ray_cluster',),
    'onnxruntime': ('uncloning_ros.runtime.inference',),
}

# What the policy node must not reach, however indirectly.
SHUT_TO_POLICY = ('torch', 'onnx', *PYBULLET, 'uncloning_ros.simulation', 'uncloning_ros.learning',
                  'uncloning_ros.audit', 'uncloning_ros.attack', 'uncloning_ros.trials',
                  'uncloning_ros.preferences', 'uncloning_ros.cli')


@pytest.fixture(scope='module')
def graph() -> grimp.ImportGraph:
    return grimp.build_graph('uncloning_ros', include_external_packages=True, cache_dir=None)


def open_doors(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Return every (importer, imported) that DOORS does not allow."""
    return {(importer, package)
            for package, rooms in DOORS.items() if package in graph.modules
            for importer in graph.find_modules_that_directly_import(package)
            if not any(importer == room or importer.startswith(f'{room}.') for room in rooms)}


def reached(graph: grimp.ImportGraph, module: str) -> set[str]:
    """Return every module and package in the transitive import graph of `module`."""
    return {'.'.join(name.split('.')[:2]) if name.startswith('uncloning_ros.') else name
            for name in graph.find_upstream_modules(module)}


def test_layers_import_leftwards_only() -> None:
    status = importlinter.lint_imports(config_filename=str(REPOSITORY / 'pyproject.toml'),
                                       no_cache=True)
    assert status == importlinter.EXIT_STATUS_SUCCESS


def test_heavy_packages_are_imported_in_their_own_room_alone(graph: grimp.ImportGraph) -> None:
    assert open_doors(graph) == set()


def test_the_engine_is_known_to_the_opener_of_worlds_alone(graph: grimp.ImportGraph) -> None:
    engine = 'uncloning_ros.simulation.pybullet'
    inside = {engine, *graph.find_descendants(engine)}
    outside = {importer for module in inside
               for importer in graph.find_modules_that_directly_import(module)} - inside
    assert outside == {'uncloning_ros.simulation.world'}


@pytest.mark.parametrize(('importer', 'imported'), [
    ('uncloning_ros.conversions', 'geometry_msgs'),
    ('uncloning_ros.runtime.control_loop', 'rclpy'),
    ('uncloning_ros.judging.episode', 'pybullet'),
    ('uncloning_ros.cli.main', 'torch'),
])
def test_a_planted_import_is_found(graph: grimp.ImportGraph, importer: str,
                                   imported: str) -> None:
    planted = copy.deepcopy(graph)
    planted.add_import(importer=importer, imported=imported)
    assert open_doors(planted) == {(importer, imported)}


def test_an_indirect_import_of_torch_by_the_policy_node_is_found(
        graph: grimp.ImportGraph) -> None:
    planted = copy.deepcopy(graph)
    planted.add_import(importer='uncloning_ros.geometry', imported='uncloning_ros.cli.train')
    planted.add_import(importer='uncloning_ros.cli.train', imported='torch')
    assert {'torch', 'uncloning_ros.cli'} <= reached(planted, 'uncloning_ros.nodes.policy')


def test_policy_node_reaches_neither_torch_nor_physics(graph: grimp.ImportGraph) -> None:
    assert reached(graph, 'uncloning_ros.nodes.policy').isdisjoint(SHUT_TO_POLICY)


def test_policy_node_reaches_the_control_loop_and_the_session(graph: grimp.ImportGraph) -> None:
    found = graph.find_upstream_modules('uncloning_ros.nodes.policy')
    assert {'uncloning_ros.runtime.control_loop', 'uncloning_ros.runtime.inference',
            'onnxruntime', 'rclpy'} <= found


def run_python(script: str) -> None:
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr


def test_policy_node_loads_without_torch_and_physics() -> None:
    pytest.importorskip('rclpy')
    shut = [name for name in SHUT_TO_POLICY if not name.startswith('uncloning_ros')]
    run_python(f'import sys\n'
               f'for name in {shut!r}: sys.modules[name] = None\n'
               f'import uncloning_ros.nodes.policy')


def test_everything_but_the_nodes_loads_without_ros(graph: grimp.ImportGraph) -> None:
    modules = sorted(name for name in graph.modules
                     if name.startswith('uncloning_ros.')
                     and not name.startswith('uncloning_ros.nodes')
                     and (LEROBOT or not name.startswith('uncloning_ros.demos.lerobot')))
    run_python(f'import importlib, sys\n'
               f'for name in {ROS!r}: sys.modules[name] = None\n'
               f'for name in {modules!r}: importlib.import_module(name)')


def test_command_line_starts_without_heavy_packages() -> None:
    run_python('import sys\n'
               'from uncloning_ros import extras\n'
               'from uncloning_ros.cli import main\n'
               'for name in (*extras.FROM_EXTRAS, "rclpy"): sys.modules[name] = None\n'
               'for command in main.COMMANDS: main._parser(command)')


def test_the_command_line_knows_every_package_that_an_extra_brings(
        graph: grimp.ImportGraph) -> None:
    foreign = {name for name in graph.modules if graph.is_module_squashed(name)}
    indirect = {'tensorboard'}  # torch.utils.tensorboard needs it
    assert (foreign - sys.stdlib_module_names - {*ROS, 'numpy', 'yaml'} | indirect
            == set(FROM_EXTRAS))
