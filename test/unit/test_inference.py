# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy file is run only if it is whole, ours, and the one that was meant."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uncloning_ros.errors import ModelError
from uncloning_ros.runtime.inference import (
    DIGEST_MARK,
    digest_of,
    load_policy,
    read_checked,
)


def _forge(original: Path, path: Path, metadata: Mapping[str, str | None] | None = None,
           graph: onnx.GraphProto | None = None) -> Path:
    """Write the model anew with other metadata or graph, and with a digest that is right."""
    model = onnx.load(original)
    props = {prop.key: prop.value for prop in model.metadata_props}
    props |= dict(metadata or {}) | {'digest': DIGEST_MARK + '0' * 64}
    onnx.helper.set_model_props(model, {k: v for k, v in props.items() if v is not None})
    if graph is not None:
        model.graph.CopyFrom(graph)
    blank = model.SerializeToString(deterministic=True)
    path.write_bytes(blank.replace((DIGEST_MARK + '0' * 64).encode(),
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    return path


def test_policy_runs_one_and_many_alike(mixed_onnx: Path) -> None:
    policy = load_policy(mixed_onnx)
    policy.warm_up()
    assert (policy.observation_shape, policy.chunk_shape) == ((2, 18), (4, 10))
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((5, 2, 18), np.float32)
    noises = rng.standard_normal((5, 4, 10), np.float32)
    together = policy.batch(observations, noises)
    assert (together.dtype, together.shape) == (np.float32, (5, 4, 10))
    one = policy(observations[3], noises[3])
    np.testing.assert_allclose(one, together[3], atol=1e-5)
    np.testing.assert_array_equal(one, policy(observations[3], noises[3]))


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
    with pytest.raises(ModelError, match=f'has sha256 .*, expected {"0" * 64}'):
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
    with pytest.raises(ModelError, match='cannot be run by onnxruntime'):
        load_policy(path)


def test_a_foreign_onnx_file_is_refused(tmp_path: Path) -> None:
    path = _identity(tmp_path / 'foreign.onnx')
    with pytest.raises(ModelError, match='make it with uncloning export'):
        load_policy(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='cannot read .*No such file'):
        load_policy(tmp_path / 'none.onnx')


@pytest.mark.parametrize(('metadata', 'sentence'), [
    ({'schema': 'uncloning/policy@9'}, "expected schema 'uncloning/policy@1', got"),
    ({'contract': None, 'seeds': None}, 'has no metadata contract, seeds'),
    ({'training': '{'}, 'metadata training is not JSON'),
    ({'contract': '{"schema": "uncloning/contract@1"}'}, 'missing key'),
    ({'interface_sha256': 'abc'}, 'interface_sha256 is abc, but that of its contract is'),
])
def test_records_that_do_not_fit_are_refused(mixed_onnx: Path, tmp_path: Path,
                                             metadata: dict[str, str | None],
                                             sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load_policy(_forge(mixed_onnx, tmp_path / 'forged.onnx', metadata))


def test_shapes_that_the_contract_does_not_have_are_refused(mixed_onnx: Path,
                                                            tmp_path: Path) -> None:
    props = {prop.key: prop.value for prop in onnx.load(mixed_onnx).metadata_props}
    contract = json.loads(props['contract'])
    contract['policy']['history'] = 3
    from uncloning_ros.contract import contract_from_dict

    changed = {'contract': json.dumps(contract),
               'policy_sha256': contract_from_dict(contract).policy.sha256}
    with pytest.raises(ModelError, match=r'expected inputs and output .*\(3, 18\).*\(2, 18\)'):
        load_policy(_forge(mixed_onnx, tmp_path / 'forged.onnx', changed))


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
    with pytest.raises(ModelError, match='cannot be run by onnxruntime'):
        load_policy(_forge(mixed_onnx, tmp_path / 'forged.onnx', graph=graph))


def _identity(path: Path) -> Path:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
             for name in ('x', 'y')]
    graph = onnx.helper.make_graph([onnx.helper.make_node('Identity', ['x'], ['y'])], 'other',
                                   value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph), path)
    return path
