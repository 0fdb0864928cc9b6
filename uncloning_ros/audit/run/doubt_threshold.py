# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the threshold of doubt by split conformal prediction, on episodes of their own.

The score of an episode is its greatest doubt that lasted. With n scores of undisturbed episodes,
the one of rank ceil((n + 1) (1 - rate)) is exceeded by a further such episode with a probability
of at most `rate`, whatever their distribution (Vovk, Gammerman and Shafer 2005, chapter 2). The
bound is for all episodes to come together, and for this file alone.
"""

import hashlib
import math
from collections.abc import Sequence

from uncloning_ros.errors import ModelError
from uncloning_ros.scenario import Scenario


def rank_of(episodes: int, rate: float, shown: str = '') -> int:
    """Return the rank of the score that is the threshold; raise `ModelError` for too few.

    `shown` says in the sentence which episodes count, if not all do.
    """
    rank = math.ceil((episodes + 1) * (1.0 - rate))
    if rank > episodes:
        raise ModelError(f'expected at least {math.ceil(1.0 / rate) - 1} episodes{shown} for a '
                         f'rate of false alarms of {rate:g}, got {episodes}; give more episodes, '
                         f'or a higher rate')
    return rank


def threshold_of(scores: Sequence[float], rate: float, shown: str = '') -> float:
    """Return the threshold that further episodes exceed with a probability of at most `rate`."""
    return sorted(scores)[rank_of(len(scores), rate, shown) - 1]


def calibration_seeds(graph_sha256: str, scenario: Scenario, episodes: int) -> range:
    """Return seeds that follow from weights and scenario, so that they cannot be chosen."""
    digest = hashlib.sha256(f'doubt {graph_sha256} {scenario.sha256}'.encode()).digest()
    first = 10**6 + int.from_bytes(digest[:4], 'big')
    return range(first, first + episodes)
