# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read every message that arrives, to know before a take which ones no dataset accepts."""

from collections.abc import Iterator

from uncloning_ros.contract import TRANSFORMS, Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.decoding import ByteReader
from uncloning_ros.demos.recording.glances import Glances
from uncloning_ros.demos.recording.health import rule_names, topic_rules

# Time (s) since the last message after which a topic is silent and a refusal is over; the largest
# age that the contract allows, if that is longer.
SILENT_S = 1.0


class StartGate:
    """Read the messages of the contract's topics; keep why they are refused.

    Names are those of `rule_names()`; `limits_s` tells the allowed silence of each observation.
    Times are of any one clock, in ns.
    """

    def __init__(self, contract: Contract) -> None:
        self._reader = ByteReader(contract, Glances(contract).decode)
        self._names = rule_names(contract)
        rules = topic_rules(contract)
        self.names = frozenset(rules)
        self.limits_s = {name: max(SILENT_S, rule.max_gap_s) for name, rule in rules.items()
                         if rule.observation}
        self._refused: dict[str, tuple[int, str]] = {}
        self._stamps_ns: dict[str, int] = {}
        self._arrived: set[str] = set()  # topics
        self._heard: set[str] = set()  # keys

    def see(self, topic: str, cdr: bytes, now_ns: int) -> Iterator[str]:
        """Yield the name of each signal that a message speaks of, be it refused or not."""
        if topic not in self._reader.types:
            return
        self._arrived.add(topic)
        moving = self._reader.types[topic] == TRANSFORMS
        for key, found in self._reader.read(topic, cdr, now_ns):
            self._heard.add(key)
            if not isinstance(found, Sample):
                self._refused[key] = now_ns, str(found)
            elif moving:
                # Of a chain of transforms, a link that fell silent holds the stamp back.
                before_ns, self._stamps_ns[key] = self._stamps_ns.get(key), found.stamp_ns
                if found.stamp_ns == before_ns:
                    continue
            yield self._names[key]

    def refusals(self, now_ns: int) -> list[str]:
        """Return a sentence for each signal that was refused lately, or that no message names."""
        found = [sentence for key, (at_ns, sentence) in self._refused.items()
                 if 0 <= now_ns - at_ns <= self.limits_s.get(self._names[key], SILENT_S) * 1e9]
        return found + [self._reader.missing(key) for topic in sorted(self._arrived)
                        for key in self._reader.keys_of(topic) if key not in self._heard]
