# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge an episode from its messages as they are written: good, or with findings.

Every message is decoded as `uncloning dataset` decodes it, and every limit is at least as strict
as that of its alignment: a dataset takes an episode whose verdict is good. Of pictures only some
are decoded (`glances.py`); a fault that hides in the pixels of another may pass.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from uncloning_ros.contract import TRANSFORMS, Contract, ObservedTopic
from uncloning_ros.contract.kinds import turn_leapt
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.clock import ReceiveOrder
from uncloning_ros.demos.bags.decoding import ByteReader, carried_signals
from uncloning_ros.demos.bags.pieces import PAUSE_NS
from uncloning_ros.demos.bags.verdict import Finding, Health
from uncloning_ros.demos.recording.glances import Glances
from uncloning_ros.demos.recording.topic_stats import TopicRule, TopicStats
from uncloning_ros.errors import counted
from uncloning_ros.geometry import Array

_STAMP_END = 12  # bytes: a header begins a message, and a stamp the header


def topic_rules(contract: Contract) -> dict[str, TopicRule]:
    """Return the rule for each signal of the contract, by `rule_names()`.

    Poses of one frame of the transforms share a rule.
    """
    rules: dict[str, TopicRule] = {}
    observations = contract.deployment.observations
    signals = {one.key: one for one in contract.interface.observations}
    for key, name in rule_names(contract).items():
        source = observations.get(key)
        if source is None:
            topic = contract.deployment.actions[key].bag_name
            rules[name] = TopicRule(topic, False, PAUSE_NS * 1e-9, None, False, '')
            continue
        rule = TopicRule(source.bag_name, True, source.max_age_s, source.max_unchanged_s,
                         source.has_stamps, signals[key].repeated[0])
        rules[name] = _strictest(rules[name], rule) if name in rules else rule
    return rules


def _strictest(one: TopicRule, two: TopicRule) -> TopicRule:
    unchanged_s = [rule.max_unchanged_s for rule in (one, two) if rule.max_unchanged_s is not None]
    return TopicRule(one.topic, True, min(one.max_gap_s, two.max_gap_s),
                     min(unchanged_s, default=None), one.stamped and two.stamped, one.same)


def rule_names(contract: Contract) -> dict[str, str]:
    """Return the name of each signal's rule, by key: that of its topic, as in '/hand_pose'.

    Of a frame of the transforms it is '/tf hand', of one of several signals on a topic
    '/joint_states KEY'.
    """
    names = {}
    for name, pairs in carried_signals(contract).items():
        for signal, source in pairs:
            frame = source.child_frame if isinstance(source, ObservedTopic) else None
            part = frame or (signal.key if len(pairs) > 1 else '')
            names[signal.key] = f'{name} {part}' if part else name
    return names


class EpisodeJudge:
    """Look at every message of one episode, then give a verdict.

    `usual_hz` are the topics' rates before the episode. Times are of one clock, ROS time in a
    live recorder. Topics beside the contract are counted, not judged; so are all without one.
    """

    def __init__(self, contract: Contract | None, usual_hz: Mapping[str, float]) -> None:
        self._contract, self._usual_hz = contract, usual_hz
        self._glances = None if contract is None else Glances(contract)
        self._reader = None if contract is None or self._glances is None else (
            ByteReader(contract, self._glances.decode))
        self._types = {} if self._reader is None else self._reader.types
        self._names = {} if contract is None else rule_names(contract)
        rules = {} if contract is None else topic_rules(contract)
        self._stats = {name: TopicStats(rule) for name, rule in rules.items()}
        self._messages: Counter[str] = Counter()
        self._order = ReceiveOrder()
        self._joints = {} if contract is None else {
            signal.key: signal for pairs in carried_signals(contract).values()
            for signal, _ in pairs if signal.kind == 'joint_positions'}
        # A vector may be a goal, which stands still: only a stated limit judges it.
        self._goals = set() if contract is None else {
            one.key for one in contract.interface.vectors if one.kind == 'vector'}
        self._before: dict[str, Array] = {}  # the newest values of joints

    def see(self, topic: str, cdr: bytes, receive_ns: int) -> None:
        """Judge one serialised message."""
        self._messages[topic] += 1
        self._order.see(topic, receive_ns)
        stats = self._stats.get(topic)
        if stats is None:
            stats = self._stats[topic] = TopicStats(None)
        if stats.rule is None:
            stats.arrive(receive_ns)
        if self._reader is None or topic not in self._types:
            return
        for key, found in self._reader.read(topic, cdr, receive_ns):
            of_signal = self._stats[self._names[key]]
            assert of_signal.rule is not None
            if not isinstance(found, Sample):
                of_signal.refuse(receive_ns, found)
                continue
            pictured = found.values.ndim > 1
            value: object = found.values.tobytes() if pictured else found.values.tolist()
            if of_signal.rule.max_unchanged_s is None and not pictured and (
                    self._types[topic] != TRANSFORMS):
                # A dataset does not mind; where other values of the message change, it lives.
                value = None if key in self._goals else cdr[_STAMP_END:]
            since_ns = self._glances.since_ns[key] if pictured and self._glances else receive_ns
            of_signal.see(receive_ns, found.stamp_ns, value, since_ns)
            if key in self._joints:
                before = self._before.get(key, found.values)
                self._before[key] = found.values
                if leapt := turn_leapt(self._joints[key], np.stack([before, found.values])):
                    of_signal.leapt(leapt[1])

    def verdict(self, start_ns: int, end_ns: int, dropped: Mapping[str, int],
                lost: Mapping[str, int]) -> Health:
        """Judge the episode that lasted from `start_ns` to `end_ns`."""
        findings: list[Finding] = self._of_pictures()
        figures: dict[str, dict[str, float]] = {}
        for name, stats in self._stats.items():
            figures[name] = {'messages': self._messages.get(name, stats.count),
                             'rate_hz': round(stats.rate_hz(), 2),
                             'longest_gap_s': round(stats.longest_gap_s(start_ns, end_ns)[0], 3),
                             'lost': lost.get(name, 0), 'dropped': dropped.get(name, 0)}
            findings += [Finding(kind, name, text) for kind, text in stats.findings(
                start_ns, end_ns, self._usual_hz.get(name, 0.0), self._missing(name))]
        findings += self._short()
        for kind, counts, text in (('lost', lost, 'never arrived'),
                                   ('dropped', dropped, 'could not be written in time')):
            findings += [Finding(kind, name, f'{counted(count, "message")} {text}')
                         for name, count in counts.items() if count]
        if fault := self._order.fault():
            findings.append(Finding('clock', '', fault))
        return Health('findings' if findings else 'good', tuple(findings), figures)

    def _of_pictures(self) -> list[Finding]:
        """Judge the last picture of each camera; return the findings on changed encodings."""
        if self._glances is None:
            return []
        for key, receive_ns, error in self._glances.last():
            self._stats[self._names[key]].note_refusal(receive_ns, error)
        return [Finding('encoding', self._names[key], text)
                for key, text in self._glances.changes.items()]

    def _missing(self, name: str) -> str:
        """Return why no message of a rule spoke of its signal, '' if none arrived."""
        rule = self._stats[name].rule
        if self._reader is None or rule is None or not self._messages[rule.topic]:
            return ''
        return self._reader.missing(next(key for key, found in self._names.items()
                                         if found == name))

    def _short(self) -> list[Finding]:
        """Return the finding that commands and observations overlap for too few frames."""
        if self._contract is None:
            return []
        timing = self._contract.policy
        ruled = [(stats, stats.rule.observation) for stats in self._stats.values()
                 if stats.rule is not None]
        if not all(stats.count for stats, _ in ruled):
            return []
        begin_ns = max(stats.first_ns - (0 if observed else timing.period_ns)
                       for stats, observed in ruled)
        end_ns = min(stats.last_ns for stats, observed in ruled if not observed)
        length_s = (end_ns - begin_ns) * 1e-9
        least = timing.history + timing.execute
        least_s = least * timing.period_ns * 1e-9
        if length_s >= least_s:
            return []
        return [Finding('short', '', f'expected observations and commands together for at least '
                                     f'{least_s:.2f} s ({least} frames, history + execute), got '
                                     f'{max(0.0, length_s):.2f} s; record longer')]
