# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay: every chunk comes out again, and one that does not is named."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from incidents import Function, SeeingFunction, incident
from loop_inputs import CONTRACT
from policies import wandering_policy

from uncloning_ros.cli import main
from uncloning_ros.errors import IncidentError
from uncloning_ros.policy_io import Observation, PlanAnswer, PlanRequest, chunk_noise
from uncloning_ros.runtime.incident import (
    Event,
    Incident,
    incident_of,
    read_incident,
    write_incident,
)
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.runtime.replay import ELSEWHERE, replay


def test_every_chunk_comes_out_again_bit_for_bit() -> None:
    result = replay(incident(), Function())
    assert result.indices == (0, 1, 2, 3, 4)
    assert result.differences == (0.0,) * 5
    assert (result.tolerance, result.other) == (0.0, ())
    assert result.reproduced


def test_progress_is_told_for_every_chunk() -> None:
    told: list[int] = []
    replay(incident(), Function(), lambda: told.append(1))
    assert len(told) == 5


def test_the_smallest_difference_counts_on_the_same_machine() -> None:
    made = incident()
    chunks = made.chunks.copy()
    chunks[2, 0, 0] = np.nextafter(chunks[2, 0, 0], np.float32(1))
    result = replay(dataclasses.replace(made, chunks=chunks), Function())
    assert not result.reproduced
    assert [difference > 0 for difference in result.differences] == [False, False, True, False,
                                                                     False]


@pytest.mark.parametrize(('difference', 'reproduced'), [(ELSEWHERE / 2, True),
                                                        (ELSEWHERE * 2, False)])
def test_another_machine_is_told_and_its_rounding_is_allowed(
        difference: float, reproduced: bool) -> None:
    made = incident()
    chunks = made.chunks.copy()
    chunks[0, 0, 0] += difference
    elsewhere = dataclasses.replace(made.machine, processor='a slide rule', onnxruntime='0.1.0')
    result = replay(dataclasses.replace(made, chunks=chunks, machine=elsewhere), Function())
    assert result.reproduced is reproduced
    assert result.tolerance == ELSEWHERE
    assert [line.partition(' there')[0] for line in result.other] == [
        'processor: a slide rule', 'onnxruntime: 0.1.0']


def test_a_chunk_with_nan_comes_out_again_as_well() -> None:
    policy = Function('nan')
    made = incident(policy, chunks=1)
    assert made.answered.all() and np.isnan(made.chunks).any()
    assert replay(made, policy).reproduced
    assert not replay(made, Function()).reproduced
    assert not replay(incident(), policy).reproduced


def test_a_request_without_an_answer_is_left_out() -> None:
    made = incident()
    answered = made.answered.copy()
    answered[1] = False
    assert replay(dataclasses.replace(made, answered=answered),
                  Function()).indices == (0, 2, 3, 4)


def test_another_model_is_refused() -> None:
    made = dataclasses.replace(incident(), model_sha256='e' * 64)
    with pytest.raises(IncidentError, match=f'sha256 {"e" * 64}, got {"f" * 64}'):
        replay(made, Function())


def test_shapes_that_do_not_fit_the_model_are_refused() -> None:
    made = incident()
    with pytest.raises(IncidentError, match='the file is damaged'):
        replay(dataclasses.replace(made, noises=made.noises[:, 1:]), Function())


def test_chunks_of_a_policy_that_sees_come_out_again_from_its_pictures(tmp_path: Path) -> None:
    path = write_incident(incident(SeeingFunction()), tmp_path / 'incident.npz')
    made = read_incident(path)
    assert replay(made, SeeingFunction()).differences == (0.0,) * 5
    pixels = made.pictures['wrist_camera'].copy()
    pixels[3, 5, 5] ^= 1
    other = dataclasses.replace(made, pictures={**made.pictures, 'wrist_camera': pixels})
    assert [d > 0 for d in replay(other, SeeingFunction()).differences] == [
        False, False, False, True, False]
    for policy, found in ((Function(), made), (SeeingFunction(), incident())):
        with pytest.raises(IncidentError, match='expected pictures of shapes'):
            replay(found, policy)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wandering_policy(tmp_path_factory.mktemp('model') / 'wandering.onnx')


def asked(policy: OnnxPolicy, count: int = 4) -> Incident:
    """Return the incident of a real policy that was asked so often."""
    rng, interface = np.random.default_rng(0), CONTRACT.interface
    answers = []
    for index in range(count):
        seen = Observation(rng.normal(size=policy.observation_shape).astype(np.float32))
        request = PlanRequest(index, index * 10**8, seen, chunk_noise(
            5, index, policy.chunk_shape[0], interface.action_dim))
        answers.append(PlanAnswer(request, policy(request.observation, request.noise)))
    events = [Event(0, 'active', 'policy', 'the policy commands'),
              Event(4 * 10**8, 'hold', 'stale_input', 'hand_pose arrived 0.310 s ago')]
    return incident_of(answers, events, Path('given by the test'), policy,
                       policy.contract.sha256, 5)


@pytest.fixture
def file(model: Path, tmp_path: Path) -> Path:
    """An incident of a real policy, written to a file."""
    made = dataclasses.replace(asked(load_policy(model)), model_path=str(model))
    return write_incident(made, tmp_path / 'incident.npz')


def test_the_command_tells_what_happened_and_that_all_chunks_came_out_again(
        file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(['replay', str(file)]) == 0
    said = capsys.readouterr().out
    assert 'hold' in said and 'hand_pose arrived 0.310 s ago' in said
    assert '-0.400 s  active' in said
    assert '4 chunks are equal, bit for bit' in said


def test_the_command_names_the_chunk_that_came_out_otherwise_and_exits_with_1(
        model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = dataclasses.replace(asked(load_policy(model)), model_path=str(model))
    chunks = made.chunks.copy()
    chunks[2, 5, 1] = -chunks[2, 5, 1]
    path = write_incident(dataclasses.replace(made, chunks=chunks), tmp_path / 'flipped.npz')
    assert main.main(['replay', str(path)]) == 1
    assert 'chunk 2 differs; the largest difference' in capsys.readouterr().out


def test_a_model_that_moved_is_given_with_an_option(
        model: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = dataclasses.replace(asked(load_policy(model)), model_path=str(tmp_path / 'gone.onnx'))
    path = write_incident(made, tmp_path / 'moved.npz')
    assert main.main(['replay', str(path)]) == 2
    assert 'gone.onnx' in capsys.readouterr().err
    moved = shutil.copy(model, tmp_path / 'here.onnx')
    assert main.main(['replay', str(path), '--model', str(moved)]) == 0


def test_another_model_is_refused_with_status_2(
        file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / 'other.onnx'
    other.write_bytes(b'something else')
    assert main.main(['replay', str(file), '--model', str(other)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('uncloning: error: ')
    assert captured.err.count('\n') == 1
    assert captured.out == ''


def test_a_damaged_file_is_refused_with_one_sentence_and_status_2(
        file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes()[:-200])
    assert main.main(['replay', str(file)]) == 2
    captured = capsys.readouterr()
    assert 'is not an incident' in captured.err
    assert captured.err.count('\n') == 1
