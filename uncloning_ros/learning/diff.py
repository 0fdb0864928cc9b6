# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare two exported policies: graph, normaliser, and the change of each weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from uncloning_ros.errors import ModelError
from uncloning_ros.files import read_bytes
from uncloning_ros.runtime.inference import DIGEST_MARK, read_checked

_NORMALISER = 'normaliser.'
_FEW = 10  # fewer changed rows of a weight are named
ENCODERS = 'eyes.'  # first part of the names of their weights


@dataclass(frozen=True)
class WeightChange:
    """The change of one weight: its L2 norm, relative to that of the first weight.

    `rows` are the rows that changed, from 0, where these are a few of them.
    """

    name: str
    shape: tuple[int, ...]
    relative: float
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The comparison of two policies.

    `difference` names the first difference other than a weight's values, None if there is none.
    `nodes` is the number of graph nodes; `changes` has one entry for each weight, in the
    graph's order, and is empty where there is a difference.
    """

    difference: str | None
    nodes: int
    changes: tuple[WeightChange, ...]


def compare(one: Path, two: Path) -> Comparison:
    """Compare two ONNX files; raise `ModelError` for one that cannot be read or is corrupted."""
    a, b = _read(one), _read(two)
    nodes = len(a.graph.node)
    difference = _first_difference(a, b)
    if difference is not None:
        return Comparison(difference, nodes, ())
    changes = tuple(WeightChange(name, first.shape, _relative(first, second),
                                 _rows(first, second))
                    for (name, first), (_, second) in zip(_weights(a), _weights(b), strict=True)
                    if not name.startswith(_NORMALISER))
    return Comparison(None, nodes, changes)


def _read(path: Path) -> onnx.ModelProto:
    data = read_bytes(path, ModelError)
    # A file of another origin has no digest, but may have the same graph.
    if DIGEST_MARK.encode() in data:
        read_checked(path)
    try:
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as err:
        reason = ' '.join(str(err).split())[:200].rstrip('.')
        raise ModelError(f'{path} is not a valid ONNX file: {reason}; export it again') from err
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(f'{path} keeps {tensor.name} in another file; export it as one file')
    return model


def _first_difference(a: onnx.ModelProto, b: onnx.ModelProto) -> str | None:
    """Return the first thing other than a weight's values in which two models differ."""
    opsets = [{o.domain or 'ai.onnx': o.version for o in m.opset_import} for m in (a, b)]
    if opsets[0] != opsets[1]:
        return f'operator sets: {opsets[0]} against {opsets[1]}'
    for what, ours, theirs in (('inputs', a.graph.input, b.graph.input),
                               ('outputs', a.graph.output, b.graph.output)):
        if list(ours) != list(theirs):
            return f'{what}: {_signature(ours)} against {_signature(theirs)}'
    for i, (node, other) in enumerate(zip(a.graph.node, b.graph.node, strict=False)):
        if node != other:
            return f'node {i}: {_shown(node)} against {_shown(other)}'
    if len(a.graph.node) != len(b.graph.node):
        return f'number of nodes: {len(a.graph.node)} against {len(b.graph.node)}'
    ours, theirs = _weights(a), _weights(b)
    for (name, first), (other_name, second) in zip(ours, theirs, strict=False):
        if (name, first.shape, first.dtype) != (other_name, second.shape, second.dtype):
            return (f'weight {name} {first.dtype} {first.shape} against {other_name} '
                    f'{second.dtype} {second.shape}')
        if name.startswith(_NORMALISER) and first.tobytes() != second.tobytes():
            return f'values of {name}: an edit does not touch the normaliser'
    if len(ours) != len(theirs):
        return f'number of weights: {len(ours)} against {len(theirs)}'
    return None


def _weights(model: onnx.ModelProto) -> list[tuple[str, NDArray[Any]]]:
    return [(tensor.name, numpy_helper.to_array(tensor)) for tensor in model.graph.initializer]


def _relative(first: NDArray[Any], second: NDArray[Any]) -> float:
    moved = float(np.linalg.norm((second.astype(np.float64) - first).ravel()))
    length = float(np.linalg.norm(first.astype(np.float64).ravel()))
    return moved / length if length > 0 else (0.0 if moved == 0 else float('inf'))


def _rows(first: NDArray[Any], second: NDArray[Any]) -> tuple[int, ...]:
    """Return the rows that changed, where these are a few of them."""
    rows = len(first) if first.ndim else 0
    found = [i for i in range(rows) if first[i].tobytes() != second[i].tobytes()]
    return tuple(found) if len(found) < min(rows, _FEW) else ()


def _signature(values: Sequence[onnx.ValueInfoProto]) -> str:
    shown = []
    for value in values:
        tensor = value.type.tensor_type
        dims = [dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim]
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        shown.append(f'{value.name} {kind}[{", ".join(dims)}]')
    return ', '.join(shown)


def _shown(node: onnx.NodeProto) -> str:
    settings = ', '.join(onnx.helper.printable_attribute(a) for a in node.attribute)
    text = f'{node.op_type} {node.name or ""} ({", ".join(node.input)}) {settings}'
    text = ' '.join(text.split())
    return text if len(text) <= 120 else text[:117] + '...'
