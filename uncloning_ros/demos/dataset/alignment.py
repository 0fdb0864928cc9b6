# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Align an episode to a grid of ticks, as the running policy would have seen it.

A policy acts at ticks, `policy.rate_hz` of them a second, so an episode becomes one frame for
each tick:

    observation at a tick   the newest sample of each key that had arrived by then, never a later
                            one; judged by age, stamp and change as the policy node judges it
    action at a tick        the first command of each key that arrived at the tick or after it:
                            the one that answered this observation, at whatever rate the teacher
                            commanded

The first tick is the first at which all observations are there and fresh and the commands have
begun; the last is the last that still has an answer. The grid lies so that nearly every command
falls on a tick or shortly after one, whatever the teacher's phase. An episode in which an
observation goes stale or stands still, or the commands pause, is left out: the policy holds in
that case, and the teacher acted blindly, or had a hand off the controls. So is one in which a
joint leaps by a turn.

Turns of continuous joints are counted as the control loop counts them: from the first tick on,
at which each is within half a turn of 0; a command is taken at the turn nearest to the
measurement that it answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import Contract, ObservedTopic, Signal
from uncloning_ros.contract.kinds import nearest_turn, turn_leapt, turns_counted
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.messages import require_one_clock
from uncloning_ros.demos.bags.pieces import PAUSE_NS
from uncloning_ros.demos.episodes.tracks import Times
from uncloning_ros.errors import DatasetError
from uncloning_ros.geometry import Array
from uncloning_ros.pictures import Pixels
from uncloning_ros.policy_io import Float32

# Share (%) of the commands that may come before their tick: a few stragglers must not shift all.
_EARLY_PERCENT = 5.0

Flags = NDArray[np.bool_]


class Aligned(NamedTuple):
    """The frames of an episode, one for each of the `ticks_ns` (T,).

    `observations` (T, obs_dim), `actions` (T, act_dim), and by camera the `pictures` (T, height,
    width, channels).
    """

    observations: Float32
    actions: Float32
    ticks_ns: Times
    pictures: Mapping[str, Pixels]

    def pauses(self, period_ns: int) -> tuple[int, ...]:
        """Return the frames before which ticks of this period are left out."""
        return tuple((np.flatnonzero(np.diff(self.ticks_ns) > period_ns) + 1).tolist())


def align(episode: Episode, contract: Contract) -> Aligned:
    """Return the frames of an episode.

    See the module's text for the rules. Raise `DatasetError` if an observation goes stale or
    stands still, if the commands pause, or if fewer frames than history + execute remain.
    """
    interface, timing = contract.interface, contract.policy
    observed = {s.key: _Series.of(episode.samples[s.key]) for s in interface.observations}
    commands = {s.key: _Series.of(episode.samples[s.key]) for s in interface.actions}
    ticks = _grid([*observed.values()], [*commands.values()], timing.period_ns)
    judged = [_Judgement(one, contract.deployment.observations[one.key], observed[one.key], ticks)
              for one in interface.observations]
    bad = np.any([one.bad for one in judged], axis=0)
    begin = int(np.argmin(bad)) if len(ticks) else 0
    if bad[begin:].any():
        # Where nothing is good the first tick tells why; else the first bad one on the way.
        at = begin + int(np.argmax(bad[begin:]))
        raise DatasetError(next(one.sentence(at, (ticks[at] - ticks[begin]) * 1e-9)
                                for one in judged if one.bad[at]))
    ticks = ticks[begin:]
    for key, series in commands.items():
        wait_ns = series.receive_ns[series.at_or_after(ticks)] - ticks
        if (wait_ns > PAUSE_NS).any():
            late = int(np.argmax(wait_ns > PAUSE_NS))
            raise DatasetError(f'no {key} for {wait_ns[late] * 1e-9:.2f} s at '
                               f'{(ticks[late] - ticks[0]) * 1e-9:.2f} s, allowed '
                               f'{PAUSE_NS * 1e-9:g} s; command without pauses')
    least = timing.history + timing.execute
    if len(ticks) < least:
        raise DatasetError(f'expected at least {least} frames (history + execute), got '
                           f'{len(ticks)}; record longer')
    measured = {s.key: observed[s.key].taken(s, ticks, observed[s.key].at_or_before(ticks))
                for s in interface.vectors}
    commanded = [commands[s.key].taken(s, ticks, commands[s.key].at_or_after(ticks))
                 for s in interface.actions]
    for i, signal in enumerate(interface.actions):
        if signal.continuous:
            near = measured[interface.measured_by(signal)]
            commanded[i] = nearest_turn(signal, commanded[i], near)
    observations = np.concatenate([*measured.values()], axis=1)
    actions = np.concatenate(commanded, axis=1)
    pictures = {s.key: observed[s.key].values[observed[s.key].at_or_before(ticks)]
                for s in interface.cameras}
    return Aligned(observations.astype(np.float32), actions.astype(np.float32), ticks, pictures)


@dataclass(frozen=True)
class _Series:
    """The samples of one key as arrays, in the order of their arrival."""

    values: NDArray[Any]
    receive_ns: Times
    stamp_ns: Times

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> '_Series':
        return cls(np.stack([sample.values for sample in samples]),
                   np.array([sample.receive_ns for sample in samples], dtype=np.int64),
                   np.array([sample.stamp_ns for sample in samples], dtype=np.int64))

    def at_or_before(self, ticks: Times) -> NDArray[np.intp]:
        """Return the newest sample at or before each tick, which must not precede the first."""
        return np.searchsorted(self.receive_ns, ticks, side='right') - 1

    def at_or_after(self, ticks: Times) -> NDArray[np.intp]:
        """Return the first sample at or after each tick, which must not follow the last."""
        return np.searchsorted(self.receive_ns, ticks, side='left')

    def taken(self, signal: Signal, ticks: Times, indices: NDArray[np.intp]) -> Array:
        """Return the values (T, dim) of the sample for each tick, turns counted from the first.

        Raise `DatasetError` if a joint leaps by a turn from one sample to the next.
        """
        first = int(indices[0])
        rows = self.values[first:int(indices[-1]) + 1]
        if leapt := turn_leapt(signal, rows):
            row, said = leapt
            at_s = float(self.receive_ns[first + row] - ticks[0]) * 1e-9
            raise DatasetError(f'at {at_s:.2f} s {said}, and give it with --contract')
        return turns_counted(signal, rows, np.zeros(signal.dim))[indices - first]

    def unchanged_ns(self) -> Times:
        """Return the time (N,) in ns for which each sample has repeated the values before it."""
        differs = self.values[1:] != self.values[:-1]
        changed = np.concatenate(([True], differs.any(axis=tuple(range(1, differs.ndim)))))
        since = np.maximum.accumulate(np.where(changed, np.arange(len(changed)), 0))
        return self.receive_ns - self.receive_ns[since]


class _Judgement:
    """The answer of the running policy's watchdog for one observation at every tick."""

    def __init__(self, signal: Signal, topic: ObservedTopic, series: _Series,
                 ticks: Times) -> None:
        self._key, self._repeated = signal.key, signal.repeated
        self._age_s, self._unchanged_s = topic.max_age_s, topic.max_unchanged_s
        newest = series.at_or_before(ticks)
        # Whole nanoseconds, as the watchdog has them: an age of exactly the limit is allowed.
        limit_ns = round(topic.max_age_s * 1e9)
        self._late_ns = series.receive_ns[newest] - series.stamp_ns[newest]
        self._stale = ((ticks - series.receive_ns[newest] > limit_ns)
                       | (np.abs(ticks - series.stamp_ns[newest]) > limit_ns))
        self._frozen = np.zeros(len(ticks), dtype=np.bool_)
        if topic.max_unchanged_s is not None:
            self._frozen = series.unchanged_ns()[newest] > round(topic.max_unchanged_s * 1e9)

    @property
    def bad(self) -> Flags:
        """Tell at which ticks (T,) the policy would hold."""
        return np.asarray(self._stale | self._frozen)

    def sentence(self, at: int, at_s: float) -> str:
        """Return the fault at a tick, which comes `at_s` after the first."""
        late_s = float(self._late_ns[at]) * 1e-9
        if self._stale[at] and abs(late_s) > self._age_s:
            return (f'{self._key} is stamped {abs(late_s):.3f} s '
                    f'{"before" if late_s > 0 else "after"} it arrived, at {at_s:.2f} s, allowed '
                    f'{self._age_s:g} s; check latency and clocks; if its stamps mean nothing, '
                    f'set stamped: false for it in the contract')
        if self._stale[at]:
            return (f'{self._key} is older than {self._age_s:g} s at {at_s:.2f} s; check its '
                    f'publisher, or max_age_s in the contract')
        same, source = self._repeated
        return (f'{self._key} has repeated the same {same} for more than {self._unchanged_s:g} s '
                f'at {at_s:.2f} s; check the {source}; remove max_unchanged_s from the contract '
                f'only if it may stand still that long')


def _grid(observed: Sequence[_Series], commands: Sequence[_Series], period_ns: int) -> Times:
    """Return the ticks (T,) at which everything had arrived and an answer was still to come."""
    start_ns = max(int(series.receive_ns[0]) for series in observed)
    # Before its first command a teacher has not begun; one period of it is the first answer.
    start_ns = max(start_ns, *(int(s.receive_ns[0]) - period_ns + 1 for s in commands))
    end_ns = min(int(series.receive_ns[-1]) for series in commands)
    require_one_clock(start_ns, end_ns)
    anchor_ns = _anchor(commands, period_ns)
    first = -(-(start_ns - anchor_ns) // period_ns)
    last = (end_ns - anchor_ns) // period_ns
    return anchor_ns + period_ns * np.arange(first, last + 1, dtype=np.int64)


def _anchor(commands: Sequence[_Series], period_ns: int) -> int:
    """Return an instant of the grid on which nearly every command falls on or after a tick."""
    arrivals = np.concatenate([series.receive_ns for series in commands])
    zero = int(arrivals.min())
    offsets = (arrivals - zero + period_ns // 2) % period_ns - period_ns // 2
    return zero + int(np.floor(np.percentile(offsets, _EARLY_PERCENT)))
