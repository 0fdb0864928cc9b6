# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Look at pictures that come at a camera's full rate: at the frame of each, into some.

To decode a picture takes milliseconds, to read its header and its end microseconds. So a recorder
decodes a few pictures a second, and every one that its header, its end or its size makes odd.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import KINDS, Contract, Signal
from uncloning_ros.conversions import Sample, decode, header_stamp_ns
from uncloning_ros.errors import ContractError
from uncloning_ros.pictures import Pixels, compressed_form, raw_form

# Longest time (s) from one decoded picture to the next.
_EVERY_S = 0.25
# Ratio of the sizes of compressed pictures above which both are decoded: a covered lens and a
# light switched on change the size by more.
_OTHER_SIZE = 1.3


@dataclass
class _Newest:
    """The newest decoded picture of a camera, and the newest message that was not decoded."""

    values: Pixels
    begin_ns: int
    end_ns: int  # time from which on the next one is decoded
    size: int  # bytes
    skipped: tuple[Signal, Any, int] | None = None


class Glances:
    """Decode the messages of a contract as `conversions.decode` does, but few of its pictures.

    `decode()` returns the pixels of the newest decoded picture for one that was only looked at.
    `last()` decodes the last ones. `since_ns` is by key when the bytes of the newest picture first
    arrived, `changes` has a sentence for each camera that changed its encoding.
    """

    def __init__(self, contract: Contract) -> None:
        topics = contract.deployment.observations
        self._every_ns = {}
        for signal in contract.interface.cameras:
            unchanged_s = topics[signal.key].max_unchanged_s
            every_s = _EVERY_S if unchanged_s is None else min(_EVERY_S, unchanged_s / 2)
            self._every_ns[signal.key] = round(every_s * 1e9)
        self._newest: dict[str, _Newest] = {}
        self._forms: dict[str, str] = {}
        self._bytes: dict[str, NDArray[np.uint8]] = {}  # of the newest pictures
        self.since_ns: dict[str, int] = {}
        self.changes: dict[str, str] = {}

    def decode(self, signal: Signal, message: Any, receive_ns: int) -> Sample:
        """Return the sample of a message; raise as `conversions.decode` does."""
        if not KINDS[signal.kind].pictures:
            return decode(signal, message, receive_ns)
        newest = self._newest.pop(signal.key, None)
        form = self._form(signal, message)
        repeated = np.array_equal(self._bytes.get(signal.key, ()), message.data)
        if not repeated:
            self._bytes[signal.key], self.since_ns[signal.key] = message.data, receive_ns
        if newest is not None and form is not None and not repeated and (
                newest.begin_ns <= receive_ns < newest.end_ns
                and 1 / _OTHER_SIZE < len(message.data) / newest.size < _OTHER_SIZE):
            newest.skipped = signal, message, receive_ns
            self._newest[signal.key] = newest
            return Sample(newest.values, header_stamp_ns(message) or receive_ns, receive_ns)
        sample = decode(signal, message, receive_ns)
        # The same picture again may be a camera that hangs: then all are decoded.
        again = newest is not None and np.array_equal(newest.values, sample.values)
        self._newest[signal.key] = _Newest(
            sample.values, receive_ns, receive_ns + (0 if again else self._every_ns[signal.key]),
            max(1, len(message.data)))
        return sample

    def last(self) -> Iterator[tuple[str, int, ContractError]]:
        """Decode the last pictures; yield key, arrival and error of each that is refused."""
        for newest in self._newest.values():
            if newest.skipped is not None:
                signal, message, receive_ns = newest.skipped
                try:
                    decode(signal, message, receive_ns)
                except ContractError as err:
                    yield signal.key, receive_ns, err

    def _form(self, signal: Signal, message: Any) -> str | None:
        """Return the form of a picture by its frame, None if it has to be decoded."""
        form = (compressed_form(bytes(message.data), signal.view) if hasattr(message, 'format')
                else raw_form(message.data, message.encoding, message.width, message.height,
                              message.step, signal.view))
        if form is not None and form != self._forms.setdefault(signal.key, form):
            self.changes.setdefault(signal.key, f'pictures changed from {self._forms[signal.key]} '
                                                f'to {form}; set one encoding in the camera')
        return form
