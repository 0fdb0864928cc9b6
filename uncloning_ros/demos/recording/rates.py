# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the rate of each topic and of all bytes, now and usually; find the silent topics."""

import statistics
from collections import deque
from collections.abc import Mapping

from uncloning_ros.demos.recording.topic_stats import SLOW

# Usual rate: median of the last 300 seconds; undefined below 3.
_REMEMBERED = 300
_LEAST_SECONDS = 3
# Seconds of which the largest counts: a camera may begin in the middle of one.
_BYTES_REMEMBERED = 5
# Size (bytes) of a message in a bag beyond its own: record and index.
_RECORD_BYTES = 50


class RateWatch:
    """Count arrivals by topic; times are of any one clock, in ns.

    `tick()` once a second turns counts into rates. Usual rates are learned between episodes alone,
    so that a sensor that fades during one is compared with its rate before.
    """

    def __init__(self) -> None:
        self._seen_ns: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self.rates_hz: dict[str, float] = {}  # over the last whole second
        self.causes: Mapping[str, str] = {}  # why a topic is silent, where that is known
        self._learned: dict[str, deque[float]] = {}
        self._bytes = 0
        self._learned_bytes: deque[float] = deque(maxlen=_BYTES_REMEMBERED)
        self._tick_ns: int | None = None

    def seen(self, topic: str, count: int, now_ns: int) -> None:
        """Count messages that arrived by now."""
        self._seen_ns[topic] = now_ns
        self._counts[topic] = self._counts.get(topic, 0) + count

    def weigh(self, size: int) -> None:
        """Count the bytes of one message of any topic."""
        self._bytes += size + _RECORD_BYTES

    def tick(self, now_ns: int, learn: bool) -> None:
        """Close the second that ends now; with `learn` it counts for the usual rates."""
        before_ns, self._tick_ns = self._tick_ns, now_ns
        counts, self._counts = self._counts, dict.fromkeys(self._counts, 0)
        size, self._bytes = self._bytes, 0
        if before_ns is None or now_ns <= before_ns:
            return  # the first second began somewhere; a simulated clock may stand still
        if learn and size:
            self._learned_bytes.append(size * 1e9 / (now_ns - before_ns))
        for topic, count in counts.items():
            rate_hz = count * 1e9 / (now_ns - before_ns)
            self.rates_hz[topic] = rate_hz
            if learn and count:
                self._learned.setdefault(topic, deque(maxlen=_REMEMBERED)).append(rate_hz)

    @property
    def usual_hz(self) -> Mapping[str, float]:
        """Return the usual rate of each topic that arrived for long enough."""
        return {topic: statistics.median(rates) for topic, rates in self._learned.items()
                if len(rates) >= _LEAST_SECONDS}

    @property
    def usual_bytes_s(self) -> float:
        """Return how many bytes a second a recording takes, 0 until some seconds are known."""
        found = self._learned_bytes
        return max(found) if len(found) >= _LEAST_SECONDS else 0.0

    def age_s(self, topic: str, now_ns: int) -> float | None:
        """Return how long ago a topic arrived, None if it never did."""
        seen_ns = self._seen_ns.get(topic)
        return None if seen_ns is None else max(0, now_ns - seen_ns) * 1e-9

    def silent(self, limits_s: Mapping[str, float], now_ns: int) -> dict[str, str]:
        """Return the topics that did not arrive within their limit, each with its age in words."""
        ages_s = {topic: self.age_s(topic, now_ns) for topic in sorted(limits_s)}
        return {topic: ('never' if age_s is None else f'stale {age_s:.1f} s')
                + (f': {self.causes[topic]}' if topic in self.causes else '')
                for topic, age_s in ages_s.items() if age_s is None or age_s > limits_s[topic]}

    def warnings(self, limits_s: Mapping[str, float], now_ns: int) -> list[str]:
        """Return a sentence for each topic that is silent now, or slower than usual."""
        silent, usual_hz = self.silent(limits_s, now_ns), self.usual_hz
        found = [f'nothing arrives on {topic} ({age})' for topic, age in silent.items()]
        for topic in sorted(limits_s):
            rate_hz = self.rates_hz.get(topic, 0.0)
            if topic not in silent and rate_hz < SLOW * usual_hz.get(topic, 0.0):
                found.append(f'{topic} comes at {rate_hz:.1f} Hz, usually '
                             f'{usual_hz[topic]:.1f} Hz')
        return found
