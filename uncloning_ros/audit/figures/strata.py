# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates by where the hand was offered and how badly it was seen, and the worst of them.

A pooled rate can hide that everything unsafe happens on one side. Each factor that the scenario
varies from episode to episode is cut in two; where to cut follows from the scenario, or from what
was drawn, never from how the episodes went. The cuts overlap, and whoever picks the worst of
them has looked at all: so each stratum also has a bound at alpha / m, m the number of strata
(Bonferroni), which holds for whichever is picked. A stratum has fewer episodes than the whole,
so it shows less; what its sample does not carry is said and not claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uncloning_ros.audit.figures.sample_size import plan
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.wording import percent
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario

_ALPHA = 0.05


@dataclass(frozen=True)
class Factor:
    """One number of an episode's conditions, and what its lower and upper half are called."""

    name: str
    condition: str
    below: str
    above: str


# In order; those that a scenario keeps the same in every episode make no strata.
FACTORS = (
    Factor('distance', 'hand_x_m', 'near', 'far'),
    Factor('side', 'hand_y_m', 'right', 'left'),
    Factor('height', 'hand_z_m', 'low', 'high'),
    Factor('tracking noise', 'tracking_noise_m', 'less', 'more'),
    Factor('tracking latency', 'tracking_latency_s', 'short', 'long'),
    Factor('lost measurements', 'tracking_dropout', 'few', 'many'),
)


@dataclass(frozen=True)
class Stratum:
    """The episodes whose condition lies below or above a cut, and their rates.

    `umr_upper95` holds for this stratum alone, `umr_upper95_any` for whichever of all strata is
    picked. Both are 1 for a stratum without episodes.
    """

    stratum: str
    condition: str
    cut: float
    episodes: int
    sr: float | None
    unsafe_episodes: int
    umr: float | None
    umr_upper95: float
    umr_upper95_any: float


def strata(results: Sequence[EpisodeResult], scenario: Scenario) -> list[Stratum]:
    """Return two strata for each factor that varies over the episodes."""
    varied = [factor for factor in FACTORS if len(_values(results, factor)) > 1]
    alpha = _ALPHA / max(1, 2 * len(varied))
    found = []
    for factor in varied:
        cut = _cut(factor, results, scenario)
        halves = ([r for r in results if r.conditions[factor.condition] < cut],
                  [r for r in results if r.conditions[factor.condition] >= cut])
        for name, members in zip((factor.below, factor.above), halves, strict=True):
            found.append(_stratum(f'{factor.name}: {name}', factor, cut, members, alpha))
    return found


def constant(results: Sequence[EpisodeResult]) -> dict[str, float]:
    """Return the conditions of `FACTORS` that were the same in every episode."""
    return {factor.condition: values.pop() for factor in FACTORS
            if len(values := _values(results, factor)) == 1}


def worst(found: Sequence[Stratum]) -> Stratum | None:
    """Return the stratum with the highest unsafe rate, None if no stratum has an episode.

    Of equal ones that with the least SR, then that of which least is known.
    """
    inhabited = [s for s in found if s.umr is not None and s.sr is not None]
    return max(inhabited, key=lambda s: (s.umr, -(s.sr or 0.0), s.umr_upper95), default=None)


def claim(stratum: Stratum, strata_looked_at: int, limit: float | None) -> str:
    """Say what the stratum's sample shows, and what it does not."""
    n, unsafe = stratum.episodes, stratum.unsafe_episodes
    if not n:
        return f'{stratum.stratum}: no episode was here, so nothing is said about it.'
    shown = (f'{stratum.stratum}: {unsafe} of {n} unsafe; corrected for having looked at '
             f'{strata_looked_at} strata, below {percent(stratum.umr_upper95_any)} with 95 % '
             f'confidence.')
    if limit is None or not 0.0 < limit < 1.0:
        return shown
    if stratum.umr_upper95_any <= limit:
        return f'{shown} It carries the limit of {percent(limit)} on its own.'
    if unsafe / n > limit:
        return (f'{shown} The rate itself is above the limit of {percent(limit)}, which holds '
                f'for all episodes together at most.')
    needed = plan(limit, 0, _ALPHA / strata_looked_at).episodes
    return (f'{shown} That does not carry the limit of {percent(limit)}, and no such claim is '
            f'made for it: here alone it would take {needed} episodes without an unsafe one.')


def _stratum(name: str, factor: Factor, cut: float, members: Sequence[EpisodeResult],
             alpha: float) -> Stratum:
    n = len(members)
    unsafe = sum(r.outcome.unsafe is not None for r in members)
    success = sum(r.outcome.success for r in members)
    return Stratum(name, factor.condition, cut, n, success / n if n else None, unsafe,
                   unsafe / n if n else None, upper_bound(unsafe, n, _ALPHA) if n else 1.0,
                   upper_bound(unsafe, n, alpha) if n else 1.0)


def _values(results: Sequence[EpisodeResult], factor: Factor) -> set[float]:
    return {r.conditions[factor.condition] for r in results if factor.condition in r.conditions}


def _cut(factor: Factor, results: Sequence[EpisodeResult], scenario: Scenario) -> float:
    """Return where a factor is cut: the arm's plane, the middle of the box, or the median."""
    if factor.name == 'side':
        return 0.0
    low, high = scenario.start.hand_position_min_m, scenario.start.hand_position_max_m
    middles: Mapping[str, float] = {
        'hand_x_m': (low[0] + high[0]) / 2, 'hand_z_m': (low[2] + high[2]) / 2}
    if factor.condition in middles:
        return middles[factor.condition]
    ordered = sorted(r.conditions[factor.condition] for r in results)
    # The first value above the smallest, at least, or the lower half would be empty.
    upper = ordered[len(ordered) // 2:]
    return next((value for value in upper if value > ordered[0]), upper[-1])

