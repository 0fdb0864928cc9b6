# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models that have a right digest and a wrong inside, drawn by a generator.

A small valid policy is built, then something is done to it: shapes, names, types, nodes,
operators, attributes, constants, records, or bytes anywhere.
"""

import contextlib
import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from onnx import TensorProto, helper, numpy_helper

from uncloning_ros import pictures
from uncloning_ros.contract import Contract
from uncloning_ros.policy_io import intent_size
from uncloning_ros.runtime.inference import DIGEST_MARK, PICTURE_KEYS, SCHEMA, digest_of
from uncloning_ros.runtime.model_structure import OPERATORS
from uncloning_ros.schema import plain

HIDDEN = 8
LISTS = 'pads', 'strides', 'dilations', 'kernel_shape', 'perm'  # attributes with several numbers
NUMBERS = (0, 1, -1, 2, 3, 7, 10, 16, 31, 10**6, 2**31 - 1, 2**31, -2**31, 2**62, 2**63 - 1,
           -2**63)
VALUES = (np.nan, np.inf, -np.inf, 0.0, 1e-30, 1e38, -1e38, 1e4, 1.0)
ANY_OPERATOR = tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas()
                             if schema.domain == ''}))


def small_policy(contract: Contract, intent: bool = False,
                 doubt: bool = False) -> onnx.ModelProto:
    """Return a valid policy, of operators that the export writes: it stays where it is.

    It may say an intent and a doubt.
    """
    timing, interface = contract.policy, contract.interface
    window = timing.history * interface.observation_dim
    chunk = [timing.horizon, interface.action_dim]
    rng = np.random.default_rng(0)
    pose = np.zeros((interface.observation_dim, interface.action_dim), np.float32)
    pose[:interface.action_dim, :interface.action_dim] = np.eye(interface.action_dim)
    constants: dict[str, Any] = {
        'mean': np.zeros(window, np.float32), 'std': np.full(window, 1.5, np.float32),
        'w1': 0.1 * rng.normal(size=(HIDDEN, window)).astype(np.float32),
        'b1': np.zeros(HIDDEN, np.float32), 'gain': np.ones(HIDDEN, np.float32),
        'shift': np.zeros(HIDDEN, np.float32),
        'w2': 0.01 * rng.normal(size=(HIDDEN, chunk[0] * chunk[1])).astype(np.float32),
        'shape': np.array([-1, *chunk]), 'scale': np.array(0.01, np.float32), 'pose': pose,
        'first': np.array([timing.history - 1]), 'last': np.array([timing.history]),
        'axes': np.array([1]), 'low': np.array(-0.02, np.float32),
        'high': np.array(0.02, np.float32)}
    make = helper.make_node
    cameras = interface.cameras
    eyes = [one for camera in cameras for one in (
        make('Cast', [camera.key], [f'{camera.key}1'], to=TensorProto.FLOAT),
        make('Transpose', [f'{camera.key}1'], [f'{camera.key}2'], perm=[0, 3, 1, 2]),
        make('Conv', [f'{camera.key}2', 'kernel'], [f'{camera.key}3'], kernel_shape=[8, 8],
             strides=[8, 8], pads=[4, 4, 4, 4], dilations=[1, 1], group=1),
        make('Flatten', [f'{camera.key}3'], [f'{camera.key}4'], axis=1),
        make('Softmax', [f'{camera.key}4'], [f'{camera.key}5'], axis=1),
        make('MatMul', [f'{camera.key}5', 'places'], [f'{camera.key}6']))]
    if cameras:
        places = math.prod(1 + side // 8 for side in cameras[0].shape[:2])
        constants |= {
            'kernel': 0.01 * rng.normal(size=(2, 3, 8, 8)).astype(np.float32),
            'places': 0.1 * rng.normal(size=(2 * places, 3)).astype(np.float32),
            'w3': 0.01 * rng.normal(size=(HIDDEN + 3 * len(cameras),
                                          chunk[0] * chunk[1])).astype(np.float32)}
        eyes.append(make('Concat', ['h3', *(f'{camera.key}6' for camera in cameras)], ['seen'],
                         axis=1))
    nodes = [
        make('Flatten', ['observation'], ['flat'], axis=1),
        make('Sub', ['flat', 'mean'], ['centred']), make('Div', ['centred', 'std'], ['unit']),
        make('Gemm', ['unit', 'w1', 'b1'], ['h1'], transB=1),
        make('LayerNormalization', ['h1', 'gain', 'shift'], ['h2'], axis=-1),
        make('Sigmoid', ['h2'], ['h3']), *eyes,
        make('Slice', ['noise', 'first', 'last', 'axes'], ['number']),
        make('Erf', ['number'], ['share']), make('Less', ['share', 'low'], ['passed']),
        make('Cast', ['passed'], ['picked'], to=TensorProto.FLOAT),
        make('MatMul', ['seen', 'w3'] if cameras else ['h3', 'w2'], ['h4']),
        make('Reshape', ['h4', 'shape'], ['offset']),
        make('Mul', ['picked', 'scale'], ['shaken']), make('Add', ['offset', 'shaken'], ['moved']),
        make('Clip', ['moved', 'low', 'high'], ['little']),
        make('Slice', ['observation', 'first', 'last', 'axes'], ['newest']),
        make('MatMul', ['newest', 'pose'], ['here']),
        make('Add', ['here', 'little'], ['action_chunk'])]

    said = intent_size(interface.mode_names)
    if intent:
        constants['w4'] = 0.1 * rng.normal(size=(HIDDEN, said)).astype(np.float32)
        nodes += [make('MatMul', ['h3', 'w4'], ['odds']), make('Softmax', ['odds'], ['intent'])]
    if doubt:
        constants['w5'] = 0.1 * rng.normal(size=(HIDDEN, 1)).astype(np.float32)
        nodes.append(make('MatMul', ['h3', 'w5'], ['doubt']))

    def value(name: str, dims: Sequence[int],
              kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ['batch', *dims])

    graph = helper.make_graph(
        nodes, 'small', [value('observation', [timing.history, interface.observation_dim]),
                         value('noise', chunk),
                         *(value(camera.key, camera.shape, TensorProto.UINT8)
                           for camera in cameras)],
        [value('action_chunk', chunk), *([value('intent', [said])] if intent else []),
         *([value('doubt', [1])] if doubt else [])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    decoder = dict(zip(PICTURE_KEYS, pictures.decoder([one.view for one in cameras]), strict=True))
    drawn = {'episode_noise': str(2 * len(interface.modes))} if intent else {}
    record = {'doubt': json.dumps({'demonstrated': {}})} if doubt else {}
    helper.set_model_props(model, (decoder if cameras else {}) | drawn | record | {
        'schema': SCHEMA, 'contract': json.dumps(plain(contract)),
        'interface_sha256': interface.sha256, 'policy_sha256': timing.sha256,
        'training': '{}', 'seeds': '{}', 'software_version': '0',
        'digest': DIGEST_MARK + '0' * 64})
    return model


def with_digest(blank: bytes) -> bytes:
    """Return a model's bytes with a right digest in the place of zeros, as the export does."""
    return blank.replace((DIGEST_MARK + '0' * 64).encode(),
                         (DIGEST_MARK + digest_of(blank)).encode())


def _pick(rng: Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _tensor(rng: Generator, model: onnx.ModelProto) -> TensorProto:
    return _pick(rng, model.graph.initializer)


def _node(rng: Generator, model: onnx.ModelProto) -> onnx.NodeProto:
    return _pick(rng, model.graph.node)


def _value(rng: Generator, model: onnx.ModelProto) -> onnx.ValueInfoProto:
    return _pick(rng, [*model.graph.input, *model.graph.output])


def _name(rng: Generator, model: onnx.ModelProto) -> str:
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    return _pick(rng, [*names, '', 'nobody'])


def wrong_dims(rng: Generator, model: onnx.ModelProto) -> None:
    dims = _tensor(rng, model).dims
    if len(dims) and rng.random() < 0.7:
        dims[int(rng.integers(len(dims)))] = _pick(rng, NUMBERS)
    else:
        dims.append(_pick(rng, NUMBERS))


def wrong_size(rng: Generator, model: onnx.ModelProto) -> None:
    tensor = _tensor(rng, model)
    tensor.raw_data = _pick(rng, [tensor.raw_data[:-1], b'', tensor.raw_data * 2, b'\0' * 10**5])


def wrong_type(rng: Generator, model: onnx.ModelProto) -> None:
    _tensor(rng, model).data_type = int(rng.integers(-1, 26))


def wrong_values(rng: Generator, model: onnx.ModelProto) -> None:
    tensor = _tensor(rng, model)
    array = numpy_helper.to_array(tensor).copy()
    pool = VALUES if array.dtype == np.float32 else NUMBERS
    if rng.random() < 0.5:
        array[...] = np.array(_pick(rng, pool)).astype(array.dtype)
    else:
        array.flat[int(rng.integers(array.size))] = np.array(_pick(rng, pool)).astype(array.dtype)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def other_weights(rng: Generator, model: onnx.ModelProto) -> None:
    tensor = _tensor(rng, model)
    array = numpy_helper.to_array(tensor)
    if array.dtype == np.float32:
        scale = 10.0 ** rng.uniform(-3, 8)
        drawn = (scale * rng.normal(size=array.shape)).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(drawn, tensor.name))


def wide_constant(rng: Generator, model: onnx.ModelProto) -> None:
    """Broadcast a chunk to something far larger."""
    tensor = _tensor(rng, model)
    dims = _pick(rng, ([10**6], [10**5, 1, 1, 1], [1, 10**4, 1], [3000, 1, 1]))
    tensor.CopyFrom(numpy_helper.from_array(np.zeros(dims, np.float32), tensor.name))


def external_data(rng: Generator, model: onnx.ModelProto) -> None:
    tensor = _tensor(rng, model)
    onnx.external_data_helper.set_external_data(tensor, _pick(rng, ('/etc/passwd', 'w.bin', '')))
    if rng.random() < 0.5:
        tensor.ClearField('raw_data')


def string_tensor(rng: Generator, model: onnx.ModelProto) -> None:
    _tensor(rng, model).CopyFrom(helper.make_tensor('text', TensorProto.STRING, [1], ['x']))


def wrong_input(rng: Generator, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = _name(rng, model)


def wrong_output(rng: Generator, model: onnx.ModelProto) -> None:
    _node(rng, model).output[0] = _name(rng, model)


def more_inputs(rng: Generator, model: onnx.ModelProto) -> None:
    _node(rng, model).input.extend(_name(rng, model) for _ in range(int(rng.integers(1, 5))))


def fewer_inputs(rng: Generator, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    del node.input[int(rng.integers(len(node.input) + 1)):]


def allowed_operator(rng: Generator, model: onnx.ModelProto) -> None:
    _node(rng, model).op_type = _pick(rng, sorted(OPERATORS))


def any_operator(rng: Generator, model: onnx.ModelProto) -> None:
    _node(rng, model).op_type = _pick(rng, (*ANY_OPERATOR, '', 'Nonsense', 'FusedMatMul'))


def other_domain(rng: Generator, model: onnx.ModelProto) -> None:
    _node(rng, model).domain = _pick(rng, ('com.microsoft', 'ai.onnx.ml', 'x', 'ai.onnx'))


def no_node(rng: Generator, model: onnx.ModelProto) -> None:
    del model.graph.node[int(rng.integers(len(model.graph.node)))]


def node_twice(rng: Generator, model: onnx.ModelProto) -> None:
    model.graph.node.append(copy.deepcopy(_node(rng, model)))


def other_order(rng: Generator, model: onnx.ModelProto) -> None:
    nodes = list(copy.deepcopy(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(nodes[i] for i in rng.permutation(len(nodes)))


def new_node(rng: Generator, model: onnx.ModelProto) -> None:
    model.graph.node.insert(int(rng.integers(len(model.graph.node) + 1)), helper.make_node(
        _pick(rng, sorted(OPERATORS)), [_name(rng, model) for _ in range(rng.integers(5))],
        [_pick(rng, ('new', 'action_chunk', 'h1', ''))]))


def attribute(rng: Generator, model: onnx.ModelProto) -> None:
    key = _pick(rng, ('axis', 'transA', 'transB', 'alpha', 'beta', 'to', 'epsilon', 'allowzero',
                      'value', 'stash_type', 'nonsense', *LISTS, 'group', 'auto_pad'))
    value = _pick(rng, (*NUMBERS, 1e30, -1.0, 'text', [1, 2], [1.5], ['x'],
                        numpy_helper.from_array(np.zeros(3, np.float32))))
    if key in LISTS:
        value = [int(_pick(rng, NUMBERS)) for _ in range(_pick(rng, (1, 2, 2, 4, 4, 6)))]
    node = _node(rng, model)
    kept = [part for part in node.attribute if part.name != key]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(key, value)])


def attribute_type(rng: Generator, model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for part in node.attribute:
            if rng.random() < 0.5:
                part.type = int(rng.integers(0, 15))


def subgraph(rng: Generator, model: onnx.ModelProto) -> None:
    """Add control flow: a loop without end among it."""
    true = numpy_helper.from_array(np.array(True), 'true')
    most = numpy_helper.from_array(np.array(2**62), 'most')
    go_on = helper.make_node('Identity', ['go'], ['on'])
    body = helper.make_graph(
        [go_on], 'body', [helper.make_tensor_value_info('i', TensorProto.INT64, []),
                          helper.make_tensor_value_info('go', TensorProto.BOOL, [])],
        [helper.make_tensor_value_info('on', TensorProto.BOOL, [])])
    branch = helper.make_graph(
        [helper.make_node('Identity', ['moved'], ['chosen'])], 'branch', [],
        [helper.make_tensor_value_info('chosen', TensorProto.FLOAT, None)])
    model.graph.initializer.extend([true, most])
    model.graph.node.append(_pick(rng, (
        helper.make_node('Loop', ['most', 'true'], [], body=body),
        helper.make_node('If', ['true'], ['out'], then_branch=branch, else_branch=branch),
        helper.make_node('Scan', ['moved'], ['out'], body=body, num_scan_inputs=1))))


def wrong_shape(rng: Generator, model: onnx.ModelProto) -> None:
    dims = _value(rng, model).type.tensor_type.shape.dim
    at = int(rng.integers(len(dims)))
    choice = rng.random()
    if choice < 0.4:
        dims[at].dim_value = _pick(rng, NUMBERS)
    elif choice < 0.6:
        dims[at].dim_param = _pick(rng, ('batch', 'other', ''))
    elif choice < 0.8:
        del dims[at]
    else:
        dims.add().dim_value = _pick(rng, NUMBERS)


def wrong_dtype(rng: Generator, model: onnx.ModelProto) -> None:
    _value(rng, model).type.tensor_type.elem_type = int(rng.integers(0, 24))


def wrong_name(rng: Generator, model: onnx.ModelProto) -> None:
    _value(rng, model).name = _pick(
        rng, ('observation', 'noise', 'action_chunk', 'intent', 'doubt', 'x', ''))


def missing_value(rng: Generator, model: onnx.ModelProto) -> None:
    values = _pick(rng, (model.graph.input, model.graph.output))
    del values[int(rng.integers(len(values)))]


def extra_value(rng: Generator, model: onnx.ModelProto) -> None:
    _pick(rng, (model.graph.input, model.graph.output)).append(helper.make_tensor_value_info(
        _name(rng, model), TensorProto.FLOAT, [1]))


def no_tensor(rng: Generator, model: onnx.ModelProto) -> None:
    kind = _value(rng, model).type
    _pick(rng, (lambda: kind.ClearField('tensor_type'),
                lambda: kind.sequence_type.elem_type.tensor_type.SetInParent(),
                lambda: kind.optional_type.elem_type.tensor_type.SetInParent()))()


def versions(rng: Generator, model: onnx.ModelProto) -> None:
    if rng.random() < 0.5:
        model.ir_version = _pick(rng, (*NUMBERS, 3, 4, 9, 99))
    elif rng.random() < 0.5:
        model.opset_import[0].version = _pick(rng, (*NUMBERS, 6, 13, 18, 21, 99))
    else:
        model.opset_import.append(helper.make_opsetid(_pick(rng, ('', 'x', 'com.microsoft')), 17))


def whole_parts(rng: Generator, model: onnx.ModelProto) -> None:
    _pick(rng, (
        lambda: model.graph.sparse_initializer.add().dims.append(10**9),
        lambda: model.training_info.add().algorithm.node.add(),
        lambda: model.functions.add(name='f', domain='x').node.add(op_type='Add'),
        lambda: model.ClearField('graph'), lambda: model.ClearField('opset_import'),
        lambda: model.graph.quantization_annotation.add(tensor_name='w1'),
        lambda: model.graph.ClearField('node'), lambda: model.graph.ClearField('initializer')))()


def records(rng: Generator, model: onnx.ModelProto) -> None:
    """Break the metadata: missing, no JSON, of another contract, or with a value changed."""
    part = _pick(rng, model.metadata_props)
    if part.key == 'digest' or rng.random() < 0.2:
        props = [p for p in model.metadata_props if p.key == 'contract']
        data = json.loads(props[0].value)
        section = _pick(rng, ('interface', 'policy', 'deployment'))
        key = _pick(rng, sorted(data[section]))
        data[section][key] = _pick(rng, (None, 1, -1, 3.5, 'x', [], {}, float('nan'), 10**30))
        props[0].value = json.dumps(data)
    elif rng.random() < 0.3:
        model.metadata_props.remove(part)
    else:
        part.value = _pick(rng, ('', '{', '[]', 'null', '1e999', '"x"', '[' * 5000,
                                 '{"schema": "uncloning/contract@1"}', part.value[:-1]))


STRUCTURE: tuple[Callable[[Generator, onnx.ModelProto], None], ...] = (
    wrong_dims, wrong_size, wrong_type, wrong_values, other_weights, wide_constant, external_data,
    string_tensor, wrong_input, wrong_output, more_inputs, fewer_inputs, allowed_operator,
    any_operator, other_domain, no_node, node_twice, other_order, new_node, attribute,
    attribute_type, subgraph, wrong_shape, wrong_dtype, wrong_name, missing_value, extra_value,
    no_tensor, versions, whole_parts, records)


def _other_bytes(rng: Generator, blank: bytes) -> bytes:
    """Return the file with bytes changed anywhere but in the place of the digest."""
    data = bytearray(blank)
    mark = data.index(DIGEST_MARK.encode())
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(data)))
        if not mark <= at < mark + len(DIGEST_MARK) + 64:
            data[at] = int(rng.integers(256))
    return bytes(data)


def mutated_model(rng: Generator, contract: Contract) -> bytes:
    """Return the bytes of a changed policy of `contract`, with a right digest."""
    model = small_policy(contract, bool(rng.random() < 0.5), bool(rng.random() < 0.5))
    if rng.random() < 0.15:
        return with_digest(_other_bytes(rng, model.SerializeToString(deterministic=True)))
    for change in [_pick(rng, STRUCTURE) for _ in range(_pick(rng, (1, 1, 1, 2, 3)))]:
        # An earlier change may have taken away what this one needs.
        with contextlib.suppress(LookupError, NotImplementedError, OverflowError,
                                 TypeError, ValueError):
            change(rng, model)
    return with_digest(model.SerializeToString(deterministic=True))
