# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Incidents: what was kept comes back whole, or is refused; files are few."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from incidents import Function, SeeingFunction, incident
from loop_inputs import CONTRACT

from uncloning_ros.errors import IncidentError, OutputExistsError
from uncloning_ros.policy_io import Observation, PlanAnswer, PlanRequest, chunk_noise
from uncloning_ros.runtime.control_loop import Decision, State
from uncloning_ros.runtime.incident import (
    FlightRecord,
    Incident,
    incident_of,
    read_incident,
    this_machine,
    write_incident,
)
from uncloning_ros.runtime.incident_files import HOLD_EVERY_S, MOST_FILES, IncidentFiles


def require_same(one: Incident, two: Incident) -> None:
    for field in dataclasses.fields(Incident):
        mine, other = getattr(one, field.name), getattr(two, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == other.dtype
            assert np.array_equal(mine, other, equal_nan=mine.dtype == np.float32), field.name
        elif field.name == 'pictures':
            assert mine.keys() == other.keys()
            assert all(np.array_equal(mine[key], other[key]) for key in mine)
        else:
            assert mine == other, field.name


def test_an_incident_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = incident()
    assert len(made.indices) == 5 and all(made.answered)
    assert [event.state for event in made.events][-1] == 'hold'
    path = write_incident(made, tmp_path / 'folder' / 'incident.npz')
    require_same(read_incident(path), made)


def test_the_pictures_that_the_policy_saw_come_back_bit_for_bit(tmp_path: Path) -> None:
    made = incident(SeeingFunction())
    assert {key: (pixels.shape, pixels.dtype) for key, pixels in made.pictures.items()} == {
        key: ((5, *shape), np.uint8) for key, shape in SeeingFunction.picture_shapes.items()}
    assert all(len(np.unique(pixels, axis=0)) == 5 for pixels in made.pictures.values())
    require_same(read_incident(write_incident(made, tmp_path / 'incident.npz')), made)


def test_pictures_under_a_damaged_name_are_not_left_out(tmp_path: Path) -> None:
    path = write_incident(incident(SeeingFunction()), tmp_path / 'incident.npz')
    data = path.read_bytes()
    place = data.rindex(b'pictures/wrist_camera')  # in the list of contents
    path.write_bytes(data[:place] + b'q' + data[place + 1:])
    with pytest.raises(IncidentError, match='it is damaged'):
        read_incident(path)


@pytest.mark.parametrize('policy', [Function(), SeeingFunction()])
def test_an_incident_without_any_chunk_comes_back(tmp_path: Path, policy: Function) -> None:
    made = incident_of([], [], Path('some.onnx'), policy, 'c' * 64, 0)
    require_same(read_incident(write_incident(made, tmp_path / 'incident.npz')), made)


def test_an_incident_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / 'incident.npz'
    path.write_text('precious')
    with pytest.raises(OutputExistsError):
        write_incident(incident(), path)
    assert path.read_text() == 'precious'


def test_what_was_not_answered_or_has_a_wrong_shape_is_marked(tmp_path: Path) -> None:
    assert not any(incident(Function('short'), chunks=1).answered)
    timing, interface = CONTRACT.policy, CONTRACT.interface
    seen = Observation(np.zeros((timing.history, interface.observation_dim), np.float32))
    request = PlanRequest(7, 0, seen, chunk_noise(0, 7, timing.horizon, interface.action_dim))
    made = incident_of([PlanAnswer(request, None, 'RuntimeError: no such luck')], [], Path('m'),
                       Function(), 'c' * 64, 0)
    assert made.answered.tolist() == [False]
    assert made.indices.tolist() == [7]
    require_same(read_incident(write_incident(made, tmp_path / 'incident.npz')), made)


def decision(state: State, reason: str) -> Decision:
    return Decision(state, reason, f'a sentence on {reason}')


def test_the_record_keeps_changes_and_the_newest_of_everything() -> None:
    record = FlightRecord()
    told = [record.add_decision(decision(State.HOLD, reason), now_ns)
            for now_ns, reason in enumerate(['stale_input', 'stale_input', 'recovering',
                                             'stale_input'])]
    assert told == [True, False, True, True]
    assert [event.now_ns for event in record.snapshot()[1]] == [0, 2, 3]
    request = PlanRequest(0, 0, Observation(np.zeros((2, 31), np.float32)),
                          np.zeros((16, 10), np.float32))
    for number in range(10_000):
        record.add_answer(PlanAnswer(dataclasses.replace(request, index=number), None))
        record.add_decision(decision(State.HOLD, str(number)), number)
    answers, events = record.snapshot()
    # A ring: memory does not grow, and the newest is there.
    assert len(answers) < 1000 and len(events) < 1000
    assert answers[-1].request.index == events[-1].now_ns == 9999
    assert [a.request.index for a in answers] == list(range(10_000 - len(answers), 10_000))


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small incident."""
    path = tmp_path_factory.mktemp('incident') / 'incident.npz'
    return write_incident(incident(SeeingFunction(), chunks=2), path).read_bytes()


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_byte_that_changed_is_refused_or_does_not_matter(
        tmp_path_factory: pytest.TempPathFactory, written: bytes, place: float,
        flip: int) -> None:
    damaged = bytearray(written)
    damaged[int(place * len(damaged))] ^= flip
    path = tmp_path_factory.mktemp('damaged') / 'incident.npz'
    path.write_bytes(damaged)
    whole = path.with_name('whole.npz')
    whole.write_bytes(written)
    try:
        found = read_incident(path)
    except IncidentError:
        return
    require_same(found, read_incident(whole))


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_short_is_refused(
        tmp_path_factory: pytest.TempPathFactory, written: bytes, share: float) -> None:
    path = tmp_path_factory.mktemp('short') / 'incident.npz'
    path.write_bytes(written[:int(share * len(written))])
    with pytest.raises(IncidentError, match='is not an incident'):
        read_incident(path)


SCENE = 'pictures/scene_camera'


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """Change (record, arrays) of an incident file, as somebody might by hand."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    record = json.loads(arrays.pop('record').tobytes())
    change(record, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, record=np.frombuffer(json.dumps(record).encode(), np.uint8), **arrays)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize('change', [
    lambda record, arrays: record.update(schema='uncloning/incident@0'),
    lambda record, arrays: record.pop('seed'),
    lambda record, arrays: record.update(machine=[]),
    lambda record, arrays: record.update(events=[{'now_ns': 'soon'}]),
    lambda record, arrays: arrays.pop('noises'),
    lambda record, arrays: arrays.update(chunks=arrays['chunks'][1:]),
    lambda record, arrays: arrays.update(chunks=arrays['chunks'].astype(np.float64)),
    lambda record, arrays: arrays.update(observations=arrays['observations'][0]),
    lambda record, arrays: arrays.update(answered=arrays['indices']),
    lambda record, arrays: arrays.update({SCENE: arrays[SCENE][1:]}),
    lambda record, arrays: arrays.update({SCENE: arrays[SCENE][..., 0]}),
    lambda record, arrays: arrays.update({SCENE: arrays[SCENE].astype(np.int16)}),
    lambda record, arrays: arrays.update(noises=arrays['noises'].astype(object))])
def test_what_does_not_belong_into_an_incident_is_refused(
        tmp_path: Path, written: bytes, change: Any) -> None:
    path = tmp_path / 'incident.npz'
    path.write_bytes(written)
    with pytest.raises(IncidentError, match='incident.npz is not an incident'):
        read_incident(rewritten(path, change))


@pytest.mark.parametrize('content', [b'', b'no archive', b'\x80\x04N.', b'\x93NUMPY\x01\x00'])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'incident.npz'
    path.write_bytes(content)
    with pytest.raises(IncidentError, match='is not an incident of the policy node') as caught:
        read_incident(path)
    assert 'pickle' not in str(caught.value)


def test_an_array_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'incident.npy'
    np.save(path, np.zeros(3))
    with pytest.raises(IncidentError, match='is not an incident of the policy node'):
        read_incident(path)


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(IncidentError, match='nowhere.npz: No such file or directory'):
        read_incident(tmp_path / 'nowhere.npz')


def test_the_name_of_a_file_has_time_and_reason(tmp_path: Path) -> None:
    files = IncidentFiles(tmp_path / 'folder')
    path = files.write_some(lambda: incident(chunks=1), State.HOLD, 'stale_input', 1e9 + 0.25, 0.0)
    assert path is not None and path.is_file()
    assert path.name.endswith('_250_hold_stale_input.npz')
    assert files.write(incident(chunks=1), 'dump', 1e9 + 0.5).name.endswith('_500_dump.npz')
    assert read_incident(path).model_sha256 == Function.sha256


def test_holds_that_follow_each_other_are_written_once_in_a_while(tmp_path: Path) -> None:
    made, files = incident(chunks=1), IncidentFiles(tmp_path)
    written_s = [now_s for now_s in np.arange(0.0, 3 * HOLD_EVERY_S, 0.5)
                 if files.write_some(lambda: made, State.HOLD, 'stale_input', 1e9 + now_s, now_s)]
    assert written_s == [0.0, HOLD_EVERY_S, 2 * HOLD_EVERY_S]


def test_an_incident_that_is_not_written_is_not_made(tmp_path: Path) -> None:
    def never() -> Incident:
        raise AssertionError('made in vain')

    files = IncidentFiles(tmp_path)
    files.write_some(lambda: incident(chunks=1), State.HOLD, 'stale_input', 1e9, 0.0)
    assert files.write_some(never, State.HOLD, 'stale_input', 1e9, 0.1) is None


def test_a_fault_is_written_although_a_hold_was_just_before(tmp_path: Path) -> None:
    made, files = incident(chunks=1), IncidentFiles(tmp_path)
    assert files.write_some(lambda: made, State.HOLD, 'stale_input', 1e9, 0.0)
    assert files.write_some(lambda: made, State.FAULT, 'policy_failed', 1e9 + 0.1, 0.1)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_node_writes_no_more_than_so_many_files_of_its_own_accord(tmp_path: Path) -> None:
    made, files = incident(chunks=1), IncidentFiles(tmp_path)
    for number in range(MOST_FILES + 5):
        files.write_some(lambda: made, State.FAULT, 'policy_failed', 1e9 + number, float(number))
    assert len(list(tmp_path.iterdir())) == MOST_FILES
    files.write(made, 'dump', 2e9)  # who asks for one gets it
    assert len(list(tmp_path.iterdir())) == MOST_FILES + 1


def test_what_could_not_be_written_takes_nobodys_turn(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    made, files = incident(chunks=1), IncidentFiles(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr('uncloning_ros.runtime.incident_files.write_incident', full)
        with pytest.raises(OSError, match='No space left'):
            files.write_some(lambda: made, State.HOLD, 'stale_input', 1e9, 0.0)
    assert files.left == MOST_FILES
    assert files.write_some(lambda: made, State.HOLD, 'stale_input', 1e9, 0.1) is not None
    assert files.left == MOST_FILES - 1


def test_a_folder_for_incidents_may_be_there_or_be_made(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / 'some' / 'where', Path('not_made_yet')):
        IncidentFiles(folder).require_usable()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_incidents_that_cannot_be_used_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'file').write_text('')
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'below'):
        with pytest.raises(IncidentError, match='file is not a folder.*incident_dir'):
            IncidentFiles(folder).require_usable()
    # The permissions themselves do not hold back a root user.
    monkeypatch.setattr('os.access', lambda path, mode: False)
    with pytest.raises(IncidentError, match=f'{tmp_path} is not writable.*incident_dir'):
        IncidentFiles(tmp_path / 'below').require_usable()


def test_the_machine_is_told() -> None:
    machine = this_machine()
    assert machine.processor
    assert machine.threads == 1
    assert machine.onnxruntime.count('.') == 2
