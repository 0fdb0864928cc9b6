# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Doubt that lasts holds the arm, until a person accepts it or takes the arm over.

An exported policy says beside each chunk how unlike its training observations the newest one is.
Its file names a threshold, and the time for which doubt has to be above it. Doubt never changes a
command: it only stops.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from uncloning_ros.contract import Contract, Interface
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.watchdog import Complaint
from uncloning_ros.schema import Doc, Positive, Range, Rate, Sha256

_TOGETHER = 'each observation lies within what was demonstrated, but not together with the others'
# Doubt from which on it is about hidden information, in a file that tells it: more than any other.
HIDDEN_FROM = 1e6
# Greatest doubt; it stands for one that is not a number, which a broken observation makes.
_MOST = 1e9
# Share of its box by which a signal clearly lies outside. It is the better explanation then: the
# head for hidden information was never fitted there, and may tell anything.
_CLEARLY = 0.1


@dataclass(frozen=True)
class Box:
    """Range of each value of a signal in the training observations, without the rarest values."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high):
            raise ContractError(f'expected as many values of high as of low, {len(self.low)}, '
                                f'got {len(self.high)}')


@dataclass(frozen=True)
class Calibration:
    """A threshold of doubt, chosen so that few undisturbed episodes have a lasting doubt above it.

    `graph_sha256` binds it to operators and weights of the file. Without a `scenario` the episodes
    are held-out recordings, in which the policy did not act, so the rate is not a bound.
    """

    threshold: Annotated[float, Doc('doubt above it is an alarm once it lasts')]
    after_s: Annotated[float, Range(0.0, 60.0), Doc('time for which it has to last')]
    false_alarms: Annotated[Rate, Doc('bound of the share of undisturbed episodes with an alarm')]
    episodes: Annotated[Positive, Doc('number of episodes that chose the threshold')]
    graph_sha256: Annotated[Sha256, Doc('of operators and weights that they were run with')]
    scenario: Annotated[str | None, Doc('simulated scenario; left out: held-out recordings')] = (
        None)


@dataclass(frozen=True)
class Hidden:
    """Hidden information that demonstrators had: their commands tell where `key` will go."""

    key: str
    saved_cm: Annotated[float, Doc('error of its later place that their commands save')]


@dataclass(frozen=True)
class DoubtRecord:
    """The record of a head for doubt in an exported file.

    `demonstrated` are the ranges of the training observations by key, for the sentences; the
    threshold comes with the calibration. With `hidden`, doubt from `HIDDEN_FROM` on is about that.
    """

    demonstrated: Mapping[str, Box]
    calibration: Calibration | None = None
    hidden: Hidden | None = None


@dataclass(frozen=True)
class Question:
    """The question that a person has to answer: the doubt, and the observation that is strange.

    `key` is that of the observation, '' if none is strange by itself.
    """

    sentence: str
    key: str
    doubt: float
    threshold: float


class Lasting:
    """Find the doubt that lasted: the least of the newest plans that span a time."""

    def __init__(self, after_ns: int, slack_ns: int) -> None:
        self._span_ns = after_ns - slack_ns  # the time between two plans is not exact
        self._heard: deque[tuple[int, float]] = deque()

    def forget(self) -> None:
        """Forget all plans."""
        self._heard.clear()

    def hear(self, doubt: float, tick_ns: int) -> float | None:
        """Take the doubt at a tick; return the lasting one, None before it could last."""
        if self._heard and tick_ns <= self._heard[-1][0]:
            self._heard.clear()  # the clock was set back
        self._heard.append((tick_ns, doubt))
        while len(self._heard) > 1 and tick_ns - self._heard[1][0] >= self._span_ns:
            self._heard.popleft()
        if tick_ns - self._heard[0][0] < self._span_ns:
            return None
        return min(doubt for _, doubt in self._heard)


@dataclass
class Tally:
    """The doubts since the last reset: the newest, the greatest that lasted, the first alarm."""

    newest: float | None = None
    greatest: float | None = None
    alarmed_ns: int | None = None
    held: bool = False


class DoubtWatch:
    """Hear the doubt of every plan; hold the arm while a question about a lasting one is open.

    `stops` tells whether an alarm holds the arm: the contract's deployment asks for it.
    """

    def __init__(self, contract: Contract, record: DoubtRecord | None = None,
                 stops: bool = True) -> None:
        self._record, self._interface = record, contract.interface
        asked = contract.deployment.doubt
        self.calibration = calibration = None if record is None else record.calibration
        self._stop = asked if stops else None
        span = asked or calibration
        timing = contract.policy
        self._lasting = None if record is None or span is None else Lasting(
            round(span.after_s * 1e9), timing.period_ns * timing.execute // 2)
        self.reset()

    @property
    def stops(self) -> bool:
        """Tell whether an alarm holds the arm."""
        return self._stop is not None

    @property
    def asking(self) -> bool:
        """Tell whether the arm is held until a person answers."""
        return self.question is not None

    def reset(self) -> None:
        """Forget everything."""
        self.tally = Tally()
        self.forget()

    def forget(self) -> None:
        """Forget the episode, or what led to a question that a person answered."""
        self.question: Question | None = None
        self._accepted: range = range(0)
        self.interrupt()

    def interrupt(self) -> None:
        """Forget the plans so far: those to come do not follow on them."""
        if self._lasting is not None:
            self._lasting.forget()

    def hear(self, doubt: float | None, tick_ns: int, now_ns: int, newest: Array) -> None:
        """Take the doubt of a plan at the observation (obs_dim,) of `tick_ns`."""
        if doubt is None or self._lasting is None:
            return
        self.tally.newest = doubt = min(doubt, _MOST) if not math.isnan(doubt) else _MOST
        lasted = self._lasting.hear(doubt, tick_ns)
        if lasted is None:
            return
        self.tally.greatest = max(lasted, self.tally.greatest or 0.0)
        if self.calibration is None or lasted <= self.calibration.threshold:
            return
        if self.tally.alarmed_ns is None:
            self.tally.alarmed_ns = now_ns
        if self._stop is not None and not self.asking and now_ns not in self._accepted:
            assert self._record is not None
            self.tally.held = True
            self.question = _question(self._interface, self._record, self.calibration, lasted,
                                      self._stop.after_s, newest)

    def accept(self, now_ns: int) -> float:
        """Accept the doubt that is asked about; return the time (s) for which, 0 without one."""
        if self._stop is None or not self.asking:
            return 0.0
        self.forget()
        self._accepted = range(now_ns, now_ns + round(self._stop.accepted_s * 1e9))
        return self._stop.accepted_s

    def complaints(self) -> Sequence[Complaint]:
        """Return the complaint that holds the arm, none without a question."""
        if self.question is None or self._stop is None:
            return ()
        return (Complaint('doubt', 'doubtful', f'{self.question.sentence}; call ~/start to accept '
                          f'it for {self._stop.accepted_s:g} s, or take the arm over'),)


def watch_of(contract: Contract, record: DoubtRecord | None, stops: bool = True) -> DoubtWatch:
    """Return the watch of a policy with this record under a contract.

    Raise `ContractError` if the deployment asks for a doubt that the file cannot tell, or that
    lasts shorter than the threshold is calibrated for.
    """
    asked = contract.deployment.doubt
    if asked is not None and stops:
        calibration = None if record is None else record.calibration
        if calibration is None:
            raise ContractError(
                'expected a policy with a calibrated doubt, for the deployment has doubt, got '
                f'{"no threshold" if record else "a file without doubt"}; make it with uncloning '
                'doubt, or give a contract without doubt in its deployment')
        if asked.after_s < calibration.after_s:
            raise ContractError(
                f'deployment.doubt.after_s: expected at least {calibration.after_s:g} s, for '
                f'which the threshold of this policy is calibrated, got {asked.after_s:g}; give '
                f'more, or calibrate it again with uncloning doubt')
    return DoubtWatch(contract, record, stops)


def unused_doubt(contract: Contract, record: DoubtRecord | None) -> str:
    """Return a warning if a doubt with a threshold stops nothing, '' otherwise."""
    if record is None or record.calibration is None or contract.deployment.doubt is not None:
        return ''
    return ('this policy tells its doubt, and nothing stops for it; add doubt: {after_s: '
            f'{record.calibration.after_s:g}}} to the deployment of the contract')


def _question(interface: Interface, record: DoubtRecord, calibration: Calibration, doubt: float,
              after_s: float, newest: Array) -> Question:
    threshold = calibration.threshold
    hidden = record.hidden if HIDDEN_FROM <= doubt < _MOST else None
    key, strange = strangest(interface, record.demonstrated, newest,
                             0.0 if hidden is None else _CLEARLY)
    if hidden is not None and not strange:
        key = hidden.key
        strange = f'the demonstrators knew where {key} would go, the policy cannot see it'
    if not strange and interface.cameras:  # the file has no range of their pictures
        keys = ' and '.join(camera.key for camera in interface.cameras)
        strange = (f'no pose or number lies outside of what was demonstrated, so look at the '
                   f'pictures of {keys}, then at all observations together')
    return Question(f'{strange or _TOGETHER}: doubt of at least {doubt:.3g} for {after_s:g} s, '
                    f'allowed {threshold:.3g}', key, doubt, threshold)


def strangest(interface: Interface, demonstrated: Mapping[str, Box], newest: Array,
              least: float = 0.0) -> tuple[str, str]:
    """Return key and sentence of the signal that lies farthest outside of its box.

    Distances are compared as shares of the box. Two empty texts if no signal lies outside by more
    than `least`.
    """
    found = ('', '')
    farthest = least
    for signal in interface.vectors:
        box = demonstrated.get(signal.key)
        if box is None:
            continue
        values = newest[interface.observation_slices[signal.key]]
        low, high = np.array(box.low), np.array(box.high)
        beyond = np.maximum(np.maximum(low - values, values - high), 0.0)
        parts = ({'m': slice(0, 3), 'rad': slice(3, 9)} if signal.kind == 'pose'
                 else {signal.unit: slice(None)})
        for unit, part in parts.items():
            away = float(np.linalg.norm(beyond[part]))
            share = away / max(float((high - low)[part].max()), 1e-6)
            if away > 0.0 and share > farthest:
                farthest = share
                turned = ' turned' if signal.kind == 'pose' and unit == 'rad' else ''
                found = signal.key, (f'{signal.key} lies{turned} {_shown(away, unit)} outside of '
                                     f'what was demonstrated')
    return found


def _shown(value: float, unit: str) -> str:
    """Return a number with its unit, lengths in cm and angles in degrees."""
    scale, name = {'m': (100.0, 'cm'), 'rad': (180 / math.pi, 'deg')}.get(unit, (1.0, unit))
    return f'{value * scale:.2g} {name}'.rstrip()
