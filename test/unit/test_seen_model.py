# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An exported policy with cameras: pictures are inputs of the one file, its encoders inside."""

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from camera_toys import FRONT, WRIST, camera_contract
from model_files import forged
from onnx import helper

from uncloning_ros import pictures
from uncloning_ros.cli.main import main
from uncloning_ros.errors import ModelError
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import NETWORK
from uncloning_ros.learning.policies import build_policy
from uncloning_ros.learning.recordings import bags_in
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.runtime.model_structure import OPERATORS, require_structure

GREY = camera_contract().interface.cameras[1].view


def _inputs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, 2, 9), np.float32),
            rng.standard_normal((count, 4, 10), np.float32),
            {FRONT: rng.integers(0, 256, (count, 40, 32, 3), np.uint8),
             WRIST: rng.integers(0, 256, (count, 32, 32, 1), np.uint8)})


def test_torch_and_onnx_agree_on_pictures(seen_dir: Path, seen_onnx: Path) -> None:
    run, policy = load_run(seen_dir), load_policy(seen_onnx)
    observations, noises, seen = _inputs(20)
    ours = run.policy(*map(torch.from_numpy, (observations, noises, *seen.values()))).numpy()
    np.testing.assert_allclose(policy.batch(observations, noises, seen), ours, atol=1e-4, rtol=0)


def test_policy_plans_from_the_pictures_of_an_observation(seen_onnx: Path) -> None:
    policy = load_policy(seen_onnx)
    policy.warm_up()
    assert policy.picture_shapes == {FRONT: (40, 32, 3), WRIST: (32, 32, 1)}
    observations, noises, seen = _inputs(3)
    together = policy.batch(observations, noises, seen)
    one = Observation(observations[1], {key: pixels[1] for key, pixels in seen.items()})
    plan = policy(one, noises[1]).chunk
    np.testing.assert_allclose(plan, together[1], atol=1e-5)
    np.testing.assert_array_equal(plan, policy(one, noises[1]).chunk)
    other = dataclasses.replace(one, pictures={**one.pictures, WRIST: seen[WRIST][2]})
    assert np.abs(policy(other, noises[1]).chunk - plan).max() > 1e-4


def test_file_has_an_input_for_each_camera_and_looks_once(seen_onnx: Path) -> None:
    graph = onnx.load(seen_onnx).graph
    assert [one.name for one in graph.input] == ['observation', 'noise', FRONT, WRIST]
    used = Counter(name for node in graph.node for name in node.input)
    assert used['eyes.0.near.0.weight'] == used['eyes.1.near.0.weight'] == used[FRONT] == 1
    assert used['denoiser.to_chunk.weight'] == 10
    assert {node.op_type for node in graph.node} <= OPERATORS
    assert {node.op_type for node in graph.node} >= {'Concat', 'Conv', 'Softmax', 'Transpose'}


def test_file_of_two_cameras_of_96_px_is_small(seen_dir: Path, tmp_path: Path) -> None:
    run = load_run(seen_dir)
    interface = run.config.contract.interface
    size = {'width': 96, 'height': 96, 'encoding': 'rgb8', 'camera_size': (96, 96),
            'crop': None}
    contract = dataclasses.replace(run.config.contract, interface=dataclasses.replace(
        interface, observations=(*interface.vectors, *(dataclasses.replace(one, **size)
                                                       for one in interface.cameras))))
    policy = build_policy(contract, NETWORK).requires_grad_(False)
    pixels = torch.randint(0, 256, (64, 96, 96, 3), dtype=torch.uint8)
    big = dataclasses.replace(
        run, config=dataclasses.replace(run.config, contract=contract, network=NETWORK),
        policy=policy, pictures={FRONT: pixels, WRIST: pixels})
    assert export(big, tmp_path / 'big.onnx').bytes < 8 * 2**20
    load_policy(tmp_path / 'big.onnx').warm_up()


def test_same_run_gives_the_same_file(seen_dir: Path, seen_onnx: Path, tmp_path: Path) -> None:
    export(load_run(seen_dir), tmp_path / 'again.onnx')
    assert (tmp_path / 'again.onnx').read_bytes() == seen_onnx.read_bytes()


def test_a_machine_that_decodes_pictures_otherwise_is_told_which_library_to_install(
        seen_onnx: Path, mixed_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = load_policy(seen_onnx).metadata
    name, digest = pictures.decoder([GREY])
    assert (metadata['pictures_decoder'], metadata['pictures_sha256']) == (name, digest)
    monkeypatch.setattr(pictures, 'decoder', lambda views: ('Pillow 1.2.3', '1' * 64))
    with pytest.raises(ModelError, match=f"{digest}'; Pillow 1.2.3 on this machine decodes it to "
                                         f"{'1' * 64}; install '{name}'"):
        load_policy(seen_onnx)
    load_policy(mixed_onnx)  # it sees nothing


def test_a_file_names_the_decoder_of_the_dataset_and_not_that_of_the_export(
        seen_dir: Path, tmp_path: Path) -> None:
    _, digest = pictures.decoder([GREY])
    export(decoded(seen_dir, 'Pillow 1.2.3', digest), tmp_path / 'other_version.onnx')
    metadata = load_policy(tmp_path / 'other_version.onnx').metadata
    assert (metadata['pictures_decoder'], metadata['pictures_sha256']) == ('Pillow 1.2.3', digest)


@pytest.mark.parametrize('edited', [False, True])
def test_pictures_that_were_decoded_otherwise_stop_export_and_edit(
        edited: bool, seen_dir: Path, tmp_path: Path) -> None:
    run = decoded(seen_dir, 'Pillow 1.2.3', '1' * 64, edited)
    for act in (lambda: export(run, tmp_path / 'refused.onnx'),
                lambda: bags_in(run, [tmp_path], None)):
        with pytest.raises(ModelError, match=f"the run needs pictures of 'Pillow 1.2.3', .* to "
                                             f"'{'1' * 64}'; .*; install 'Pillow 1.2.3'"):
            act()
    assert not list(tmp_path.iterdir())


def decoded(folder: Path, name: str, digest: str, edited: bool = False) -> Run:
    """Return a run of a dataset, or of an edit by one, with pictures of a decoder."""
    run, data = load_run(folder), {'decoder': [name, digest], 'seeds': []}
    change = {'edit': {'data': data}} if edited else {'data': data}
    return dataclasses.replace(run, config=dataclasses.replace(run.config, **change))


def test_a_policy_with_cameras_and_no_digest_of_their_decoder_is_refused(
        seen_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='no metadata pictures_sha256'):
        load_policy(forged(seen_onnx, tmp_path / 'forged.onnx', {'pictures_sha256': None}))


def test_a_file_whose_inputs_are_not_the_cameras_of_its_contract_is_refused(
        seen_onnx: Path, mixed_onnx: Path, tmp_path: Path) -> None:
    records = {name: {prop.key: prop.value for prop in onnx.load(path).metadata_props}
               for name, path in (('seen', seen_onnx), ('mixed', mixed_onnx))}
    for name, other, sentence in (('mixed', 'seen', 'uint8.*, got '),
                                  ('seen', 'mixed', r'got .*uint8')):
        taken = {key: value for key, value in records[other].items()
                 if key in ('contract', 'interface_sha256', 'policy_sha256', 'pictures_sha256',
                            'pictures_decoder')}
        path = forged({'seen': seen_onnx, 'mixed': mixed_onnx}[name],
                      tmp_path / f'{name}.onnx', taken)
        with pytest.raises(ModelError, match=f'expected inputs and output .*{sentence}'):
            load_policy(path)


@pytest.mark.parametrize(('key', 'change'), [('width', 40), ('encoding', 'mono8')])
def test_pictures_of_another_shape_than_the_contract_has_are_refused(
        seen_onnx: Path, tmp_path: Path, key: str, change: object) -> None:
    from uncloning_ros.contract import contract_from_dict

    props = {prop.key: prop.value for prop in onnx.load(seen_onnx).metadata_props}
    contract = json.loads(props['contract'])
    contract['interface']['observations'][1][key] = change
    changed = {'contract': json.dumps(contract),
               'interface_sha256': contract_from_dict(contract).interface.sha256}
    with pytest.raises(ModelError, match='expected inputs and output .*, got .*uint8.*export'):
        load_policy(forged(seen_onnx, tmp_path / 'forged.onnx', changed))


def _first(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == kind)


@pytest.mark.parametrize('pads', [[-1] * 4, [0, 0, 0, 65], [2**31] * 4, [2**62] * 4])
def test_pads_that_would_end_the_process_or_fill_the_memory_are_refused(
        seen_onnx: Path, tmp_path: Path, pads: list[int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    def pad(model: onnx.ModelProto) -> None:
        for part in _first(model, 'Conv').attribute:
            if part.name == 'pads':
                part.ints[:] = pads

    monkeypatch.setattr(onnxruntime, 'InferenceSession', None)
    with pytest.raises(ModelError, match=r'lists of numbers from 0 to 64 in attributes, got \d'):
        load_policy(forged(seen_onnx, tmp_path / 'forged.onnx', change=pad))


def test_several_numbers_in_one_field_are_refused() -> None:
    # Readers of the format take both ways to write a list; the check knows one.
    listed = b'\x0a\x04pads' + b'\x42\x04' + b'\x00' * 4
    node = b'\x22\x04Conv' + b'\x2a' + bytes([len(listed)]) + listed
    graph = b'\x0a' + bytes([len(node)]) + node
    with pytest.raises(ValueError, match='got several in one'):
        require_structure(b'\x3a' + bytes([len(graph)]) + graph)


def _twice_and_again(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Join the noise with itself 40 times."""
    names = ['noise', *(f'joined{i}' for i in range(40)), 'swollen']
    return [helper.make_node('Concat', [one, one], [two], axis=0)
            for one, two in itertools.pairwise(names)]


def _many_maps(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Make 100000 maps, each padded to 8000 places, of the first maps of the encoder."""
    near = _first(model, 'Conv').output[0]
    model.graph.initializer.append(onnx.numpy_helper.from_array(
        np.zeros((100000, 32, 1, 1), np.float32), 'kernel'))
    return [helper.make_node('Conv', [near, 'kernel'], ['swollen'], pads=[40] * 4)]


def _ordered_and_shared(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Swell by broadcasting, for neither Transpose nor Softmax can."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(
        np.zeros((10**7, 1, 1), np.float32), 'tall'))
    return [helper.make_node('Transpose', ['tall'], ['turned'], perm=[2, 1, 0]),
            helper.make_node('Softmax', ['turned'], ['shared'], axis=2),
            helper.make_node('MatMul', ['tall', 'shared'], ['swollen'])]


@pytest.mark.parametrize('swell', [_twice_and_again, _many_maps, _ordered_and_shared])
def test_operators_of_encoders_cannot_fill_the_memory(
        seen_onnx: Path, tmp_path: Path,
        swell: Callable[[onnx.ModelProto], list[onnx.NodeProto]]) -> None:
    def swollen(model: onnx.ModelProto) -> None:
        nodes = swell(model)
        model.graph.node[-1].output[0] = 'chunk'
        zero, one, axes, shape = (onnx.numpy_helper.from_array(np.array(value), name)
                                  for name, value in (('zero', [0] * 2), ('one', [1] * 2),
                                                      ('axes', [0, 1]), ('scalar', [1, 1, -1])))
        model.graph.initializer.extend([zero, one, axes, shape])
        model.graph.node.extend([
            *nodes, helper.make_node('Slice', ['swollen', 'zero', 'one', 'axes'], ['cut']),
            helper.make_node('Flatten', ['cut'], ['flat'], axis=1),
            helper.make_node('Slice', ['flat', 'zero', 'one', 'axes'], ['little']),
            helper.make_node('Add', ['chunk', 'little'], ['action_chunk'])])

    policy = load_policy(forged(seen_onnx, tmp_path / 'swollen.onnx', change=swollen))
    with pytest.raises(ModelError, match='cannot be run'):
        policy.warm_up()


def test_diff_tells_whether_the_encoders_differ(
        seen_dir: Path, seen_onnx: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    run = load_run(seen_dir)
    with torch.no_grad():
        run.policy.denoiser.context.weight.mul_(1.1)
    export(run, tmp_path / 'edited.onnx')
    assert main(['diff', str(seen_onnx), str(tmp_path / 'edited.onnx')]) == 0
    assert 'same encoders' in capsys.readouterr().out
    with torch.no_grad():
        run.policy.eyes[1].near[0].weight.mul_(1.1)
    export(run, tmp_path / 'trained.onnx')
    found = compare(seen_onnx, tmp_path / 'trained.onnx')
    assert {change.name for change in found.changes if change.relative} == {
        'denoiser.context.weight', 'eyes.1.near.0.weight'}
    assert main(['diff', str(seen_onnx), str(tmp_path / 'trained.onnx')]) == 0
    assert 'other encoders' in capsys.readouterr().out
