# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure one signal during an episode: its rate, pauses, frozen values and stamps."""

import math
from dataclasses import dataclass

from uncloning_ros.conversions import other_clock
from uncloning_ros.errors import UncloningError, counted

# Share of its usual rate below which a signal is slow: a camera that fell from 30 Hz to 15 Hz.
SLOW = 0.6
# Length (s) of an episode from which on its rates and repeated values are judged.
_LEAST_S = 1.0
# Number of messages from which on the same values in all of them are a fault.
_LEAST_MESSAGES = 10


@dataclass(frozen=True)
class TopicRule:
    """The limits of one signal of the contract, or of one frame of its transforms.

    `max_gap_s` is the longest pause between two messages; for an `observation` also before the
    first and after the last. Commands may pause as long as a dataset allows. `max_unchanged_s` is
    how long the same value may repeat, None where only an episode-long repetition is odd.
    `stamped` tells whether stamps are judged; `same` is what repeats, in words.
    """

    topic: str
    observation: bool
    max_gap_s: float
    max_unchanged_s: float | None
    stamped: bool
    same: str


class TopicStats:
    """Statistics of one signal's messages; `rule` is None for a topic beside the contract."""

    def __init__(self, rule: TopicRule | None) -> None:
        self.rule = rule
        self.count = 0
        self.first_ns = self.last_ns = 0
        self._gap_ns = self._gap_at_ns = 0
        self._value: object = None
        self._value_since_ns = self._unchanged_ns = 0
        self._changed = False
        self._stamp_ns = self._backwards = 0
        # The least from a stamp to its arrival: a clock that is off moves every message.
        self._offset_ns: int | None = None
        self._other_clock: str | None = None  # of the stamps, if it is not that of the arrivals
        self._age_ns = 0  # the largest between a stamp and the next arrival
        self._refused, self._refused_at_ns, self._refusal = 0, 0, ''
        self._leap = ''

    def arrive(self, receive_ns: int) -> None:
        """Count one message."""
        if self.count:
            gap_ns = receive_ns - self.last_ns
            if gap_ns > self._gap_ns:
                self._gap_ns, self._gap_at_ns = gap_ns, self.last_ns
        else:
            self.first_ns = receive_ns
        self.count += 1
        self.last_ns = receive_ns

    def see(self, receive_ns: int, stamp_ns: int, value: object, since_ns: int) -> None:
        """Count one message with a sample; equal values are a sensor that repeats itself.

        `since_ns` is when a value that differs from the one before first arrived.
        """
        self.arrive(receive_ns)
        assert self.rule is not None
        if self.rule.observation:
            if value != self._value:
                self._changed = self._value is not None
                self._value, self._value_since_ns = value, since_ns
            self._unchanged_ns = max(self._unchanged_ns, receive_ns - self._value_since_ns)
        if self.rule.stamped:
            self._see_stamp(stamp_ns, receive_ns)

    def leapt(self, sentence: str) -> None:
        """Keep the first sentence about a joint that leapt by a turn."""
        self._leap = self._leap or sentence

    def refuse(self, receive_ns: int, error: UncloningError) -> None:
        """Count one message that no dataset accepts."""
        self.arrive(receive_ns)
        self.note_refusal(receive_ns, error)

    def note_refusal(self, receive_ns: int, error: UncloningError) -> None:
        """Keep that a message, which was counted, is one that no dataset accepts."""
        if not self._refused:
            self._refused_at_ns, self._refusal = receive_ns, str(error)
        self._refused += 1

    def _see_stamp(self, stamp_ns: int, receive_ns: int) -> None:
        if self._stamp_ns:
            self._age_ns = max(self._age_ns, receive_ns - self._stamp_ns)
        if stamp_ns < self._stamp_ns:
            self._backwards += 1
        self._stamp_ns = stamp_ns
        self._other_clock = self._other_clock or other_clock(stamp_ns, receive_ns)
        offset_ns = receive_ns - stamp_ns
        if self._offset_ns is None or offset_ns < self._offset_ns:
            self._offset_ns = offset_ns

    def rate_hz(self) -> float:
        """Return the mean rate between the first and the last message."""
        span_s = (self.last_ns - self.first_ns) * 1e-9
        return (self.count - 1) / span_s if self.count > 1 and span_s > 0 else 0.0

    def longest_gap_s(self, start_ns: int, end_ns: int) -> tuple[float, float]:
        """Return the longest pause and when it began, in s after the start.

        Before the first and after the last message a pause counts for observations alone: a
        teacher begins later and ends sooner.
        """
        gaps = [(self._gap_ns, self._gap_at_ns)]
        if self.rule is not None and self.rule.observation:
            first_ns = self.first_ns if self.count else end_ns
            gaps.append((first_ns - start_ns, start_ns))
            if self.count:
                gaps.append((end_ns - self.last_ns, self.last_ns))
        gap_ns, at_ns = max(gaps)
        return max(0, gap_ns) * 1e-9, max(0, at_ns - start_ns) * 1e-9

    def findings(self, start_ns: int, end_ns: int, usual_hz: float,
                 missing: str) -> list[tuple[str, str]]:
        """Return kind and text of each finding in an episode, none for a topic without a rule.

        `usual_hz` is the signal's rate before the episode, 0 if unknown; `missing` says why no
        message spoke of it, '' if none arrived.
        """
        rule = self.rule
        if rule is None:
            return []
        if not self.count:
            return [('empty', missing or 'no message at all')]
        found = []
        if self._refused:
            at_s = (self._refused_at_ns - start_ns) * 1e-9
            found.append(('refused', f'{counted(self._refused, "message")} that no dataset '
                                     f'accepts, the first at {at_s:.1f} s: {self._refusal}'))
        if self._leap:
            found.append(('leap', self._leap))
        length_s = (end_ns - start_ns) * 1e-9
        gap_s, at_s = self.longest_gap_s(start_ns, end_ns)
        if gap_s > rule.max_gap_s:
            limit = (f'max_age_s {rule.max_gap_s:g}' if rule.observation
                     else f'a dataset allows {rule.max_gap_s:g} s')
            found.append(('gap', f'nothing for {gap_s:.2f} s at {at_s:.1f} s ({limit})'))
        if rule.observation and length_s >= _LEAST_S and self.rate_hz() < SLOW * usual_hz:
            found.append(('rate', f'came at {self.rate_hz():.1f} Hz, usually {usual_hz:.1f} Hz'))
        limit_s, unchanged_s = rule.max_unchanged_s, self._unchanged_ns * 1e-9
        if limit_s is not None and unchanged_s > limit_s:
            found.append(('frozen', f'the same {rule.same} for {unchanged_s:.2f} s '
                                    f'(max_unchanged_s {limit_s:g})'))
        elif (self._value is not None and not self._changed and self.count >= _LEAST_MESSAGES
              and length_s >= _LEAST_S):
            found.append(('frozen', f'the same {rule.same} from the first message to the last'))
        if self._backwards:
            found.append(('clock', f'{counted(self._backwards, "stamp")} earlier than the one '
                                   f'before'))
        offset_s = (self._offset_ns or 0) * 1e-9
        if self._other_clock is not None:
            found.append(('clock', f'stamps are in {self._other_clock}, arrivals are not; set '
                                   f'use_sim_time alike in its publisher and in the recorder'))
        elif math.fabs(offset_s) > rule.max_gap_s:
            side = 'at least {:.2f} s before' if offset_s > 0 else 'up to {:.2f} s after'
            found.append(('clock', f'stamps lie {side.format(math.fabs(offset_s))} their arrival '
                                   f'(max_age_s {rule.max_gap_s:g}); check the clocks'))
        elif rule.stamped and gap_s <= rule.max_gap_s:
            # A policy that looks just before the next message sees this one's age by its stamp.
            age_s = max(self._age_ns, end_ns - self._stamp_ns if self._stamp_ns else 0) * 1e-9
            if age_s > rule.max_gap_s:
                found.append(('late', f'measured up to {age_s:.2f} s before the next message '
                                      f'came (max_age_s {rule.max_gap_s:g}); check latency and '
                                      f'clocks'))
        return found
