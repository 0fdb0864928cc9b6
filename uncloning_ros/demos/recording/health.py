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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uncloning_ros.contract import TRANSFORMS, Contract
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.pieces import PAUSE_NS
from uncloning_ros.demos.recording.cdr import peek
from uncloning_ros.demos.recording.topic_stats import LEAST_S, Tally, TopicRule
from uncloning_ros.demos.recording.topic_stats import (
    SLOW as SLOW,  # whoever compares rates takes it from here
)
from uncloning_ros.errors import counted

SCHEMA = 'uncloning/health@1'


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
    """Return what is expected of each topic of the contract, by absolute name.

    Where poses come from a tree of transforms, each frame counts for itself, as in '/tf hand'.
    """
    observations = contract.deployment.observations
    rules = {}
    for topic in bag_topics(contract).values():
        sources = [observations[signal.key] for signal in topic.signals
                   if signal.key in observations]
        frames: list[str | None] = [source.child_frame for source in sources] or [None]
        for frame in dict.fromkeys(frames):
            named = [source for source in sources if source.child_frame == frame]
            ages_s = [one.max_age_s for one in named if one.max_age_s is not None]
            unchanged_s = [one.max_unchanged_s for one in named
                           if one.max_unchanged_s is not None]
            rules[_name(topic.name, frame)] = TopicRule(
                topic.name, topic.type, frame, bool(named),
                min(ages_s) if ages_s else PAUSE_NS * 1e-9,
                min(unchanged_s) if unchanged_s else None,
                bool(named) and all(one.stamped for one in named))
    return rules


def rule_name(contract: Contract, key: str) -> str:
    """Return the name under which `topic_rules()` has the rule for a signal."""
    deployment = contract.deployment
    source = deployment.observations.get(key) or deployment.actions[key]
    return _name('/' + source.topic.lstrip('/'), source.child_frame)


def _name(topic: str, frame: str | None) -> str:
    return f'{topic} {frame}' if frame else topic


class EpisodeJudge:
    """Look at every message of one episode and tell in the end whether it is good.

    `usual_hz` has the rates that were seen before the episode. Times are of one clock, ROS time
    in a live recorder. Topics that the contract does not have are counted, not judged.
    """

    def __init__(self, rules: Mapping[str, TopicRule], usual_hz: Mapping[str, float]) -> None:
        self._usual_hz = usual_hz
        self._tallies = {name: Tally(rule) for name, rule in rules.items()}
        self._types = {rule.topic: rule.type for rule in rules.values()}

    def see(self, topic: str, cdr: bytes, receive_ns: int) -> None:
        """Take notice of one serialised message."""
        tally = self._tallies.get(topic)
        if tally is None:
            tally = self._tallies[topic] = Tally(None)
        type_name = self._types.get(topic, '')
        if type_name != TRANSFORMS:
            tally.see(receive_ns, next(peek(type_name, cdr), None))
            return
        tally.see(receive_ns, None)
        for told in peek(type_name, cdr):
            of_frame = self._tallies.get(_name(topic, told.frame))
            if of_frame is not None:
                of_frame.see(receive_ns, told)

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
            findings += [Finding(kind, name, f'{counted(count, "message")} {text}')
                         for name, count in counts.items() if count]
        back_ns = max((tally.back_ns for tally in self._tallies.values()), default=0)
        if back_ns > 0:
            findings.append(Finding('clock', '', f'time ran {back_ns * 1e-9:.2f} s backwards '
                                                 f'during the episode'))
        return Health(tuple(findings), figures)

    def _findings(self, name: str, tally: Tally, gap_s: float, at_s: float,
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
        if rule.observation and length_s >= LEAST_S and tally.rate_hz() < SLOW * usual_hz:
            found.append(('rate', f'came at {tally.rate_hz():.1f} Hz, usually {usual_hz:.1f} Hz'))
        found += tally.frozen(length_s)
        found += tally.clock()
        return found
