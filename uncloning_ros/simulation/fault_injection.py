# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The injection of faults between the simulator's sensors and its topics.

Messages are spoilt by attribute, so that no ROS is needed; truth and physics are not touched.
"""

import array
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from uncloning_ros.contract import Signal
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.conversions import Sample
from uncloning_ros.pictures import encode_picture
from uncloning_ros.simulation.faults import (
    BODIES,
    CLOCK,
    PICTURE_KINDS,
    STREAM_KINDS,
    VALUE_KINDS,
    Fault,
    fields_of,
)

_EXTRA_JOINT = 'extra_joint'
# Kind of a fault of pictures -> the grey level of all of its pixels.
_BLANK = {'black': 0, 'saturated': 255}
_RAW_MOSAIC = 'bayer_rggb8'  # an encoding of raw pictures that is refused


class FaultInjector:
    """Turn delivered samples into published ones, over one episode in simulated time.

    No fault acts before `begin`. Faults of one key act one after the other, in the order given.
    """

    def __init__(self, faults: Sequence[Fault], signals: Mapping[str, Signal],
                 rng: np.random.Generator) -> None:
        streams = (*STREAM_KINDS, *_BLANK)
        self._streams = [_Stream(fault, signals[fault.key], rng) for fault in faults
                         if fault.kind in streams]
        self._others = [fault for fault in faults if fault.kind not in streams]
        self._signals = signals
        self._began_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Take the time of the first command."""
        self._began_ns = now_ns

    def deliver(self, arrived: Sequence[tuple[str, Sample]],
                now_ns: int) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) to publish now, of those that arrived now.

        Their `receive_ns` is on the clock of `now_ns`, their `stamp_ns` that of the message.
        Call it at every step of time, also without new samples.
        """
        out = list(arrived)
        for stream in self._streams:
            key = stream.fault.key
            through = stream.deliver([s for k, s in out if k == key], now_ns,
                                     self._acts(stream.fault, now_ns))
            out = [item for item in out if item[0] != key] + [(key, s) for s in through]
        return out

    def corrupt(self, key: str, message: Any, now_ns: int) -> None:
        """Spoil a message of the observation `key` in place."""
        for fault in self._others:
            if fault.key == key and self._acts(fault, now_ns):
                _corrupt(fault, self._signals[key], message)

    def clock_ns(self, now_ns: int) -> int:
        """Return the time of /clock at `now_ns`."""
        said_ns = now_ns
        for fault in self._others:
            if fault.key == CLOCK and self._acts(fault, now_ns):
                assert self._began_ns is not None
                if fault.kind == 'pause':
                    said_ns = min(said_ns, self._began_ns + round(fault.from_s * 1e9))
                else:
                    said_ns -= round(fault.number * 1e9)
        return max(said_ns, 0)

    def _acts(self, fault: Fault, now_ns: int) -> bool:
        return self._began_ns is not None and fault.acts((now_ns - self._began_ns) * 1e-9)


class _Stream:
    """One fault of whole messages and their stamps."""

    def __init__(self, fault: Fault, signal: Signal, rng: np.random.Generator) -> None:
        self.fault = fault
        # Rotations are left alone: with noise their columns would not be a rotation.
        self._noisy = slice(0, 3 if signal.kind == 'pose' else None)
        self._rng = rng
        self._last: Sample | None = None
        self._under_way: list[Sample] = []

    def deliver(self, samples: list[Sample], now_ns: int, acts: bool) -> list[Sample]:
        """Return the samples that pass, of those that arrive now."""
        if not acts:
            self._last = samples[-1] if samples else self._last
            return samples
        if self.fault.kind == 'latency':
            self._under_way += samples
            late_ns = round(self.fault.number * 1e9)
            due = [s for s in self._under_way if s.receive_ns + late_ns <= now_ns]
            self._under_way = self._under_way[len(due):]
            return [replace(s, receive_ns=now_ns) for s in due]
        return [changed for s in samples if (changed := self._changed(s)) is not None]

    def _changed(self, sample: Sample) -> Sample | None:
        """Return the changed sample, None if it is lost."""
        kind, number = self.fault.kind, self.fault.number
        last = self._last = self._last or sample
        if kind == 'silence' or (kind == 'dropout' and self._rng.uniform() < number):
            return None
        if kind == 'freeze':
            return replace(sample, values=last.values)
        if kind == 'stale':
            return replace(last, receive_ns=sample.receive_ns)
        if kind == 'noise':
            values = sample.values.astype(np.float64)
            values[self._noisy] += self._rng.normal(0.0, number, size=values[self._noisy].shape)
            if sample.values.dtype == np.uint8:
                values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
            return replace(sample, values=values)
        if kind in _BLANK:
            return replace(sample, values=np.full_like(sample.values, _BLANK[kind]))
        if kind in ('future', 'past'):
            shift_ns = round(number * 1e9) * (1 if kind == 'future' else -1)
            return replace(sample, stamp_ns=sample.stamp_ns + shift_ns)
        return sample


def _corrupt(fault: Fault, signal: Signal, message: Any) -> None:
    if fault.kind == 'frame':
        message.header.frame_id = fault.name
    elif fault.kind in VALUE_KINDS:
        spoilt = (fault.name,) if fault.name else fields_of(signal)
        _spoil(signal, message, spoilt, math.nan if fault.kind == 'nan' else math.inf)
    elif fault.kind in PICTURE_KINDS:
        _spoil_picture(fault.kind, signal, message)
    else:
        left_out = (fault.name or signal.names[0]) if fault.kind == 'missing' else None
        kept = [i for i, name in enumerate(message.name) if name != left_out]
        kept = kept[::-1] if fault.kind == 'reorder' else kept
        for field in ('name', *_measured(message)):
            extra = [_EXTRA_JOINT if field == 'name' else 0.0] if fault.kind == 'extra' else []
            found = getattr(message, field)
            setattr(message, field, extra + [found[i] for i in kept])


def _spoil(signal: Signal, message: Any, fields: Sequence[str], value: float) -> None:
    """Set fields of a message to a value; their names are those of `fields_of`."""
    if signal.names:
        for part in _measured(message):
            setattr(message, part, [value if name in fields else found for name, found
                                    in zip(message.name, getattr(message, part), strict=True)])
        return
    body = getattr(message, BODIES[KINDS[signal.kind].observed_as[0]][0])
    for field in fields:
        part, _, axis = field.partition('.')
        setattr(getattr(body, part), axis, value)


def _spoil_picture(kind: str, signal: Signal, message: Any) -> None:
    """Cut the data of a picture, or give it half the size or colours with transparency."""
    data, raw = bytes(message.data), not hasattr(message, 'format')
    width, height = signal.view.camera_size
    if kind == 'truncated':
        data = data[:len(data) // 2]
    elif kind == 'encoding' and raw:
        message.encoding = _RAW_MOSAIC
    elif kind == 'encoding':
        data = encode_picture(np.full((height, width, 4), 128, np.uint8))
    elif raw:
        message.height, message.width, message.step = height // 2, width // 2, message.step // 2
        data = data[:message.height * message.step]
    else:
        data = encode_picture(np.full((height // 2, width // 2, 3), 128, np.uint8))
    message.data = array.array('B', data)


def _measured(message: Any) -> list[str]:
    """Return the fields of a joint state that hold values: a sensor leaves others empty."""
    return [field for field in ('position', 'velocity', 'effort') if len(getattr(message, field))]
