# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the observations of a recording at which the policy has another plan than the recorded one.

Many plans are drawn at each window. Where a policy decides on a mode they part into two groups,
nearly as far from each other as plans of unrelated moments, and each narrow. The group that
holds the recorded chunk is the recorded mode's; the other one is what the policy might have done
instead. A gripper that closes a little sooner or later parts the plans too, so widths are not
looked at.

Such forks are few: a decision is made within a tick or two. Fork observations of several
recordings are blended, and the policy itself tells whether a blend is a fork as well.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows
from uncloning_ros.progress import progress_bar

DRAWS = 16  # plans of an observation: one of ten is missed in a fifth of the observations
APART = 0.75  # least distance of two groups, as a share of the usual one at forks

_AT_ONCE = 128  # observations whose plans are compared at once
# Least usual distance at forks, as a share of that of unrelated plans. In knife it is 1.1; where a
# committed policy releases sooner or later, 0.5 in most episodes and 0.8 in one of ten.
_UNRELATED = 0.75
# Least distance of two groups, in their own spreads (rms). Plans of one group, parted by force,
# have less, unless they lie on a line; forks of knife have 6.6 or more.
_NARROW = 3.0
_ROUNDS = 8  # of the search for two groups
_FEWEST = 3  # recordings whose forks are blended


class Parted(NamedTuple):
    """Plans that were drawn at observations, in two groups each.

    `plans` (N, draws, D), `second` (N, draws): whether a plan is in the second group, `centres`
    (N, 2, E) of the groups, the distance `apart` (N,) of the centres, and the root mean square
    `spread` (N,) of plans about them. Distances are between arms (E), without widths. `said`
    (N, draws, I) are the intents of the plans, None of a policy without any.
    """

    plans: Tensor
    second: Tensor
    centres: Tensor
    apart: Tensor
    spread: Tensor
    said: Tensor | None

    def picked(self, picks: Tensor | slice) -> 'Parted':
        """Return the plans at some of the observations."""
        return Parted(self.plans[picks], self.second[picks], self.centres[picks],
                      self.apart[picks], self.spread[picks],
                      None if self.said is None else self.said[picks])


class Forks(NamedTuple):
    """Fork observations of some recordings, in the order of the recordings.

    `conditions` (F, C), `plans` (F, draws, D) and `other` (F, draws), whether a plan is another
    one than the recorded; `recording` (F,) and `tick` (F,) tell where each is, from 0. Groups are
    apart at a fork by `least`.
    """

    conditions: Tensor
    plans: Tensor
    other: Tensor
    recording: Tensor
    tick: Tensor
    least: float

    def picked(self, picks: Tensor) -> 'Forks':
        """Return some of the forks."""
        return Forks(self.conditions[picks], self.plans[picks], self.other[picks],
                     self.recording[picks], self.tick[picks], self.least)

    def windows(self) -> Windows:
        """Return all plans (F * draws) as windows."""
        return Windows(self.conditions.repeat_interleave(self.plans.shape[1], 0),
                       self.plans.flatten(0, 1))

    def first_runs(self, count: int) -> list[list[int]]:
        """Return the first fork of each of `count` recordings, with those that follow at once."""
        runs = []
        for one in range(count):
            places = torch.nonzero(self.recording == one)[:, 0].tolist()
            run = [place for i, place in enumerate(places)
                   if int(self.tick[place] - self.tick[places[0]]) == i]
            if run:
                runs.append(run)
        return runs


class ForkFinder:
    """Draw plans of a policy and find where they part; randomness follows from `generator`."""

    def __init__(self, policy: Policy, interface: Interface, timing: PolicyTiming,
                 generator: torch.Generator) -> None:
        self._policy, self._generator = policy, generator
        moves = torch.zeros(timing.horizon, interface.action_dim, dtype=torch.bool)
        for signal in interface.actions:
            moves[:, interface.action_slices[signal.key]] = signal.kind != 'gripper_width'
        # Of a robot without an arm's command its gripper is all there is.
        self._moves = moves.flatten() if moves.any() else ~moves.flatten()

    def parted(self, conditions: Tensor) -> Parted:
        """Return the plans at conditions (N, C)."""
        with progress_bar('other plans', len(conditions), 'window', delay_s=2.0) as bar:
            drawn, groups = [], []
            for some in conditions.split(_AT_ONCE):
                drawn.append(self._policy.own(some, DRAWS, self._generator))
                groups.append(_two_groups(drawn[-1][0][..., self._moves]))
                bar.update(len(some))
        said = [one for _, one in drawn if one is not None]
        second, centres, apart, spread = map(torch.cat, zip(*groups, strict=True))
        return Parted(torch.cat([plans for plans, _ in drawn]), second, centres, apart, spread,
                      torch.cat(said) if said else None)

    def forks(self, recordings: Sequence[Windows],
              apart: float = APART) -> tuple[Forks, Parted]:
        """Return the forks of recordings, and the plans at all of their windows, one by one.

        `apart` is the least distance of two groups, as a share of the usual one at forks.
        """
        conditions = torch.cat([one.conditions for one in recordings])
        arms = torch.cat([one.clean for one in recordings])[:, self._moves]
        recording = torch.cat([torch.full((len(one),), i) for i, one in enumerate(recordings)])
        tick = torch.cat([torch.arange(len(one)) for one in recordings])
        parted = self.parted(conditions)
        usual = torch.stack([parted.apart[recording == i].max()
                             for i in range(len(recordings))]).median()
        unrelated = (arms - arms[torch.randperm(len(arms), generator=self._generator)]).norm(
            dim=1).median()
        least = apart * float(usual) if usual >= _UNRELATED * unrelated else math.inf
        near = (arms[:, None] - parted.centres).norm(dim=2).argmin(1)
        there = is_fork(parted, least)
        return Forks(conditions[there], parted.plans[there],
                     (parted.second.long() != near[:, None])[there], recording[there],
                     tick[there], least), parted

    def blended(self, forks: Forks, runs: Sequence[Sequence[int]], count: int,
                spread: float) -> Tensor:
        """Return at most `count` conditions (B, C) like those of the first forks: of their spread.

        Those of the same tick after the first are mixed, with random weights about their mean;
        with fewer than three recordings there are none.
        """
        deepest = max((len(run) for run in runs), default=0)
        levels = [[run[i] for run in runs if len(run) > i] for i in range(deepest)]
        levels = [level for level in levels if len(level) >= _FEWEST]
        total = sum(len(level) for level in levels)
        found = [forks.conditions[:0]]
        for level in levels:
            members = forks.conditions[level]
            mean = members.mean(0)
            weights = torch.randn(count * len(level) // total, len(level),
                                  generator=self._generator)
            found.append(mean + spread / math.sqrt(len(level)) * weights @ (members - mean))
        return torch.cat(found)


def is_fork(parted: Parted, least: float) -> Tensor:
    """Tell at which observations (N,) the plans part by `least`, into narrow groups."""
    return (parted.apart >= least) & (parted.apart >= _NARROW * parted.spread)


def _two_groups(arms: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return `second`, `centres`, `apart` and `spread` of plans (N, draws, E); see `Parted`.

    Two means, begun with the two plans that are farthest from each other.
    """
    rows, draws = torch.arange(len(arms)), arms.shape[1]
    distances = torch.cdist(arms, arms)
    farthest = distances.flatten(1).argmax(1)
    centres = torch.stack([arms[rows, farthest // draws], arms[rows, farthest % draws]], 1)
    for _ in range(_ROUNDS):
        nearest = torch.cdist(arms, centres).argmin(2)
        shares = torch.nn.functional.one_hot(nearest, 2).float()
        centres = (shares.transpose(1, 2) @ arms) / shares.sum(1).clamp(min=1.0)[..., None]
    apart = (centres[:, 0] - centres[:, 1]).norm(dim=1)
    within = arms - centres.gather(1, nearest[..., None].expand(-1, -1, arms.shape[2]))
    return nearest == 1, centres, apart, within.square().sum(2).mean(1).sqrt()
