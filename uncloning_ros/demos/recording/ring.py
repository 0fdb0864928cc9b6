# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the newest messages, so that a recording begins before it was asked for."""

from collections import deque
from typing import NamedTuple

# Step back (ns) that is one of the clock: topics are taken one by one, a few ms apart.
_BACK_NS = 500_000_000


class Kept(NamedTuple):
    """One message as it arrived: topic, bytes, times of arrival and of sending in ns."""

    topic: str
    cdr: bytes
    receive_ns: int
    source_ns: int


class Ring:
    """The messages of the last `keep_s` seconds, the newest `most_bytes` of them at most."""

    def __init__(self, keep_s: float, most_bytes: int) -> None:
        self._keep_ns, self._most_bytes = round(keep_s * 1e9), most_bytes
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def add(self, message: Kept) -> None:
        """Keep one message; drop those that are too old or too many now.

        After a clock that went back all older ones are dropped.
        """
        if self._kept and message.receive_ns < self._kept[-1].receive_ns - _BACK_NS:
            self._kept.clear()
            self._bytes = 0
        self._kept.append(message)
        self._bytes += len(message.cdr)
        while self._kept and (self._bytes > self._most_bytes
                              or message.receive_ns - self._kept[0].receive_ns > self._keep_ns):
            self._bytes -= len(self._kept.popleft().cdr)

    def since(self, begin_ns: int) -> list[Kept]:
        """Return the kept messages that arrived from `begin_ns` on, in the order of `add`."""
        return [message for message in self._kept if message.receive_ns >= begin_ns]
