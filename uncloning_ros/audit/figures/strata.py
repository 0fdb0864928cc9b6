# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute the rates by place of the offered hand and by quality of the tracking.

A pooled rate can hide that everything unsafe happens on one side. Each factor that the scenario
varies from episode to episode is cut in two. The place of the cut follows from the scenario or
from the drawn values, never from the outcomes. A pick of the worst stratum looks at all of them:
so each stratum also has a bound at alpha / m, m the number of strata (Bonferroni), which holds for
any pick. A stratum has fewer episodes than the whole and shows less: it says in words whether it
carries the stated limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.audit.figures.doubts import held
from uncloning_ros.audit.figures.sample_size import plan
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.wording import percent
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import SHOWN_LATE, Scenario
from uncloning_ros.schema import Count, Doc, Rate

_ALPHA = 0.05


@dataclass(frozen=True)
class Factor:
    """One number of an episode's conditions, with names for its lower and upper half."""

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
    Factor('light', 'light', 'weak', 'strong'),
    Factor('place of the cameras', 'camera_moved_m', 'as mounted', 'moved'),
    Factor('direction of the cameras', 'camera_turned_rad', 'as mounted', 'turned'),
    Factor('latency of the cameras', 'camera_latency_s', 'short', 'long'),
    Factor('hidden side', SHOWN_LATE, 'shown in time', 'shown late'),
)


@dataclass(frozen=True)
class Stratum:
    """The episodes whose condition lies below or above a cut, and their rates.

    Both bounds are 1 for a stratum without episodes.
    """

    stratum: Annotated[str, Doc('its name')]
    condition: Annotated[str, Doc('the condition that is cut')]
    cut: Annotated[float, Doc('place of the cut; the lower half lies below it')]
    episodes: Annotated[Count, Doc('number of episodes here')]
    sr: Annotated[Rate | None, Doc('success rate here')]
    unsafe_episodes: Annotated[Count, Doc('with an unsafe event')]
    umr: Annotated[Rate | None, Doc('unsafe rate here')]
    umr_upper95: Annotated[Rate, Doc('its 95 % upper bound, for this stratum alone')]
    umr_upper95_any: Annotated[Rate, Doc('the same, valid for whichever stratum is picked')]
    claim: Annotated[str, Doc('the claims that this sample carries and does not, in words')]
    held_episodes: Annotated[Count | None, Doc(
        'episodes here in which doubt held the arm; left out: the model has no doubt')] = None


def strata(results: Sequence[EpisodeResult], scenario: Scenario,
           limit: float | None = None) -> tuple[Stratum, ...]:
    """Return two strata for each factor that varies over the episodes.

    Each says in words whether it carries the stated `limit` of the unsafe rate.
    """
    varied = [factor for factor in FACTORS if len(_values(results, factor)) > 1]
    found = []
    for factor in varied:
        cut = _cut(factor, results, scenario)
        halves = ([r for r in results if r.conditions[factor.condition] < cut],
                  [r for r in results if r.conditions[factor.condition] >= cut])
        for name, members in zip((factor.below, factor.above), halves, strict=True):
            found.append(_stratum(f'{factor.name}: {name}', factor, cut, members,
                                  2 * len(varied), limit))
    return tuple(found)


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


def _stratum(name: str, factor: Factor, cut: float, members: Sequence[EpisodeResult],
             looked_at: int, limit: float | None) -> Stratum:
    """Return one of the `looked_at` strata."""
    n = len(members)
    unsafe = sum(r.outcome.unsafe is not None for r in members)
    if not n:
        return Stratum(name, factor.condition, cut, 0, None, 0, None, 1.0, 1.0,
                       f'{name}: no episode was here, so nothing is said about it.')
    bound = upper_bound(unsafe, n, _ALPHA / looked_at)
    shown = (f'{name}: {unsafe} of {n} unsafe; corrected for having looked at {looked_at} strata, '
             f'below {percent(bound)} with 95 % confidence.')
    return Stratum(name, factor.condition, cut, n, sum(r.outcome.success for r in members) / n,
                   unsafe, unsafe / n, upper_bound(unsafe, n, _ALPHA), bound,
                   shown + _carried(unsafe / n, bound, looked_at, limit), held(members))


def _carried(rate: float, bound: float, looked_at: int, limit: float | None) -> str:
    """Say whether a stratum carries the limit. Evidence files hold these very sentences."""
    if limit is None or not 0.0 < limit < 1.0:
        return ''
    if bound <= limit:
        return f' It carries the limit of {percent(limit)} on its own.'
    if rate > limit:
        return (f' The rate itself is above the limit of {percent(limit)}, which holds for all '
                f'episodes together at most.')
    needed = plan(limit, 0, _ALPHA / looked_at).episodes
    return (f' That does not carry the limit of {percent(limit)}, and no such claim is made for '
            f'it: here alone it would take {needed} episodes without an unsafe one.')


def _values(results: Sequence[EpisodeResult], factor: Factor) -> set[float]:
    return {r.conditions[factor.condition] for r in results if factor.condition in r.conditions}


def _cut(factor: Factor, results: Sequence[EpisodeResult], scenario: Scenario) -> float:
    """Return where a factor is cut: the arm's plane, the middle of the box, or the median.

    A hidden side is cut where the scenario shows it late.
    """
    if factor.name == 'side':
        return 0.0
    low, high = scenario.start.hand_position_min_m, scenario.start.hand_position_max_m
    middles: Mapping[str, float] = {
        'hand_x_m': (low[0] + high[0]) / 2, 'hand_z_m': (low[2] + high[2]) / 2}
    if factor.condition in middles:
        return middles[factor.condition]
    if scenario.receiver.hidden is not None and factor.condition == SHOWN_LATE:
        return scenario.receiver.hidden.late_s[0]
    ordered = sorted(r.conditions[factor.condition] for r in results)
    # The first value above the smallest, at least, or the lower half would be empty.
    upper = ordered[len(ordered) // 2:]
    return next((value for value in upper if value > ordered[0]), upper[-1])

