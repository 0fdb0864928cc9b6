# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an episode is good, judged from its messages as they are written.

The verdict is part of the recorder's last event in the bag, under `health`:

    {"schema": "uncloning/health@1", "verdict": "findings",
     "findings": [{"kind": "gap", "topic": "/hand_pose", "text": "nothing for 1.30 s ..."}],
     "topics": {"/hand_pose": {"messages": 312, "rate_hz": 39.8, "longest_gap_s": 1.3,
                               "lost": 0, "dropped": 0}, ...}}

`lost` are messages that never reached the recorder (their publisher numbered them), `dropped`
those that the recorder itself could not take because the disk was too slow.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bag import bag_topics
from uncloning_ros.demos.cutting import PAUSE_NS

SCHEMA = 'uncloning/health@1'

# Below this share of its usual rate a topic is slow: a camera that fell from 30 Hz to 15 Hz.
SLOW = 0.6
# An episode shorter than this tells nothing about rates or frozen values.
_LEAST_S = 1.0
_LEAST_MESSAGES = 10
# Types that begin with a std_msgs/Header, whose stamp then lies in the bytes 4 to 12 of a message.
_STAMPED_TYPES = ('geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/WrenchStamped',
                  'sensor_msgs/msg/JointState', 'trajectory_msgs/msg/JointTrajectory')
_STAMP_END = 12


@dataclass(frozen=True)
class TopicRule:
    """What is expected of one topic of the contract.

    `max_gap_s` is the longest pause between two messages; for an `observation` also before the
    first and after the last. Commands may pause as long as a dataset allows. `max_unchanged_s` is
    how long the same value may repeat, None where only an episode-long repetition is odd. In a
    type with a `header` the values begin behind it; `stamped` tells whether its stamp is judged.
    """

    observation: bool
    max_gap_s: float
    max_unchanged_s: float | None
    header: bool
    stamped: bool


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `kind` is one of empty, gap, rate, frozen, clock, lost, dropped, recovered; `topic` is ''
    where it concerns the whole episode.
    """

    kind: str
    topic: str
    text: str

    def __str__(self) -> str:
        return f'{self.topic}: {self.text}' if self.topic else self.text


@dataclass(frozen=True)
class Health:
    """The verdict on one episode, and each topic's figures."""

    findings: tuple[Finding, ...]
    topics: Mapping[str, Mapping[str, float]]

    @property
    def verdict(self) -> str:
        """Return 'good' or 'findings'."""
        return 'findings' if self.findings else 'good'

    def sentence(self) -> str:
        """Return the verdict for a person, on one line."""
        if not self.findings:
            return 'good'
        return '; '.join(str(finding) for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain data, as the last event of a bag has it."""
        return {'schema': SCHEMA, 'verdict': self.verdict,
                'findings': [vars(finding) for finding in self.findings],
                'topics': {name: dict(figures) for name, figures in self.topics.items()}}


def recorded_health(events: Sequence[tuple[int, Mapping[str, Any]]]) -> Health | None:
    """Return the verdict that a bag's events carry, None if nobody judged or it is damaged."""
    for _, event in reversed(events):
        data = event.get('health')
        try:
            if data is not None and data['schema'] == SCHEMA:
                return Health(tuple(Finding(str(one['kind']), str(one['topic']), str(one['text']))
                                    for one in data['findings']),
                              {str(name): {str(key): float(value)
                                           for key, value in figures.items()}
                               for name, figures in data['topics'].items()})
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
    return None


def topic_rules(contract: Contract) -> dict[str, TopicRule]:
    """Return what is expected of each topic of the contract, by absolute name."""
    observations = contract.deployment.observations
    rules = {}
    for name, topic in bag_topics(contract).items():
        sources = [observations[signal.key] for signal in topic.signals
                   if signal.key in observations]
        ages_s = [one.max_age_s for one in sources if one.max_age_s is not None]
        unchanged_s = [one.max_unchanged_s for one in sources if one.max_unchanged_s is not None]
        header = topic.type in _STAMPED_TYPES
        rules[name] = TopicRule(bool(sources), min(ages_s, default=PAUSE_NS * 1e-9),
                                min(unchanged_s, default=None), header,
                                header and bool(sources) and all(one.stamped for one in sources))
    return rules


class EpisodeJudge:
    """Look at every message of one episode and tell in the end whether it is good.

    `usual_hz` has the rates that were seen before the episode. Times are of one clock, ROS time
    in a live recorder. Topics that the contract does not have are counted, not judged.
    """

    def __init__(self, rules: Mapping[str, TopicRule], usual_hz: Mapping[str, float]) -> None:
        self._rules = rules
        self._usual_hz = usual_hz
        self._tallies = {name: _Tally(rule) for name, rule in rules.items()}

    def see(self, topic: str, cdr: bytes, receive_ns: int) -> None:
        """Take notice of one serialised message."""
        tally = self._tallies.get(topic)
        if tally is None:
            tally = self._tallies[topic] = _Tally(None)
        tally.see(cdr, receive_ns)

    def verdict(self, start_ns: int, end_ns: int, dropped: Mapping[str, int],
                lost: Mapping[str, int]) -> Health:
        """Judge the episode that lasted from `start_ns` to `end_ns`."""
        findings: list[Finding] = []
        figures: dict[str, dict[str, float]] = {}
        for name, tally in self._tallies.items():
            gap_s, at_s = tally.longest_gap_s(start_ns, end_ns)
            rate_hz = tally.rate_hz()
            figures[name] = {'messages': tally.count, 'rate_hz': round(rate_hz, 2),
                             'longest_gap_s': round(gap_s, 3), 'lost': lost.get(name, 0),
                             'dropped': dropped.get(name, 0)}
            findings += [Finding(kind, name, text) for kind, text in self._findings(
                name, tally, gap_s, at_s, (end_ns - start_ns) * 1e-9)]
        for kind, counts, text in (('lost', lost, 'never arrived'),
                                   ('dropped', dropped, 'could not be written in time')):
            findings += [Finding(kind, name, f'{count} messages {text}')
                         for name, count in counts.items() if count]
        back_ns = max((tally.back_ns for tally in self._tallies.values()), default=0)
        if back_ns > 0:
            findings.append(Finding('clock', '', f'time ran {back_ns * 1e-9:.2f} s backwards '
                                                 f'during the episode'))
        return Health(tuple(findings), figures)

    def _findings(self, name: str, tally: '_Tally', gap_s: float, at_s: float,
                  length_s: float) -> list[tuple[str, str]]:
        rule = tally.rule
        if rule is None:
            return []
        if not tally.count:
            return [('empty', 'no message at all')]
        found = []
        if gap_s > rule.max_gap_s:
            found.append(('gap', f'nothing for {gap_s:.2f} s at {at_s:.1f} s '
                                 f'(allowed {rule.max_gap_s:g} s)'))
        usual_hz = self._usual_hz.get(name, 0.0)
        if rule.observation and length_s >= _LEAST_S and tally.rate_hz() < SLOW * usual_hz:
            found.append(('rate', f'came at {tally.rate_hz():.1f} Hz, usually {usual_hz:.1f} Hz'))
        found += tally.frozen(length_s)
        found += tally.clock()
        return found


class _Tally:
    """What was seen of one topic; `rule` is None for one that the contract does not have."""

    def __init__(self, rule: TopicRule | None) -> None:
        self.rule = rule
        self.count = 0
        self.back_ns = 0  # by how much arrivals ran backwards
        self._first_ns = self._last_ns = 0
        self._gap_ns = self._gap_at_ns = 0
        self._value = b''
        self._value_since_ns = self._unchanged_ns = 0
        self._changed = False
        self._stamp_ns = self._backwards = self._unstamped = 0
        self._offset_ns = 0  # the largest between stamp and arrival, signed

    def see(self, cdr: bytes, receive_ns: int) -> None:
        if self.count:
            gap_ns = receive_ns - self._last_ns
            if gap_ns > self._gap_ns:
                self._gap_ns, self._gap_at_ns = gap_ns, self._last_ns
            self.back_ns = max(self.back_ns, -gap_ns)
        else:
            self._first_ns = receive_ns
        self.count += 1
        self._last_ns = receive_ns
        if self.rule is None or not self.rule.header or len(cdr) < _STAMP_END:
            return
        if self.rule.observation:
            value = cdr[_STAMP_END:]
            if value != self._value:
                self._changed = self.count > 1
                self._value, self._value_since_ns = value, receive_ns
            else:
                self._unchanged_ns = max(self._unchanged_ns, receive_ns - self._value_since_ns)
        if self.rule.stamped:
            self._see_stamp(cdr, receive_ns)

    def _see_stamp(self, cdr: bytes, receive_ns: int) -> None:
        # The second byte of a serialised message tells its byte order.
        sec, nanosec = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
        stamp_ns = sec * 10**9 + nanosec
        if not stamp_ns:
            self._unstamped += 1
            return
        if stamp_ns < self._stamp_ns:
            self._backwards += 1
        self._stamp_ns = stamp_ns
        offset_ns = receive_ns - stamp_ns
        if abs(offset_ns) > abs(self._offset_ns):
            self._offset_ns = offset_ns

    def rate_hz(self) -> float:
        """Return the mean rate between the first and the last message."""
        span_s = (self._last_ns - self._first_ns) * 1e-9
        return (self.count - 1) / span_s if self.count > 1 and span_s > 0 else 0.0

    def longest_gap_s(self, start_ns: int, end_ns: int) -> tuple[float, float]:
        """Return the longest pause and when it began, in s after the start.

        Before the first and after the last message a pause counts for observations alone: a
        teacher begins later and ends sooner.
        """
        gaps = [(self._gap_ns, self._gap_at_ns)]
        if self.rule is not None and self.rule.observation:
            first_ns = self._first_ns if self.count else end_ns
            gaps.append((first_ns - start_ns, start_ns))
            if self.count:
                gaps.append((end_ns - self._last_ns, self._last_ns))
        gap_ns, at_ns = max(gaps)
        return max(0, gap_ns) * 1e-9, max(0, at_ns - start_ns) * 1e-9

    def frozen(self, length_s: float) -> list[tuple[str, str]]:
        """Return the finding that a live sensor repeated itself for too long, if it did."""
        if self.rule is None or not self.rule.observation or not self.rule.header:
            return []
        limit_s = self.rule.max_unchanged_s
        unchanged_s = self._unchanged_ns * 1e-9
        if limit_s is not None and unchanged_s > limit_s:
            return [('frozen', f'the same values for {unchanged_s:.2f} s '
                               f'(allowed {limit_s:g} s)')]
        if not self._changed and self.count >= _LEAST_MESSAGES and length_s >= _LEAST_S:
            return [('frozen', 'the same values from the first message to the last')]
        return []

    def clock(self) -> list[tuple[str, str]]:
        """Return what is wrong with the stamps."""
        if self.rule is None:
            return []
        found = []
        if self._unstamped:
            found.append(('clock', f'{self._unstamped} messages without a time stamp'))
        if self._backwards:
            found.append(('clock', f'{self._backwards} stamps lie before the one before them'))
        offset_s = self._offset_ns * 1e-9
        if math.fabs(offset_s) > self.rule.max_gap_s:
            side = 'before' if offset_s > 0 else 'after'
            found.append(('clock', f'stamps lie up to {math.fabs(offset_s):.2f} s {side} their '
                                   f'arrival (allowed {self.rule.max_gap_s:g} s); check the '
                                   f'clocks'))
        return found
