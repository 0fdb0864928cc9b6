# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several episodes in one bag: cut where a topic, the gripper or stillness says so, all of it."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
from foreign_bags import flag, text
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import EpisodeEnd
from uncloning_ros.demos.bags.labels import iso_time
from uncloning_ros.demos.bags.pieces import Cut, Remainder
from uncloning_ros.demos.episodes.cut_bag import cut_bag
from uncloning_ros.demos.episodes.cutting import (
    Mark,
    cut_by_events,
    cut_by_gripper,
    cut_by_idle,
    read_mark,
)
from uncloning_ros.demos.episodes.reading import Cutting
from uncloning_ros.errors import BagError, ContractError, DatasetError

S = 10**9
END = EpisodeEnd(open_width_m=0.06, object_distance_m=0.12, max_episode_s=20.0)
CONTRACT = episodes.CONTRACT
BEGIN_NS = episodes.BEGIN_NS


def spans(cut: Cut) -> list[tuple[float, float]]:
    """Return the pieces in seconds."""
    return [(piece.begin_ns / S, piece.end_ns / S) for piece in cut.pieces]


def reasons(cut: Cut) -> list[str]:
    return [rest.reason for rest in cut.remainders]


def require_covered(cut: Cut, first_ns: int, last_ns: int) -> None:
    """Assert that pieces and remainders lie one behind the other and leave nothing out."""
    everything = sorted([(p.begin_ns, p.end_ns) for p in cut.pieces]
                        + [(r.begin_ns, r.end_ns) for r in cut.remainders])
    assert everything[0][0] == first_ns
    assert everything[-1][1] == last_ns
    assert all(one[1] == two[0] for one, two in pairwise(everything))
    assert [p.number for p in cut.pieces] == list(range(1, len(cut.pieces) + 1))


# --- by events ---

def events(*words: str) -> Cut:
    """Cut at marks one second apart, from 1 s on, in a bag of 10 s."""
    return cut_by_events([Mark((i + 1) * S, word) for i, word in enumerate(words)], 0, 10 * S)


@pytest.mark.parametrize(('words', 'kept', 'why'), [
    (['start', 'stop', 'start', 'stop'], [(1, 2), (3, 4)], []),
    (['start', 'discard', 'start', 'stop'], [(3, 4)], ['discarded']),
    (['start', 'stop', 'discard', 'start', 'stop'], [(4, 5)], ['discarded']),
    (['start', 'start', 'stop'], [(2, 3)], ['started again without a stop']),
    (['stop', 'start', 'stop', 'stop'], [(2, 3)], []),
    (['start', 'stop', 'start'], [(1, 2)], ['never stopped']),
    (['start', 'note', 'stop', 'note', 'discard'], [], ['discarded']),
    (['start', 'stop', 'discard', 'discard'], [], ['discarded']),
    (['start', 'stop', 'start', 'discard', 'discard'], [(1, 2)], ['discarded']),
])
def test_marks_say_what_is_kept(words: list[str], kept: list[tuple[int, int]],
                                why: list[str]) -> None:
    cut = events(*words)
    assert spans(cut) == kept
    assert [reason for reason in reasons(cut) if 'outside' not in reason] == why
    require_covered(cut, 0, 10 * S)


@given(st.lists(st.sampled_from(['start', 'stop', 'discard', 'other']), min_size=1, max_size=9)
       .filter(lambda words: 'start' in words))
def test_a_cut_by_events_leaves_nothing_out(words: list[str]) -> None:
    require_covered(events(*words), 0, 10 * S)


def test_a_label_is_of_the_episode_that_is_open_or_was_kept_last() -> None:
    marks = [Mark(1, 'label', 'lost'), Mark(2, 'start'), Mark(3, 'label', 'a'), Mark(4, 'stop'),
             Mark(5, 'label', 'b'), Mark(6, 'start'), Mark(7, 'label', 'x'), Mark(8, 'discard'),
             Mark(9, 'label', 'c'), Mark(10, 'start'), Mark(11, 'label'), Mark(12, 'stop')]
    assert [[(label.mode, label.at) for label in piece.labels]
            for piece in cut_by_events(marks, 0, 20).pieces] == [
        [(mode, iso_time(at_ns)) for at_ns, mode in ((3, 'a'), (5, 'b'), (9, 'c'))], []]


def test_what_the_recorder_undid_is_no_episode_even_after_a_discarded_take() -> None:
    marks = [Mark(1, 'start', episode=4), Mark(2, 'stop', episode=4),
             Mark(3, 'start', episode=5), Mark(4, 'stop', episode=5),
             Mark(5, 'start', episode=6), Mark(6, 'discard', episode=6),
             Mark(7, 'label', 'late', episode=4), Mark(8, 'discard', episode=5),
             Mark(9, 'label', 'late', episode=5), Mark(10, 'discard', episode=4)]
    assert spans(cut_by_events(marks[:7], 0, 20)) == [(1 / S, 2 / S), (3 / S, 4 / S)]
    (left,) = cut_by_events(marks[:9], 0, 20).pieces
    assert (left.begin_ns, left.labels) == (1, ())
    assert cut_by_events(marks, 0, 20).pieces == ()


def test_marks_out_of_order_are_put_in_order() -> None:
    cut = cut_by_events([Mark(2 * S, 'stop'), Mark(1 * S, 'start')], 0, 3 * S)
    assert spans(cut) == [(1, 2)]


def test_a_topic_that_starts_nothing_is_told_with_what_it_says() -> None:
    with pytest.raises(DatasetError, match="expected a start .* got 'begin', 'end'"):
        events('begin', 'end')


@pytest.mark.parametrize(('data', 'word', 'mode'), [
    (True, 'start', None), (False, 'stop', None), (' Start\n', 'start', None),
    (json.dumps({'event': 'start', 'episode': 3, 'mode': 'handle_first'}), 'start',
     'handle_first'),
    (json.dumps({'event': 'stop', 'mode': None}), 'stop', None),
    (json.dumps({'event': 'fail'}), 'discard', None),
    (json.dumps({'event': 'recovered'}), 'stop', None),
    (json.dumps({'event': 'label', 'mode': 'blade_first'}), 'label', 'blade_first'),
    ('["start"]', '["start"]', None), ('[' * 9999, '[' * 9999, None), ('', '', None),
])
def test_marks_are_read_from_flags_words_and_json(data: Any, word: str, mode: str | None) -> None:
    found = read_mark(7, SimpleNamespace(data=data))
    assert (found.receive_ns, found.word, found.mode) == (7, word, mode)


def test_a_label_may_have_a_span_and_other_marks_have_none() -> None:
    for word in ('label', 'start'):
        mark = read_mark(7, SimpleNamespace(data=json.dumps(
            {'event': word, 'mode': 'blade_first', 'from_s': 1, 'to_s': 2.5})))
        assert (mark.from_s, mark.to_s) == ((1.0, 2.5) if word == 'label' else (None, None))
    cut = cut_by_events([Mark(1, 'start'), Mark(2, 'label', 'a', from_s=1.0), Mark(3, 'stop')],
                        0, 4)
    assert [label.span for label in cut.pieces[0].labels] == ['from 1 s']


# --- by the gripper ---

def gripper(widths: list[tuple[float, float]], until_s: float, apart: Any = None,
            commands: Any = None, end: EpisodeEnd = END) -> Cut:
    """Cut by a width that changes at the times told; it is seen 20 times a second."""
    times_ns = np.arange(0, round(until_s * S) + 1, S // 20)
    width = np.zeros(len(times_ns))
    for at_s, value in widths:
        width[times_ns >= at_s * S] = value
    apart_ns = times_ns if apart is not None else times_ns[:0]
    apart_m = np.array([apart(at_ns / S) for at_ns in apart_ns])
    command_ns = times_ns if commands is None else (np.array(commands) * S).astype(np.int64)
    cut = cut_by_gripper(times_ns, width, apart_ns, apart_m, command_ns, end, 0, int(times_ns[-1]))
    require_covered(cut, 0, int(times_ns[-1]))
    return cut


def test_each_closing_and_opening_is_an_episode() -> None:
    cut = gripper([(0, 0.08), (3, 0.02), (6, 0.08), (15, 0.03), (18, 0.08)], 30)
    assert spans(cut) == [(0, 8), (8, 20)]


def test_an_episode_ends_once_the_object_is_away() -> None:
    cut = gripper([(0, 0.08), (3, 0.02), (6, 0.08)], 30, apart=lambda s: 0.2 if s >= 7 else 0.05)
    assert spans(cut) == [(0, 7)]
    assert reasons(cut) == ['outside of the handovers']


def test_a_gripper_that_begins_or_stays_closed_makes_no_episode() -> None:
    assert spans(gripper([(0, 0.02), (3, 0.08)], 10)) == []
    never = gripper([(0, 0.08), (3, 0.02)], 10)
    assert (spans(never), reasons(never)) == (
        [], ['the gripper was never open, closed and opened again'])
    assert spans(gripper([(0, 0.02), (3, 0.08), (5, 0.02), (8, 0.08)], 20)) == [(0, 10)]


def test_an_encoder_that_trembles_cuts_nothing() -> None:
    cut = gripper([(0, 0.08), (1, 0.05), (1.05, 0.08), (3, 0.02), (4, 0.061), (4.1, 0.02),
                   (6, 0.08)], 10)
    assert spans(cut) == [(0, 8)]


def test_an_episode_begins_after_the_last_pause_of_the_commands() -> None:
    driven = [*np.arange(0, 1, 0.05), *np.arange(2, 9, 0.05)]
    cut = gripper([(0, 0.08), (4, 0.02), (6, 0.08)], 10, commands=driven)
    assert spans(cut) == [(1.7, 8)]


def test_an_episode_is_no_longer_than_the_contract_allows() -> None:
    cut = gripper([(0, 0.08), (24, 0.02), (26, 0.08)], 40)
    assert spans(cut) == [(8, 28)]


def test_the_next_closing_ends_an_episode_that_nothing_else_ends() -> None:
    cut = gripper([(0, 0.08), (3, 0.02), (6, 0.08), (7, 0.02), (9, 0.08)], 20)
    assert spans(cut) == [(0, 7), (7, 11)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from([0.0, 0.05, 0.07, 0.08])),
                max_size=12).map(sorted))
def test_a_cut_by_the_gripper_leaves_nothing_out(widths: list[tuple[float, float]]) -> None:
    gripper([(0, 0.08), *widths], 31)


# --- by stillness ---

def idle(moving_s: list[tuple[float, float]], until_s: float, idle_s: float = 3.0,
         speed_m_s: float = 0.1, wobble_m: float = 0.0) -> Cut:
    """Cut by a tool that moves during the spans told, seen 100 times a second."""
    times_ns = np.arange(0, round(until_s * S) + 1, S // 100)
    moving = np.zeros(len(times_ns), dtype=bool)
    for begin_s, end_s in moving_s:
        moving |= (times_ns > begin_s * S) & (times_ns <= end_s * S)
    poses = np.tile(foreign_bags.eye(), (len(times_ns), 1))
    poses[:, 0] = np.cumsum(moving) * speed_m_s / 100
    poses[:, 1] = wobble_m * np.sin(np.arange(len(times_ns)))
    cut = cut_by_idle(times_ns, poses, idle_s, 0, int(times_ns[-1]))
    require_covered(cut, 0, int(times_ns[-1]))
    return cut


def test_what_lies_between_two_rests_is_an_episode_with_half_a_second_of_each() -> None:
    cut = idle([(4, 8), (12, 20)], 25)
    np.testing.assert_allclose(spans(cut), [(3.5, 8.5), (11.5, 20.5)], atol=0.11)
    assert set(reasons(cut)) == {'the tool stood still for 3 s'}


def test_a_short_rest_within_an_episode_does_not_cut_it() -> None:
    np.testing.assert_allclose(spans(idle([(4, 8), (10.5, 15)], 20)), [(3.5, 15.5)], atol=0.11)


def test_a_bag_that_never_rests_is_one_episode() -> None:
    assert spans(idle([(0, 20)], 20)) == [(0, 20)]


def test_a_bag_that_never_moves_holds_none() -> None:
    assert spans(idle([], 20)) == []


def test_a_trembling_tool_stands_still() -> None:
    cut = idle([(6, 10)], 16, wobble_m=0.001)
    np.testing.assert_allclose(spans(cut), [(5.5, 10.5)], atol=0.11)


def test_a_turning_tool_moves() -> None:
    times_ns = np.arange(0, 12 * S, S // 50)
    angle = np.clip((times_ns - 4 * S) / S, 0, 3)
    zero = np.zeros_like(angle)
    poses = np.stack([zero, zero, zero, np.cos(angle), np.sin(angle), zero, -np.sin(angle),
                      np.cos(angle), zero], axis=1)
    cut = cut_by_idle(times_ns, poses, 2.0, 0, int(times_ns[-1]))
    np.testing.assert_allclose(spans(cut), [(3.5, 7.5)], atol=0.11)
    joints = np.stack([angle, zero], axis=1)
    assert spans(cut_by_idle(times_ns, joints, 2.0, 0, int(times_ns[-1]))) == spans(cut)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 5)), max_size=5), st.floats(1, 4))
def test_a_cut_by_stillness_leaves_nothing_out(moves: list[tuple[float, float]],
                                               idle_s: float) -> None:
    idle([(begin_s, begin_s + length_s) for begin_s, length_s in moves], 32, idle_s)


def test_too_short_a_rest_is_refused() -> None:
    with pytest.raises(DatasetError, match='at least 1 s .*got 0.5'):
        Cutting('idle', idle_s=0.5)


# --- bags ---

def three(folder: Path, how: str = 'sqlite3', extra: Any = ()) -> Path:
    """Write three handovers, five seconds apart, as one bag."""
    parts = [foreign_bags.at_distance(episodes.handover(seed=seed), 5.0 * seed)
             for seed in range(3)]
    messages = foreign_bags.messages_of(foreign_bags.joined(*parts))
    return foreign_bags.write(folder / 'day', sorted([*messages, *extra]), how)


def begun(cut: Cut) -> list[tuple[float, float]]:
    return [((p.begin_ns - BEGIN_NS) / S, (p.end_ns - BEGIN_NS) / S) for p in cut.pieces]


@pytest.mark.parametrize('mark', [flag, lambda at, on: text(at, 'start' if on else 'stop')])
def test_a_bag_is_cut_by_flags_and_by_words(mark: Any, tmp_path: Path) -> None:
    marks = [mark(BEGIN_NS + at * S, on) for at, on in ((5, True), (8, False), (10, True),
                                                        (13, False))]
    cut = cut_bag(three(tmp_path, extra=marks), CONTRACT, {}, Cutting('event', 'pedal'))
    assert begun(cut) == [(5, 8), (10, 13)]


def test_the_recorders_own_events_are_the_default_and_tell_the_mode(tmp_path: Path) -> None:
    own = [text(BEGIN_NS + at * S, json.dumps({'event': word, 'mode': 'blade_first'}),
                '/recorder/episode_event') for at, word in ((0, 'start'), (3, 'stop'))]
    cut = cut_bag(three(tmp_path, extra=own), CONTRACT, {}, Cutting('event'))
    assert [piece.planned_mode for piece in cut.pieces] == ['blade_first']


@pytest.mark.parametrize(('span', 'sentence'), [
    ({'from_s': 'soon'}, "expected from_s of a label in seconds, got 'soon'"),
    ({'to_s': True}, 'expected to_s of a label in seconds, got True'),
    ({'to_s': 10**400}, 'expected to_s of a label in seconds, got 1000'),
    ({'to_s': float('nan')}, '0 or above, got nan'), ({'from_s': -1}, '0 or above, got -1'),
    ({'from_s': 2, 'to_s': 1}, 'after its begin at 2 s, got an end at 1 s')])
def test_an_impossible_span_of_an_event_is_refused(span: dict[str, Any], sentence: str,
                                                   tmp_path: Path) -> None:
    own = [text(BEGIN_NS + at * S, json.dumps({'event': event, 'mode': 'blade_first', **more}))
           for at, event, more in ((0, 'start', {}), (1, 'label', span), (3, 'stop', {}))]
    with pytest.raises(BagError, match=f'day: an event: .*{sentence}'):
        cut_bag(three(tmp_path, extra=own), CONTRACT, {}, Cutting('event', '/pedal'))


@pytest.mark.parametrize('word', ['start', 'label'])
def test_an_event_of_an_unknown_mode_is_refused(word: str, tmp_path: Path) -> None:
    own = [text(BEGIN_NS + at * S, json.dumps({'event': event, 'mode': mode}))
           for at, event, mode in ((0, 'start', None), (1, word, 'blade_frist'),
                                   (3, 'stop', None))]
    with pytest.raises(ContractError, match="day: an event: unknown mode 'blade_frist' .did you"):
        cut_bag(three(tmp_path, extra=own), CONTRACT, {}, Cutting('event', '/pedal'))


def test_a_bag_is_cut_by_its_gripper(tmp_path: Path) -> None:
    cut = cut_bag(three(tmp_path, 'mcap'), CONTRACT, {}, Cutting('gripper'))
    # Closed from 0.8 to 2.2 s; the tool is then drawn back by 5 cm alone. The last message
    # arrives at 13.025 s.
    assert [round(begin, 2) for begin, _ in begun(cut)] == [0, 4.7, 9.7]
    assert [round(end, 2) for _, end in begun(cut)] == [4.22, 9.22, 13.03]


def test_a_bag_is_cut_by_its_rests(tmp_path: Path) -> None:
    cut = cut_bag(three(tmp_path, 'mcap'), CONTRACT, {}, Cutting('idle', idle_s=2.0))
    assert len(cut.pieces) == 3


@pytest.mark.parametrize(('topic', 'error', 'sentence'), [
    ('/padel', DatasetError, 'got no message, on /padel; name the event topic with --event-topic; '
                             'there are /pedal'),
    ('/hand_pose', BagError, '/hand_pose to be a std_msgs/msg/Bool or a std_msgs/msg/String, '
                             'got a geometry_msgs/msg/PoseStamped'),
])
def test_an_event_topic_that_tells_nothing_is_refused(topic: str, error: type[Exception],
                                                      sentence: str, tmp_path: Path) -> None:
    path = three(tmp_path, extra=[flag(BEGIN_NS, True)])
    with pytest.raises(error, match=sentence):
        cut_bag(path, CONTRACT, {}, Cutting('event', topic))


def test_a_contract_without_a_gripper_cannot_cut_by_it(tmp_path: Path) -> None:
    interface = CONTRACT.interface
    contract = replace(CONTRACT, interface=replace(interface, observations=tuple(
        s for s in interface.observations if s.kind != 'gripper_width')))
    with pytest.raises(ContractError, match='gripper width'):
        cut_bag(three(tmp_path), contract, {}, Cutting('gripper'))


@pytest.mark.parametrize('by', ['gripper', 'idle'])
def test_a_clock_that_jumped_is_told_and_fills_no_memory(by: str, tmp_path: Path) -> None:
    messages = foreign_bags.messages_of(episodes.handover())
    late = [one._replace(receive_ns=one.receive_ns + 10**18) for one in messages[300:]]
    path = foreign_bags.write(tmp_path / 'day', [*messages[:300], *late])
    with pytest.raises(DatasetError, match='clock'):
        cut_bag(path, CONTRACT, {}, Cutting(by))


def test_remainders_are_told_in_their_order() -> None:
    cut = events('start', 'discard', 'start', 'stop')
    assert cut.remainders == (Remainder(0, S, 'outside of every start and stop'),
                              Remainder(S, 2 * S, 'discarded'),
                              Remainder(2 * S, 3 * S, 'outside of every start and stop'),
                              Remainder(4 * S, 10 * S, 'outside of every start and stop'))
