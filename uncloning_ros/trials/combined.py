# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Combine few real trials with many simulated episodes to one interval of the success rate.

Some starts are run both in reality and in the simulator, many more in the simulator alone. The
real rate is the one where the simulator succeeds and the one where it fails, each weighted by how
often the simulator does either. The more the two agree on a start, the less is left to find out by
real trials. The simulator need not be right: one that is always wrong is as good as one that is
always right. This is prediction-powered inference (Angelopoulos et al., Science 382, 669-674,
2023) with a forecast of yes or no, where it is a stratified estimate.

Each of the three rates has its Clopper-Pearson interval; their distances from the estimate add as
independent errors do (Zou and Donner, Statistics in Medicine 27, 1693-1702, 2008). A side without
a real trial is not an error of chance: the bounds take it as 0 and as 1.

Assumed: the paired starts are a random sample of those that the simulated episodes are drawn
from, and their number was fixed beforehand. Unsafe rates are not combined: a bound of them is
about the place where the trials were made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from uncloning_ros.audit.figures import statistics
from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.schema import Count, Doc, Rate


@dataclass(frozen=True)
class Combined:
    """The real success rate from paired trials and further simulated episodes."""

    pairs: Annotated[Count, Doc('number of paired trials')]
    low: Annotated[Rate, Doc('interval of both together at 1 - alpha')]
    high: Annotated[Rate, Doc('interval of both together at 1 - alpha')]
    real_alone: Annotated[Interval, Doc('Clopper-Pearson interval of the paired real trials')]
    agreed: Annotated[Count, Doc('pairs in which reality and simulator did the same')]
    simulated: Annotated[Rate, Doc('success rate of all simulated episodes')]
    alpha: Annotated[Rate, Doc('chance of an error that is allowed')]


def combine(real: Sequence[bool], simulated: Sequence[bool], more_successes: int,
            more_episodes: int, alpha: float = 0.05) -> Combined:
    """Return the interval of the real success rate at 1 - `alpha`.

    `real[i]` and `simulated[i]` are of the same start; `more_episodes` are of other starts.
    """
    if len(real) != len(simulated) or not real:
        raise ValueError(f'expected pairs, got {len(real)} real and {len(simulated)} simulated '
                         f'outcomes')
    if not 0 <= more_successes <= more_episodes:
        raise ValueError(f'expected 0 <= successes <= episodes, got {more_successes} of '
                         f'{more_episodes}')
    pairs, hits = len(real), sum(simulated)
    both = sum(a and b for a, b in zip(real, simulated, strict=True))
    real_only = sum(real) - both
    successes, episodes = more_successes + hits, more_episodes + pairs
    # A lower bound of the successes is an upper bound of the failures.
    low = _lower(both, hits, real_only, pairs - hits, successes, episodes, alpha)
    high = 1 - _lower(hits - both, hits, pairs - hits - real_only, pairs - hits, successes,
                      episodes, alpha)
    return Combined(pairs, low, high, _bounds(sum(real), pairs, alpha),
                    both + pairs - hits - real_only, successes / episodes, alpha)


def _lower(both: int, hits: int, real_only: int, misses: int, successes: int, episodes: int,
           alpha: float) -> float:
    """Return the lower bound of the real rate.

    `both` of the `hits` pairs in which the simulator succeeds, and `real_only` of the `misses`,
    are real successes.
    """
    weight = successes / episodes
    at_hit, at_miss = both / max(hits, 1), real_only / max(misses, 1)
    least, most = _bounds(successes, episodes, alpha)
    weight_error = weight - least if at_hit > at_miss else most - weight
    error = math.hypot(weight * (at_hit - _bounds(both, hits, alpha)[0]),
                       (1 - weight) * (at_miss - _bounds(real_only, misses, alpha)[0]),
                       (at_hit - at_miss) * weight_error)
    return max(0.0, weight * at_hit + (1 - weight) * at_miss - error)


@lru_cache(maxsize=4096)
def _bounds(events: int, trials: int, alpha: float) -> Interval:
    return statistics.interval(events, trials, alpha) if trials else (0.0, 1.0)
