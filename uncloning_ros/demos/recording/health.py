# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge an episode from its messages as they are written: good, or with findings."""

from collections.abc import Mapping

from uncloning_ros.contract import TRANSFORMS, Contract
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.pieces import PAUSE_NS
from uncloning_ros.demos.bags.verdict import Finding, Health
from uncloning_ros.demos.recording.cdr import stamped_values
from uncloning_ros.demos.recording.topic_stats import TopicRule, TopicStats
from uncloning_ros.errors import counted


def topic_rules(contract: Contract) -> dict[str, TopicRule]:
    """Return the rule for each topic of the contract, by absolute name.

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
            ages_s = [one.max_age_s for one in named]
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
    observed = deployment.observations.get(key)
    source = observed or deployment.actions[key]
    return _name('/' + source.topic.lstrip('/'), observed.child_frame if observed else None)


def _name(topic: str, frame: str | None) -> str:
    return f'{topic} {frame}' if frame else topic


class EpisodeJudge:
    """Look at every message of one episode, then give a verdict.

    `usual_hz` are the topics' rates before the episode. Times are of one clock, ROS time in a
    live recorder. Topics beside the contract are counted, not judged.
    """

    def __init__(self, rules: Mapping[str, TopicRule], usual_hz: Mapping[str, float]) -> None:
        self._usual_hz = usual_hz
        self._stats = {name: TopicStats(rule) for name, rule in rules.items()}
        self._types = {rule.topic: rule.type for rule in rules.values()}

    def see(self, topic: str, cdr: bytes, receive_ns: int) -> None:
        """Count one serialised message."""
        stats = self._stats.get(topic)
        if stats is None:
            stats = self._stats[topic] = TopicStats(None)
        type_name = self._types.get(topic, '')
        if type_name != TRANSFORMS:
            stats.see(receive_ns, next(stamped_values(type_name, cdr), None))
            return
        stats.see(receive_ns, None)
        for one in stamped_values(type_name, cdr):
            of_frame = self._stats.get(_name(topic, one.frame))
            if of_frame is not None:
                of_frame.see(receive_ns, one)

    def verdict(self, start_ns: int, end_ns: int, dropped: Mapping[str, int],
                lost: Mapping[str, int]) -> Health:
        """Judge the episode that lasted from `start_ns` to `end_ns`."""
        findings: list[Finding] = []
        figures: dict[str, dict[str, float]] = {}
        for name, stats in self._stats.items():
            figures[name] = {'messages': stats.count, 'rate_hz': round(stats.rate_hz(), 2),
                             'longest_gap_s': round(stats.longest_gap_s(start_ns, end_ns)[0], 3),
                             'lost': lost.get(name, 0), 'dropped': dropped.get(name, 0)}
            findings += [Finding(kind, name, text) for kind, text in stats.findings(
                start_ns, end_ns, self._usual_hz.get(name, 0.0))]
        for kind, counts, text in (('lost', lost, 'never arrived'),
                                   ('dropped', dropped, 'could not be written in time')):
            findings += [Finding(kind, name, f'{counted(count, "message")} {text}')
                         for name, count in counts.items() if count]
        back_ns = max((stats.back_ns for stats in self._stats.values()), default=0)
        if back_ns > 0:
            findings.append(Finding('clock', '', f'time ran {back_ns * 1e-9:.2f} s backwards '
                                                 f'during the episode'))
        return Health('findings' if findings else 'good', tuple(findings), figures)
