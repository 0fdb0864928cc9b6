# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verdict on an episode names what is wrong with it and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import TRANSFORMS, Contract
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.message_types import message_class, typestore
from uncloning_ros.demos.bags.verdict import Finding, Health, recorded_health
from uncloning_ros.demos.recording.health import EpisodeJudge, rule_names, topic_rules
from uncloning_ros.demos.recording.rates import RateWatch
from uncloning_ros.schema import plain


def _contract() -> Contract:
    """Return a contract in which the tracked poses must not repeat for long."""
    deployment = episodes.CONTRACT.deployment
    topics = {key: replace(topic, max_unchanged_s=0.5 if key.endswith('d_pose') else None)
              for key, topic in deployment.observations.items()}
    return replace(episodes.CONTRACT, deployment=replace(deployment, observations=topics))


S = 10**9
CONTRACT = _contract()
RULES = topic_rules(CONTRACT)
Arrivals = list[tuple[str, bytes, int]]


def cdr(key: str, step: int, stamp_ns: int) -> bytes:
    """Return one message of a key; every step has other values."""
    contract = CONTRACT
    signal = next(s for s in (*contract.interface.observations, *contract.interface.actions)
                  if s.key == key)
    topic = {**contract.deployment.observations, **contract.deployment.actions}[key]
    values = np.full(signal.dim, 0.01 + 1e-4 * step)
    if signal.kind == 'pose':
        values = episodes.pose(x=0.4 + 1e-4 * step)
    message = encode(signal, topic.type, values, stamp_ns, message_class)
    return bytes(typestore().serialize_cdr(message, topic.type))


def arrivals(late_ns: int = 0) -> Arrivals:
    """Return three seconds of every topic at 20 Hz, 10 s after the epoch."""
    found = []
    for step in range(61):
        now_ns = 10 * S + step * S // 20
        for name, topic in bag_topics(CONTRACT).items():
            found.append((name, cdr(topic.signals[0].key, step, now_ns - late_ns), now_ns))
    return found


def judged(found: Arrivals, usual_hz: dict[str, float] | None = None,
           contract: Contract = CONTRACT) -> Health:
    judge = EpisodeJudge(contract, usual_hz or {})
    for one in found:
        judge.see(*one)
    return judge.verdict(10 * S, 13 * S, {}, {})


def kinds(health: Health) -> list[tuple[str, str]]:
    return [(one.kind, one.topic) for one in health.findings]


def without(found: Arrivals, topic: str, gone: Callable[[int], bool]) -> Arrivals:
    return [one for one in found if one[0] != topic or not gone(one[2])]


def test_an_episode_in_which_all_is_well_is_good() -> None:
    health = judged(arrivals())
    assert (health.verdict, health.sentence()) == ('good', 'good')
    assert health.topics['/hand_pose'] == {'messages': 61, 'rate_hz': 20.0,
                                           'longest_gap_s': 0.05, 'lost': 0, 'dropped': 0}


@pytest.mark.parametrize(('name', 'gone', 'at_s'), [
    ('in the middle', lambda t: 11 * S < t < 12 * S, 1.0),
    ('at the start', lambda t: t < 11 * S, 0.0),
    ('at the end', lambda t: t > 11 * S, 1.0),
])
def test_an_observation_that_pauses_is_found_wherever_it_does(
        name: str, gone: Callable[[int], bool], at_s: float) -> None:
    health = judged(without(arrivals(), '/hand_pose', gone))
    assert kinds(health) == [('gap', '/hand_pose')], name
    assert f'at {at_s} s (max_age_s 0.3)' in health.findings[0].text


def test_commands_may_begin_late_and_end_early_but_not_pause() -> None:
    edges = without(arrivals(), '/target_pose', lambda t: not 11 * S < t < 12 * S)
    assert judged(edges).verdict == 'good'
    pause = without(arrivals(), '/target_pose', lambda t: 11 * S < t < 12 * S)
    assert kinds(judged(pause)) == [('gap', '/target_pose')]


def test_a_topic_of_the_contract_without_a_message_is_found() -> None:
    health = judged(without(arrivals(), '/target_pose', lambda _: True))
    assert kinds(health) == [('empty', '/target_pose')]


def test_a_rate_is_compared_with_what_is_usual() -> None:
    assert judged(arrivals(), {'/hand_pose': 25.0}).verdict == 'good'
    health = judged(arrivals(), {'/hand_pose': 40.0, '/target_pose': 40.0})
    assert kinds(health) == [('rate', '/hand_pose')]
    assert health.findings[0].text == 'came at 20.0 Hz, usually 40.0 Hz'


def test_a_sensor_that_repeats_itself_is_found_though_its_stamps_go_on() -> None:
    frozen = [(name, cdr('hand_pose', 7, t) if name == '/hand_pose' and t > 11 * S else data, t)
              for name, data, t in arrivals()]
    health = judged(frozen)
    assert kinds(health) == [('frozen', '/hand_pose')]
    assert 'the same values for 1.95 s (max_unchanged_s 0.5)' in health.findings[0].text


def test_without_a_limit_only_a_value_that_never_changes_is_odd() -> None:
    held = [(name, cdr('wrist_force', 7, t) if name == '/ft_sensor/wrench' and t > 11 * S
             else data, t) for name, data, t in arrivals()]
    assert judged(held).verdict == 'good'
    never = [(name, cdr('wrist_force', 7, t) if name == '/ft_sensor/wrench' else data, t)
             for name, data, t in arrivals()]
    assert kinds(judged(never)) == [('frozen', '/ft_sensor/wrench')]


def test_stamps_of_another_clock_are_found() -> None:
    health = judged(arrivals(late_ns=2 * S))
    assert {kind for kind, _ in kinds(health)} == {'clock'}
    assert 'at least 2.00 s before their arrival (max_age_s 0.3)' in health.sentence()
    ahead = judged(arrivals(late_ns=-2 * S))
    assert 'up to 2.00 s after their arrival' in ahead.sentence()


def test_messages_that_come_late_once_are_no_other_clock() -> None:
    held_up, through = 11 * S, 11 * S + 4 * S // 10
    found = sorted(((name, data, through if name == '/hand_pose' and held_up <= t < through else t)
                    for name, data, t in arrivals()), key=lambda one: one[2])
    assert {kind for kind, _ in kinds(judged(found))} == {'gap'}


def test_missing_and_backward_stamps_are_found() -> None:
    found = arrivals()
    bare = [(name, cdr('hand_pose', 1, 0) if name == '/hand_pose' and t == 11 * S else data, t)
            for name, data, t in found]
    assert kinds(judged(bare)) == [('refused', '/hand_pose')]
    assert 'hand_pose: expected a time stamp, got none' in judged(bare).sentence()
    back = [(name, cdr('hand_pose', 1, t - S // 10) if name == '/hand_pose' and t == 11 * S
             else data, t) for name, data, t in found]
    assert '1 stamp earlier than the one before' in judged(back).sentence()


def test_where_the_contract_says_so_stamps_are_not_looked_at() -> None:
    deployment = CONTRACT.deployment
    unstamped = {key: replace(topic, stamped=False)
                 for key, topic in deployment.observations.items()}
    contract = replace(CONTRACT,
                       deployment=replace(deployment, observations=unstamped))
    assert judged(arrivals(late_ns=2 * S), contract=contract).verdict == 'good'


def test_a_clock_that_runs_backwards_is_found() -> None:
    found = arrivals()
    health = judged(found + [(name, data, t - 2 * S) for name, data, t in found[-7:]])
    assert ('clock', '') in kinds(health)
    assert 'a step back of 2.000 s' in health.sentence()


# --- transforms: one topic, and every frame counts for itself ---

def transforms(frames: dict[str, float], stamp_ns: int, odd: str = 'panda_link0') -> bytes:
    """Return a serialised TFMessage with one transform for each frame, at an x."""
    types = typestore().types
    made = []
    for frame, x in frames.items():
        header = types['std_msgs/msg/Header'](
            stamp=types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, S)), frame_id=odd)
        made.append(types['geometry_msgs/msg/TransformStamped'](
            header=header, child_frame_id=frame, transform=types['geometry_msgs/msg/Transform'](
                translation=types['geometry_msgs/msg/Vector3'](x, 0.0, 0.0),
                rotation=types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0))))
    message = types[TRANSFORMS](transforms=made)
    return bytes(typestore().serialize_cdr(message, TRANSFORMS))


def test_each_frame_of_the_transforms_is_judged_by_itself() -> None:
    deployment = CONTRACT.deployment
    topics = {key: replace(topic, topic='tf', type=TRANSFORMS, child_frame=key)
              if key in ('object_pose', 'hand_pose') else topic
              for key, topic in deployment.observations.items()}
    contract = replace(CONTRACT, deployment=replace(deployment, observations=topics))
    assert {'/tf object_pose', '/tf hand_pose'} <= set(topic_rules(contract))
    assert rule_names(contract)['hand_pose'] == '/tf hand_pose'
    found = [one for one in arrivals() if one[0] not in ('/object_pose', '/hand_pose')]
    for step in range(61):
        now_ns = 10 * S + step * S // 20
        frames = {'object_pose': step * 1e-3, 'camera': 1.0}
        if step < 20:
            frames['hand_pose'] = step * 1e-3
        found.append(('/tf', transforms(frames, now_ns), now_ns))
    health = judged(found, contract=contract)
    assert kinds(health) == [('gap', '/tf hand_pose')]
    assert health.topics['/tf object_pose']['messages'] == health.topics['/tf']['messages'] == 61
    assert health.topics['/tf hand_pose']['messages'] == 20
    still = [(name, transforms({'object_pose': 0.1, 'hand_pose': 0.1 + t * 1e-9}, t), t)
             if name == '/tf' else (name, data, t) for name, data, t in found]
    assert kinds(judged(still, contract=contract)) == [('frozen', '/tf object_pose')]


def test_lost_and_dropped_messages_are_never_silent() -> None:
    judge = EpisodeJudge(CONTRACT, {})
    for one in arrivals():
        judge.see(*one)
    health = judge.verdict(10 * S, 13 * S, {'/hand_pose': 3}, {'/camera': 5})
    assert kinds(health) == [('lost', '/camera'), ('dropped', '/hand_pose')]
    assert health.topics['/hand_pose']['dropped'] == 3
    assert '/camera: 5 messages never arrived' in health.sentence()


def test_topics_beside_the_contract_are_counted_not_judged() -> None:
    health = judged([*arrivals(), ('/camera', b'', 13 * S)])
    assert health.verdict == 'good'
    assert health.topics['/camera']['messages'] == 1


def test_a_verdict_survives_the_bag() -> None:
    health = judged(without(arrivals(), '/target_pose', lambda _: True))
    events = ((0, {'event': 'start'}), (1, {'event': 'stop', 'health': plain(health)}))
    assert recorded_health(events) == health
    assert recorded_health(events[:1]) is None


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(['schema', 'findings', 'topics', 'kind']), inner)))
def test_a_damaged_verdict_is_none(data: object) -> None:
    events = ((0, {'event': 'stop', 'health': data}),)
    assert recorded_health(events) is None or isinstance(data, dict)


@given(st.lists(st.tuples(st.sampled_from([*RULES, '/other']), st.binary(max_size=40),
                          st.integers(0, 2**62))))
def test_whatever_bytes_arrive_there_is_a_verdict(found: Arrivals) -> None:
    health = judged(found)
    assert all(isinstance(one, Finding) for one in health.findings)
    assert sum(figures['messages'] for figures in health.topics.values()) == len(found)


# --- rates ---

def seconds(watch: RateWatch, topic: str, counts: list[int], learn: bool = True) -> None:
    """Let whole seconds pass in which a topic arrived so often."""
    for count in counts:
        begin_ns = watch._tick_ns or 0
        if not begin_ns:
            watch.tick(S, learn=False)
            begin_ns = S
        if count:
            watch.seen(topic, count, begin_ns + S // 2)
        watch.tick(begin_ns + S, learn)


def test_what_is_usual_is_the_median_of_earlier_seconds() -> None:
    watch = RateWatch()
    seconds(watch, '/a', [40, 41])
    assert watch.usual_hz == {}
    seconds(watch, '/a', [39, 0, 400])
    assert watch.usual_hz == {'/a': 40.5}
    assert watch.rates_hz == {'/a': 400.0}


def test_nothing_is_learned_during_an_episode() -> None:
    watch = RateWatch()
    seconds(watch, '/a', [40] * 5)
    seconds(watch, '/a', [5] * 50, learn=False)
    assert watch.usual_hz == {'/a': 40.0}
    assert watch.warnings({'/a': 1.0}, 56 * S) == ['/a comes at 5.0 Hz, usually 40.0 Hz']


def test_silence_is_told_with_its_age() -> None:
    watch = RateWatch()
    watch.seen('/b', 1, 10 * S)
    watch.seen('/c', 1, 13 * S)
    limits = {'/a': 1.0, '/b': 1.0, '/c': 1.0}
    assert watch.silent(limits, 13 * S + S // 5) == {'/a': 'never', '/b': 'stale 3.2 s'}
    assert watch.warnings(limits, 13 * S + S // 5)[:2] == [
        'nothing arrives on /a (never)', 'nothing arrives on /b (stale 3.2 s)']


def test_a_simulated_clock_that_stands_still_or_jumps_back_makes_no_rate() -> None:
    watch = RateWatch()
    seconds(watch, '/a', [40] * 5)
    now_ns = watch._tick_ns or 0
    watch.seen('/a', 1000, now_ns)
    watch.tick(now_ns, learn=True)
    watch.tick(now_ns - 10 * S, learn=True)
    assert watch.usual_hz == {'/a': 40.0}
    assert watch.age_s('/a', now_ns - 10 * S) == 0.0


def test_the_bytes_of_a_second_are_known_from_seconds_without_a_take() -> None:
    watch = RateWatch()
    watch.tick(0, learn=True)
    for second in range(1, 5):
        assert watch.usual_bytes_s == 0.0 or second == 4
        for _ in range(30):
            watch.weigh(99_950)
        watch.tick(second * S, learn=True)
    assert watch.usual_bytes_s == 3e6
    watch.tick(5 * S, learn=False)
    assert watch.usual_bytes_s == 3e6
