# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notice clocks that were set back during a recording, and stamps of another clock than arrivals.

Sorted by time, the messages of before and after such a step would mix.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from uncloning_ros.conversions import Sample, other_clock

# Step back (ns) of receive times that no clock made: messages of several publishers on one topic
# arrive in several threads of the middleware, which may hand them over in another order.
_THREADS_NS = 5_000_000


class ReceiveOrder:
    """Look at the receive times of a bag's messages in the order of the file, topic by topic."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}  # by topic
        self._first_ns: int | None = None
        self._step_ns, self._at_ns, self._topic = 0, 0, ''  # the largest step back, and its place

    def see(self, topic: str, receive_ns: int) -> None:
        """Look at the next message."""
        if self._first_ns is None:
            self._first_ns = receive_ns
        last_ns = self._last_ns.get(topic, receive_ns)
        if last_ns - receive_ns > max(self._step_ns, _THREADS_NS):
            self._step_ns, self._at_ns, self._topic = last_ns - receive_ns, last_ns, topic
        self._last_ns[topic] = receive_ns

    def fault(self) -> str:
        """Return the sentence about the largest step back, '' if there was none."""
        if self._first_ns is None or not self._step_ns:
            return ''
        return (f'expected receive times that rise, got a step back of {self._step_ns * 1e-9:.3f} '
                f's on {self._topic}, {(self._at_ns - self._first_ns) * 1e-9:.2f} s after the '
                f'first message; the clock of the recorder was set back: record it again')


def stamps_fault(samples: Mapping[str, Sequence[Sample]], keys: Collection[str]) -> str:
    """Return the sentence about signals whose stamps cannot be trusted, '' if all can be.

    They are of another clock than the arrivals, or go back; the sentence has the largest step.
    Samples are in the order of their receive times.
    """
    for key in keys:
        clock = other_clock(samples[key][-1].stamp_ns, samples[key][-1].receive_ns) if (
            samples[key]) else None
        if clock is not None:
            return (f'{key}: expected stamps and receive times of one clock, got stamps in '
                    f'{clock}; set use_sim_time alike in its publisher and in the recorder, as '
                    f'with ros2 bag record --use-sim-time, or set stamped: false for it in the '
                    f'contract')
    step_ns, at_ns, key = max(
        ((one.stamp_ns - two.stamp_ns, two.receive_ns, key)
         for key in keys for one, two in pairwise(samples[key])), default=(0, 0, ''))
    if step_ns <= 0:
        return ''
    first_ns = min(found[0].receive_ns for found in samples.values() if found)
    return (f'{key}: expected stamps that rise, got a step back of {step_ns * 1e-9:.3f} s, '
            f'{(at_ns - first_ns) * 1e-9:.2f} s after the first message; the clock of its '
            f'publisher was set back: record it again, or set stamped: false for it in the '
            f'contract if its stamps mean nothing')
