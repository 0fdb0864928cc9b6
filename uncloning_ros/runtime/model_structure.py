# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check the structure of an ONNX file before it is run, without the onnx library.

The format can do far more than a policy needs: loops without end, code of other domains, weights
in other files, tensors of any size made from a few numbers. An exported policy has none of it.
So the allowed fields of the format and operators of the graph are listed here, and any other is
refused. Field numbers are those of onnx.proto, the encoding is that of Protocol
Buffers (protobuf.dev/programming-guides/encoding).
"""

import hashlib
from collections.abc import Iterator

from uncloning_ros.errors import shown

# The operators of an export; none of them enlarges its inputs more than broadcasting. Those of
# encoders do not either:
#   Conv       has as many maps as its weights have rows, each at most 2 _MOST_LISTED places
#              longer along a side than its input, which pads make it
#   Concat     is as large as its inputs together
#   Softmax    is as large as its input
#   Transpose  is as large as its input
# Those of a choice by the noise do not either:
#   Erf        is as large as its input
#   Less       is as large as its inputs broadcast
# In a long chain all can grow; the limit on memory ends that (inference._MOST_MEMORY_BYTES).
OPERATORS = frozenset({
    'Add', 'Cast', 'Clip', 'Constant', 'Div', 'Flatten', 'Gemm', 'Identity', 'LayerNormalization',
    'MatMul', 'Max', 'Min', 'Mul', 'Reshape', 'Sigmoid', 'Slice', 'Sub', 'Unsqueeze',
    'Concat', 'Conv', 'Softmax', 'Transpose', 'Erf', 'Less'})
OPSET = 17
# Largest whole number in a list of an attribute: kernel, strides, pads, and order of axes.
_MOST_LISTED = 64

# message -> number of a field -> the message inside it, '' without one
_FIELDS = {
    'model': {1: '', 2: '', 3: '', 4: '', 5: '', 6: '', 7: 'graph', 8: 'opset', 14: 'property'},
    'opset': {1: '', 2: ''},
    'property': {1: '', 2: ''},
    'graph': {1: 'node', 2: '', 5: 'tensor', 10: '', 11: 'value', 12: 'value', 13: 'value'},
    'node': {1: '', 2: '', 3: '', 4: '', 5: 'attribute', 6: '', 7: ''},
    'attribute': {1: '', 2: '', 3: '', 4: '', 5: 'tensor', 7: '', 8: '', 13: '', 20: ''},
    'tensor': {1: '', 2: '', 4: '', 5: '', 7: '', 8: '', 9: '', 10: '', 12: ''},
    'value': {1: '', 2: 'type', 3: ''},
    'type': {1: 'tensor_type', 6: ''},
    'tensor_type': {1: '', 2: 'shape'},
    'shape': {1: 'dimension'},
    'dimension': {1: '', 2: '', 3: ''},
}
# (message, number of a field) whose values are checked
_NODE_INPUT, _NODE_OUTPUT, _OPERATOR, _NODE_DOMAIN = (('node', number) for number in (1, 2, 4, 7))
_LISTED = ('attribute', 8)
_OPSET_DOMAIN, _OPSET_VERSION = ('opset', 1), ('opset', 2)

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def require_structure(data: bytes) -> None:
    """Raise `ValueError` for the first part of an ONNX file that no exported policy has."""
    _require(memoryview(data), 'model')


def graph_sha256(data: bytes) -> str:
    """Return the sha256 of the graph in an ONNX file: operators and weights, without records."""
    digest = hashlib.sha256()
    for number, value in _fields(memoryview(data)):
        if _FIELDS['model'].get(number) == 'graph' and not isinstance(value, int):
            digest.update(value)
    return digest.hexdigest()


def _require(data: memoryview, message: str) -> None:
    for number, value in _fields(data):
        inner = _FIELDS[message].get(number)
        if inner is None:
            raise ValueError(f'expected fields {", ".join(map(str, _FIELDS[message]))} of '
                             f'{message}, got {number}')
        if inner:
            if isinstance(value, int):
                raise ValueError(f'expected a {inner} in a {message}, got a number')
            _require(value, inner)
        else:
            _require_value((message, number), value)


def _require_value(place: tuple[str, int], value: int | memoryview) -> None:
    text = str(value) if isinstance(value, int) else bytes(value[:80]).decode(errors='replace')
    if place == _OPERATOR:
        if text not in OPERATORS:
            raise ValueError(f'expected operators {", ".join(sorted(OPERATORS))}; got '
                             f'{shown(text)}')
    elif place in (_NODE_DOMAIN, _OPSET_DOMAIN):
        if text:
            raise ValueError(f"expected operators of the domain '', got {shown(text)}")
    elif place in (_NODE_INPUT, _NODE_OUTPUT):
        # With an input left out onnxruntime 1.31 has ended the process.
        if not text:
            raise ValueError('expected every input and output of a node, got one left out')
    elif place == _LISTED:
        # A negative number is encoded as one above 2**63. With pads of -1 onnxruntime 1.31 has
        # ended the process.
        if not isinstance(value, int) or value > _MOST_LISTED:
            raise ValueError(f'expected lists of numbers from 0 to {_MOST_LISTED} in attributes, '
                             f'got {"several in one" if not isinstance(value, int) else value}')
    elif place == _OPSET_VERSION and value != OPSET:
        raise ValueError(f'expected opset {OPSET}, got {value!r}')


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of every field of an encoded message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED_32, _FIXED_64):
            size = 4 if kind == _FIXED_32 else 8
        else:
            raise ValueError(f'expected fields of kind 0, 1, 2 or 5, got {kind}')
        if size > len(data) - at:
            raise ValueError(f'expected a field of {size} bytes, got {len(data) - at}')
        yield number, data[at:at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place after it."""
    value = 0
    for i, byte in enumerate(data[at:at + 10]):
        value |= (byte & 0x7f) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError('expected a number of at most 10 bytes, got more or an end')
