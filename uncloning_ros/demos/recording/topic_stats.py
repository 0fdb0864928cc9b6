# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure one topic during an episode: its rate, pauses, frozen values and stamps."""

import math
from dataclasses import dataclass

from uncloning_ros.conversions import other_clock
from uncloning_ros.demos.recording.cdr import StampedValue

# Share of its usual rate below which a topic is slow: a camera that fell from 30 Hz to 15 Hz.
SLOW = 0.6
# Length (s) of the shortest episode whose rates and repeated values are judged.
_LEAST_S = 1.0
_LEAST_MESSAGES = 10


@dataclass(frozen=True)
class TopicRule:
    """The limits of one topic of the contract, or of one frame of its transforms.

    `max_gap_s` is the longest pause between two messages; for an `observation` also before the
    first and after the last. Commands may pause as long as a dataset allows. `max_unchanged_s` is
    how long the same value may repeat, None where only an episode-long repetition is odd.
    `stamped` tells whether stamps are judged.
    """

    topic: str
    type: str
    frame: str | None
    observation: bool
    max_gap_s: float
    max_unchanged_s: float | None
    stamped: bool


class TopicStats:
    """Statistics of one topic's messages; `rule` is None for a topic beside the contract."""

    def __init__(self, rule: TopicRule | None) -> None:
        self.rule = rule
        self.count = 0
        self.back_ns = 0  # by how much arrivals ran backwards
        self._first_ns = self._last_ns = 0
        self._gap_ns = self._gap_at_ns = 0
        self._value = b''
        self._value_since_ns = self._unchanged_ns = 0
        self._changed = self._compared = False
        self._stamp_ns = self._backwards = self._unstamped = 0
        self._offset_ns = 0  # the largest between stamp and arrival, signed
        self._other_clock: str | None = None  # of the stamps, if it is not that of the arrivals

    def see(self, receive_ns: int, content: StampedValue | None) -> None:
        """Count one message; `content` is None if its stamp and value cannot be read."""
        if self.count:
            gap_ns = receive_ns - self._last_ns
            if gap_ns > self._gap_ns:
                self._gap_ns, self._gap_at_ns = gap_ns, self._last_ns
            self.back_ns = max(self.back_ns, -gap_ns)
        else:
            self._first_ns = receive_ns
        self.count += 1
        self._last_ns = receive_ns
        if self.rule is None or content is None:
            return
        if self.rule.observation:
            self._compared = True
            if content.value != self._value:
                self._changed = self.count > 1
                self._value, self._value_since_ns = content.value, receive_ns
            else:
                self._unchanged_ns = max(self._unchanged_ns, receive_ns - self._value_since_ns)
        if self.rule.stamped:
            self._see_stamp(content.stamp_ns, receive_ns)

    def _see_stamp(self, stamp_ns: int, receive_ns: int) -> None:
        if not stamp_ns:
            self._unstamped += 1
            return
        if stamp_ns < self._stamp_ns:
            self._backwards += 1
        self._stamp_ns = stamp_ns
        self._other_clock = self._other_clock or other_clock(stamp_ns, receive_ns)
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

    def findings(self, start_ns: int, end_ns: int, usual_hz: float) -> list[tuple[str, str]]:
        """Return kind and text of each finding in an episode, none for a topic without a rule.

        `usual_hz` is the topic's rate before the episode, 0 if unknown.
        """
        rule = self.rule
        if rule is None:
            return []
        if not self.count:
            return [('empty', 'no message at all')]
        found = []
        length_s = (end_ns - start_ns) * 1e-9
        gap_s, at_s = self.longest_gap_s(start_ns, end_ns)
        if gap_s > rule.max_gap_s:
            found.append(('gap', f'nothing for {gap_s:.2f} s at {at_s:.1f} s '
                                 f'(allowed {rule.max_gap_s:g} s)'))
        if rule.observation and length_s >= _LEAST_S and self.rate_hz() < SLOW * usual_hz:
            found.append(('rate', f'came at {self.rate_hz():.1f} Hz, usually {usual_hz:.1f} Hz'))
        limit_s, unchanged_s = rule.max_unchanged_s, self._unchanged_ns * 1e-9
        if limit_s is not None and unchanged_s > limit_s:
            found.append(('frozen', f'the same values for {unchanged_s:.2f} s '
                                    f'(allowed {limit_s:g} s)'))
        elif (self._compared and not self._changed and self.count >= _LEAST_MESSAGES
              and length_s >= _LEAST_S):
            found.append(('frozen', 'the same values from the first message to the last'))
        if self._unstamped:
            found.append(('clock', f'{self._unstamped} messages without a time stamp'))
        if self._backwards:
            found.append(('clock', f'{self._backwards} stamps lie before the one before them'))
        offset_s = self._offset_ns * 1e-9
        if self._other_clock is not None:
            found.append(('clock', f'stamps are in {self._other_clock}, arrivals are not; set '
                                   f'use_sim_time alike in its publisher and in the recorder'))
        elif math.fabs(offset_s) > rule.max_gap_s:
            side = 'before' if offset_s > 0 else 'after'
            found.append(('clock', f'stamps lie up to {math.fabs(offset_s):.2f} s {side} their '
                                   f'arrival (allowed {rule.max_gap_s:g} s); check the clocks'))
        return found
