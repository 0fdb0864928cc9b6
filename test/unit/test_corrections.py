# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A take-over in a bag: the dataset takes the ticks that the person commanded, and no other."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from episodes import BEGIN_NS, CONTRACT, KNIFE, METADATA, MS, Samples, episode, handover

from uncloning_ros.cli.dataset import summary
from uncloning_ros.cli.inspect import summary as inspected
from uncloning_ros.contract import Teleoperation
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.corrections import align_taught, corrected_spans
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection.facts import EpisodeFacts, facts_of
from uncloning_ros.demos.inspection.session import Session
from uncloning_ros.demos.recording.ring import Kept, Ring
from uncloning_ros.demos.recording.take_overs import SILENT_S, TakeOverWatch
from uncloning_ros.errors import DatasetError

MANNED = replace(CONTRACT, deployment=replace(
    CONTRACT.deployment, teleoperation=Teleoperation('teleoperation', 'switch', 0.2)))
PERIOD_NS = CONTRACT.policy.period_ns
ASKED_S, PRESSED_S, LET_GO_S, BACK_S = 0.8, 1.0, 2.5, 2.8


def at(second: float) -> int:
    return BEGIN_NS + round(second * 1e9)


def events(*marks: tuple[float, str]) -> tuple[tuple[int, dict[str, object]], ...]:
    return tuple((at(second), {'event': kind}) for second, kind in marks)


TAKE_OVER = ((0.0, 'start'), (ASKED_S, 'take_over'), (PRESSED_S, 'person'), (LET_GO_S, 'let_go'),
             (BACK_S, 'give_back'), (2.9, 'stop'))


def test_only_the_ticks_that_the_person_commanded_are_kept_as_they_are() -> None:
    whole = episode(handover())
    frames, spans = align_taught(replace(whole, events=events(*TAKE_OVER)), CONTRACT)
    assert spans == ((at(PRESSED_S), at(LET_GO_S)),)
    every = align(whole, CONTRACT)
    his = (every.ticks_ns >= at(PRESSED_S)) & (every.ticks_ns + PERIOD_NS <= at(LET_GO_S))
    assert 25 <= his.sum() <= 30
    assert np.array_equal(frames.ticks_ns, every.ticks_ns[his])
    assert np.array_equal(frames.actions, every.actions[his])
    assert np.array_equal(frames.observations, every.observations[his])


def test_an_episode_without_a_take_over_is_as_it_was() -> None:
    whole = replace(episode(handover()), events=events((0.0, 'start'), (2.9, 'stop')))
    frames, spans = align_taught(whole, CONTRACT)
    assert spans == ()
    assert np.array_equal(frames.ticks_ns, align(whole, CONTRACT).ticks_ns)


def test_a_pause_of_the_person_is_left_out() -> None:
    paused = events((0.8, 'take_over'), (1.0, 'person'), (1.5, 'let_go'), (2.0, 'person'),
                    (2.5, 'let_go'), (2.8, 'give_back'))
    frames, spans = align_taught(replace(episode(handover()), events=paused), CONTRACT)
    assert len(spans) == 2
    assert not ((frames.ticks_ns >= at(1.5)) & (frames.ticks_ns < at(2.0))).any()
    assert (frames.ticks_ns < at(1.5)).any() and (frames.ticks_ns >= at(2.0)).any()


def test_no_window_reaches_over_a_pause_in_which_the_hand_went_elsewhere(tmp_path: Path) -> None:
    samples = handover()
    for key in ('hand_pose', 'target_pose'):
        samples[key] = [replace(one, values=one.values + np.eye(9)[0])
                        if one.receive_ns > at(1.7) else one for one in samples[key]]
    marks = ((0.0, 'start'), (0.8, 'take_over'), (1.0, 'person'), (1.5, 'let_go'),
             (1.9, 'person'), (2.5, 'let_go'), (2.8, 'give_back'))
    written(tmp_path / 'demos', 1, marks, samples)
    written(tmp_path / 'demos', 2, TAKE_OVER)
    build_dataset([tmp_path / 'demos'], tmp_path / 'data', Recipe(None, Reading(),
                                                                   keep_unlabelled=True),
                  Split(0.0, 0), 1)
    dataset = load_dataset(tmp_path / 'data')
    [paused, whole] = dataset.episodes
    assert whole.pauses == ()
    [first] = paused.pauses
    assert 5 <= first < paused.frames - 5
    histories, chunks = dataset.gather(np.arange(paused.frames))
    hand = CONTRACT.interface.observation_slices['hand_pose'].start
    target = CONTRACT.interface.action_slices['target_pose'].start
    for values in (histories[..., hand], chunks[..., target]):
        assert np.ptp(values, axis=1).max() < 0.5
    assert np.ptp(histories[..., hand]) > 0.5 < np.ptp(chunks[..., target])


def test_a_policy_that_was_blind_before_the_person_came_costs_nothing() -> None:
    samples = handover()
    samples['hand_pose'] = [one for one in samples['hand_pose']
                            if not at(0.3) < one.receive_ns < at(0.8)]
    blind = replace(episode(samples), events=events(*TAKE_OVER))
    with pytest.raises(DatasetError, match='hand_pose is older'):
        align(blind, CONTRACT)
    assert len(align_taught(blind, CONTRACT)[0].ticks_ns) > 20


def silent(samples: Samples, *keys: str) -> Samples:
    return {key: [one for one in found if key not in keys or one.receive_ns < at(PRESSED_S)]
            for key, found in samples.items()}


@pytest.mark.parametrize(('marks', 'keys', 'culprit'), [
    (((0.8, 'take_over'), (2.8, 'give_back')), (), 'never pressed the switch'),
    (TAKE_OVER, ('target_pose', 'target_width'), 'a correction without a command: no target_pose'),
    (TAKE_OVER, ('target_width',), 'no target_width arrived in 1.50 s'),
    ((*TAKE_OVER, *TAKE_OVER), (), 'expected one take-over in an episode, got 2'),
    (((0.8, 'take_over'), (1.0, 'person'), (1.3, 'let_go')), (), r'10 frames .* got \d;'),
])
def test_a_correction_that_teaches_nothing_gets_a_sentence(
        marks: Sequence[tuple[float, str]], keys: Sequence[str], culprit: str) -> None:
    made = replace(episode(silent(handover(), *keys)), events=events(*marks))
    with pytest.raises(DatasetError, match=culprit):
        align_taught(made, CONTRACT)


def test_a_recording_that_ends_in_the_hands_of_the_person_ends_there() -> None:
    made = replace(episode(handover()), events=events(*TAKE_OVER[:3]))
    assert corrected_spans(made) == ((at(PRESSED_S), made.bounds_ns[1]),)


def written(folder: Path, index: int, marks: Sequence[tuple[float, str]],
            samples: Samples | None = None) -> Path:
    metadata = replace(METADATA, episode=index, planned_mode=None, seed=None)
    contract = MANNED if marks else CONTRACT  # demonstrations from before and corrections
    with EpisodeWriter(folder / f'episode_{index:06d}', contract, metadata) as writer:
        made = samples or handover(seed=index)
        for receive_ns, key, one in sorted(
                ((one.receive_ns, key, one) for key, found in made.items() for one in found),
                key=lambda item: item[0]):
            writer.write_values(key, one.values, one.stamp_ns, receive_ns)
        for second, kind in marks:
            writer.write_event({'event': kind, 'episode': index, 'mode': None}, at(second))
        return writer.commit()


def test_dataset_and_inspection_find_a_correction_as_such(tmp_path: Path) -> None:
    demos = tmp_path / 'demos'
    demos.mkdir()
    for index, marks in enumerate(((), TAKE_OVER, TAKE_OVER[:2])):
        written(demos, index, marks)
    report = build_dataset([demos], tmp_path / 'data', Recipe(KNIFE, Reading()), Split(0.0, 0), 1)
    plain, correction = report.dataset.episodes
    assert plain.correction_s is None and plain.frames > correction.frames
    assert correction.correction_s == pytest.approx((PRESSED_S, LET_GO_S), abs=0.01)
    assert correction.mode == 'handle_first'  # the rule saw the whole handover
    [left_out] = report.dataset.left_out
    assert left_out.name == 'episode_000002' and 'never pressed' in left_out.reason
    assert load_dataset(tmp_path / 'data').episodes == report.dataset.episodes
    assert '1 correction: ' in summary(report)
    data = json.loads((tmp_path / 'data' / 'dataset.json').read_text())
    assert 'correction_s' not in data['episodes'][0]
    facts = [facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
             for path in sorted(demos.iterdir())]
    found = [one for one in facts if isinstance(one, EpisodeFacts)]
    assert [one.correction_s is None for one in found] == [True, False, True]
    assert 'never pressed' in found[2].left_out
    text = inspected(Session('demos', CONTRACT, tuple(found), (), ()))
    assert 'episode_000001: from 1.0 to 2.5 s' in text and '1 correction, in which' in text


def test_a_correction_that_a_dataset_leaves_out_is_shown_as_one(tmp_path: Path) -> None:
    samples = {key: [one for one in found if key != 'target_pose'
                     or not at(1.5) < one.receive_ns < at(2.1)]
               for key, found in handover().items()}
    path = written(tmp_path, 1, TAKE_OVER, samples)
    facts = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(facts, EpisodeFacts) and 'no target_pose for 0.' in facts.left_out
    assert facts.correction_s == pytest.approx((PRESSED_S, LET_GO_S), abs=0.01)


# --- what the recorder keeps and marks ---

def test_a_ring_keeps_the_newest_seconds_and_no_more_bytes_than_it_may() -> None:
    ring = Ring(1.0, 100)
    for i in range(200):
        ring.add(Kept('/a', b'12', i * 20 * MS, 0))
    assert [one.receive_ns // MS for one in ring.since(0)] == [*range(199 * 20 - 980, 3981, 20)]
    ring.add(Kept('/b', b'x' * 60, 3985 * MS, 0))
    assert sum(len(one.cdr) for one in ring.since(0)) <= 100
    assert ring.since(3985 * MS)[0].topic == '/b'
    ring.add(Kept('/a', b'12', 3983 * MS, 0))  # of another topic, taken later
    assert [one.topic for one in ring.since(3982 * MS)] == ['/b', '/a']
    ring.add(Kept('/a', b'12', 5 * MS, 0))  # the clock went back
    assert [one.receive_ns for one in ring.since(0)] == [5 * MS]


def seen(*said: tuple[str, str]) -> list[list[str]]:
    watch = TakeOverWatch('/policy/status')
    return [list(watch.see(json.dumps({'state': state, 'reason': reason})))
            for state, reason in said]


def test_the_status_of_a_policy_becomes_each_event_once() -> None:
    assert seen(('active', 'policy'), ('hold', 'take_over'), ('hold', 'take_over'),
                ('taken_over', 'person'), ('taken_over', 'person'), ('hold', 'let_go'),
                ('taken_over', 'person'), ('taken_over', 'left_outside'), ('hold', 'let_go'),
                ('hold', 'recovering'), ('active', 'policy')) == [
        [], ['take_over'], [], ['person'], [], ['let_go'], ['person'], ['let_go'], [],
        ['give_back'], []]


def test_a_press_in_motion_is_a_take_over_and_a_stop_ends_it() -> None:
    assert seen(('active', 'policy'), ('taken_over', 'person'), ('waiting', 'stopped')) == [
        [], ['take_over', 'person'], ['let_go', 'give_back']]


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"state": 1}', '[' * 100_000, 'null'])
def test_other_texts_are_no_status(text: str) -> None:
    assert list(TakeOverWatch('/policy/status').see(text)) == []


LOOK_NS = 200 * MS
COMMANDED = '{"state": "taken_over", "reason": "person"}'
SILENT = round(SILENT_S * 1e9) // LOOK_NS  # looks


def looks(watch: TakeOverWatch, count: int, since_ns: int = BEGIN_NS) -> list[str]:
    """Look `count` times; return the findings."""
    found = [watch.silence(since_ns + i * LOOK_NS) for i in range(count)]
    return [str(one) for one in found if one is not None]


def in_take_over() -> TakeOverWatch:
    watch = TakeOverWatch('/policy/status')
    assert list(watch.see(COMMANDED))
    return watch


def test_a_policy_that_falls_silent_in_a_take_over_is_one_finding() -> None:
    watch = in_take_over()
    [finding] = looks(watch, 3 * SILENT)
    assert finding.startswith('/policy/status: nothing for 5 s')
    assert list(watch.see(COMMANDED)) == ['take_over', 'person']


def test_a_policy_that_is_heard_or_has_the_arm_never_falls_silent() -> None:
    watch = in_take_over()
    for part in range(3):
        assert looks(watch, SILENT - 3, BEGIN_NS + part * SILENT * LOOK_NS) == []
        assert list(watch.see(COMMANDED)) == []
    watch = TakeOverWatch('/policy/status')
    assert list(watch.see('{"state": "active", "reason": "policy"}')) == []
    assert looks(watch, 3 * SILENT) == []


def test_a_text_that_is_no_status_does_not_end_the_silence() -> None:
    watch = in_take_over()
    assert looks(watch, SILENT - 3) == [] == list(watch.see('{}'))
    assert len(looks(watch, 10, BEGIN_NS + SILENT * LOOK_NS)) == 1


def test_a_recorder_that_stood_still_does_not_take_that_for_silence() -> None:
    watch = in_take_over()
    assert looks(watch, 2) == [] == looks(watch, 2, BEGIN_NS + 3600 * 10**9)
