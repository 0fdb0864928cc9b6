# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy file is run only if it is whole, ours, and the one that was meant."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from audit_models import write_policy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import forged

from uncloning_ros.errors import ModelError
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime import inference
from uncloning_ros.runtime.inference import (
    DIGEST_MARK,
    digest_of,
    load_policy,
    read_checked,
)
from uncloning_ros.runtime.model_structure import require_structure


def test_policy_runs_one_and_many_alike(mixed_onnx: Path) -> None:
    policy = load_policy(mixed_onnx)
    policy.warm_up()
    assert (policy.observation_shape, policy.chunk_shape) == ((2, 18), (4, 10))
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((5, 2, 18), np.float32)
    noises = rng.standard_normal((5, 4, 10), np.float32)
    together = policy.batch(observations, noises)
    assert (together.dtype, together.shape) == (np.float32, (5, 4, 10))
    one = policy(Observation(observations[3]), noises[3]).chunk
    np.testing.assert_allclose(one, together[3], atol=1e-5)
    np.testing.assert_array_equal(one, policy(Observation(observations[3]), noises[3]).chunk)


def test_policy_knows_its_contract_its_records_and_its_sha256(mixed_onnx: Path) -> None:
    policy = load_policy(mixed_onnx)
    assert policy.contract.interface.mode_names == ('left', 'right')
    assert policy.metadata['seeds'] == {'demonstrations': list(range(100, 140)),
                                        'development': [7, 8], 'training': 0}
    assert policy.metadata['training']['options']['steps'] == 1500
    assert 'edit' not in policy.metadata
    assert policy.sha256 == hashlib.sha256(mixed_onnx.read_bytes()).hexdigest()
    assert load_policy(mixed_onnx, policy.sha256.upper()).sha256 == policy.sha256


def test_another_file_than_the_one_meant_is_refused(mixed_onnx: Path) -> None:
    with pytest.raises(ModelError, match=f'expected sha256 {"0" * 64}, got '):
        load_policy(mixed_onnx, '0' * 64)


@settings(deadline=None, max_examples=150,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_byte_is_refused_wherever_it_is(mixed_onnx: Path, tmp_path: Path,
                                                  data: st.DataObject) -> None:
    content = bytearray(mixed_onnx.read_bytes())
    mark = content.index(DIGEST_MARK.encode())
    # Most bytes are weights; the digest and its surroundings deserve as many tries.
    where = data.draw(st.one_of(st.integers(0, len(content) - 1),
                                st.integers(mark - 20, min(mark + 120, len(content) - 1))))
    content[where] ^= data.draw(st.integers(1, 255))
    path = tmp_path / 'flipped.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'is corrupted|not an intact exported policy'):
        read_checked(path)


@settings(deadline=None, max_examples=50,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(mixed_onnx: Path, tmp_path: Path, share: float) -> None:
    content = mixed_onnx.read_bytes()
    path = tmp_path / 'short.onnx'
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ModelError, match=r'is corrupted|not an intact exported policy'):
        load_policy(path)


def test_appended_bytes_are_refused(mixed_onnx: Path, tmp_path: Path) -> None:
    path = tmp_path / 'longer.onnx'
    path.write_bytes(mixed_onnx.read_bytes() + b'\0')
    with pytest.raises(ModelError, match='is corrupted'):
        load_policy(path)


@pytest.mark.parametrize('content', [b'', b'not an onnx file', os.urandom(2000)])
def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'other.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match='is not an intact exported policy'):
        load_policy(path)


def test_a_digest_alone_makes_no_policy(tmp_path: Path) -> None:
    blank = b'junk ' + DIGEST_MARK.encode() + b'0' * 64
    path = tmp_path / 'junk.onnx'
    path.write_bytes(blank.replace(b'0' * 64, digest_of(blank).encode()))
    with pytest.raises(ModelError, match='is not an exported policy'):
        load_policy(path)


def test_a_foreign_onnx_file_is_refused(tmp_path: Path) -> None:
    path = _identity(tmp_path / 'foreign.onnx')
    with pytest.raises(ModelError, match='uncloning export'):
        load_policy(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='cannot read .*No such file'):
        load_policy(tmp_path / 'none.onnx')


@pytest.mark.parametrize(('metadata', 'sentence'), [
    ({'schema': 'uncloning/policy@9'}, "expected schema 'uncloning/policy@1', got"),
    ({'contract': None, 'seeds': None}, 'has no metadata contract, seeds'),
    ({'training': '{'}, 'metadata training is not JSON'),
    ({'training': '[' * 100000}, 'metadata training is not JSON'),
    ({'contract': '"\\ud800"'}, 'expected a mapping'),
    ({'contract': '{"schema": "uncloning/contract@1"}'}, 'missing key'),
    ({'interface_sha256': 'abc'}, "interface_sha256 .*, got 'abc'"),
])
def test_records_that_do_not_fit_are_refused(mixed_onnx: Path, tmp_path: Path,
                                             metadata: dict[str, str | None],
                                             sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx', metadata))


def test_shapes_that_the_contract_does_not_have_are_refused(mixed_onnx: Path,
                                                            tmp_path: Path) -> None:
    props = {prop.key: prop.value for prop in onnx.load(mixed_onnx).metadata_props}
    contract = json.loads(props['contract'])
    contract['policy']['history'] = 3
    from uncloning_ros.contract import contract_from_dict

    changed = {'contract': json.dumps(contract),
               'policy_sha256': contract_from_dict(contract).policy.sha256}
    with pytest.raises(ModelError, match=r'expected inputs and output .*\(3, 18\).*\(2, 18\)'):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx', changed))


@pytest.mark.parametrize('location', ['weights.bin', './weights.bin', '{folder}/weights.bin',
                                      '../../{folder}/weights.bin'])
def test_weights_in_another_file_are_refused(mixed_onnx: Path, tmp_path: Path, location: str,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    # The digest would not cover them. Even lying where they are looked for, they are not read.
    graph = onnx.load(mixed_onnx).graph
    tensor = graph.initializer[0]
    (tmp_path / 'weights.bin').write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location.format(folder=tmp_path))
    tensor.ClearField('raw_data')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match='expected fields .* of tensor, got 13'):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx', graph=graph))


@pytest.mark.parametrize('location', ['weights.bin', '{folder}/weights.bin'])
def test_onnxruntime_itself_reads_no_weights_from_another_file(
        mixed_onnx: Path, tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second lock on that door, should the first one ever be opened.
    monkeypatch.setattr(inference, 'require_structure', lambda data: None)
    graph = onnx.load(mixed_onnx).graph
    tensor = graph.initializer[0]
    (tmp_path / 'weights.bin').write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location.format(folder=tmp_path))
    tensor.ClearField('raw_data')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match='cannot be run by onnxruntime'):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx', graph=graph))


def _loop(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([], 'body', [], [])
    model.graph.node.append(onnx.helper.make_node('Loop', ['noise'], ['endless'], body=body))


def _subgraph(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(onnx.helper.make_attribute(
        'body', onnx.helper.make_graph([], 'body', [], [])))


def _custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = 'com.example'


def _function(model: onnx.ModelProto) -> None:
    model.functions.append(onnx.helper.make_function(
        'local', 'f', ['x'], ['y'], [onnx.helper.make_node('Identity', ['x'], ['y'])],
        [onnx.helper.make_opsetid('', 17)]))


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.name = 'more'


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().dims.append(10**12)


def _opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


def _foreign_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid('com.example', 17))


def _input_left_out(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = ''


def _no_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1


@pytest.mark.parametrize(('add', 'sentence'), [
    (_loop, "expected operators Add, .*; got 'Loop'"),
    (_subgraph, 'of attribute, got 6'),
    (_custom_domain, "expected operators of the domain '', got 'com.example'"),
    (_foreign_opset, "expected operators of the domain '', got 'com.example'"),
    (_function, 'of model, got 25'),
    (_training, 'of model, got 20'),
    (_sparse, 'of graph, got 15'),
    (_opset, 'expected opset 17, got 18'),
    (_no_type, 'of type, got 4'),
    (_input_left_out, 'one left out'),
])
def test_what_no_policy_needs_is_refused_before_onnxruntime_sees_it(
        mixed_onnx: Path, tmp_path: Path, add: Callable[[onnx.ModelProto], None], sentence: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, 'InferenceSession', None)
    with pytest.raises(ModelError, match=f'is not an exported policy: .*{sentence}'):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx', change=add))


def test_records_that_are_no_text_are_refused(mixed_onnx: Path, tmp_path: Path) -> None:
    blank = mixed_onnx.read_bytes()
    mark = blank.index(DIGEST_MARK.encode()) + len(DIGEST_MARK)
    blank = blank[:mark] + b'0' * 64 + blank[mark + 64:]
    blank = blank.replace(b'"demonstrations"', b'"demon\x96trations"')
    path = tmp_path / 'other.onnx'
    path.write_bytes(blank.replace(DIGEST_MARK.encode() + b'0' * 64,
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    with pytest.raises(ModelError, match='not text'):
        load_policy(path)


@given(st.binary(max_size=40))
def test_whatever_bytes_there_are_they_are_judged(data: bytes) -> None:
    with contextlib.suppress(ValueError):  # and nothing else
        require_structure(data)


@pytest.mark.parametrize('choice', [False, True])
def test_a_graph_that_would_fill_the_memory_fails_by_itself(tmp_path: Path, choice: bool) -> None:
    path = write_policy(tmp_path / 'still.onnx')

    def swell(model: onnx.ModelProto) -> None:
        # 1.2 GB out of two times 70 kB; a larger machine would have them.
        for name, shape in (('tall', [17000, 1]), ('wide', [1, 17000])):
            model.graph.initializer.append(onnx.numpy_helper.from_array(
                np.zeros(shape, np.float32), name))
        make_node = onnx.helper.make_node
        model.graph.node[-1].output[0] = 'chunk'
        model.graph.node.extend([
            make_node('Slice', ['noise', 'one', 'two', 'axes'], ['little']),
            make_node('Add', ['little', 'tall'], ['column']),
            *([make_node('Erf', ['column'], ['share']),
               make_node('Less', ['share', 'wide'], ['passed']),
               make_node('Cast', ['passed'], ['all'], to=onnx.TensorProto.FLOAT)]
              if choice else [make_node('Add', ['column', 'wide'], ['all'])]),
            make_node('Slice', ['all', 'one', 'two', 'axes'], ['cut']),
            make_node('Add', ['chunk', 'cut'], ['action_chunk'])])
        for name, value in (('one', 0), ('two', 1)):
            model.graph.initializer.append(onnx.numpy_helper.from_array(
                np.full(2, value), name))

    policy = load_policy(forged(path, tmp_path / 'swollen.onnx', change=swell))
    with pytest.raises(ModelError, match='cannot be run'):
        policy.warm_up()


def test_a_file_that_is_larger_than_any_policy_is_refused_unread(
        mixed_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, '_MOST_FILE_BYTES', mixed_onnx.stat().st_size - 1)
    with pytest.raises(ModelError, match='mixed.onnx: expected at most .* bytes'):
        read_checked(mixed_onnx)
    monkeypatch.setattr(inference, '_MOST_FILE_BYTES', 1000)
    with pytest.raises(ModelError, match='at most 1000 bytes'):
        read_checked(Path('/dev/zero'))


def _identity(path: Path) -> Path:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
             for name in ('x', 'y')]
    graph = onnx.helper.make_graph([onnx.helper.make_node('Identity', ['x'], ['y'])], 'other',
                                   value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph), path)
    return path
