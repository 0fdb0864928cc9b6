# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the modes that a policy shows with the modes that it should show.

Before an edit a policy should hand over in each mode as often as its demonstrations do; after
one, as its original does, restricted to the modes that were kept. The distance of two mode
distributions p and q is their total variation, TV = 1/2 sum_k |p_k - q_k|: the largest
difference in probability that they give to any set of modes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

from uncloning_ros.audit.audited import BETWEEN_MODES, AuditedModel, ModelIdentity
from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.audit.wording import as_words
from uncloning_ros.schema import Count, Doc, Rate


@dataclass(frozen=True)
class Reference:
    """The mode distribution that a policy is held against.

    `what` names its origin in words. `counts` by mode are exact if they count the training data
    itself, and a sample if they count other episodes.
    """

    what: str
    counts: Mapping[str, int]
    exact: bool


@dataclass(frozen=True)
class Distance:
    """Total variation between the modes of completed episodes and a reference.

    A `tv` near `expected_by_chance` is not a sign of a difference.
    """

    reference: Annotated[str, Doc('the modes that it is held against')]
    expected: Annotated[Mapping[str, Rate], Doc('share of each mode in it')]
    tv: Annotated[Rate, Doc('total variation between completed episodes and reference')]
    low: Annotated[Rate, Doc('95 % interval of it')]
    high: Annotated[Rate, Doc('95 % interval of it')]
    expected_by_chance: Annotated[Rate, Doc('mean tv of a policy that equals the reference')]
    episodes: Annotated[Count, Doc('completed episodes counted')]


def expected_modes(identity: ModelIdentity) -> Reference | None:
    """Return the modes that a policy should show after its demonstrations; None if not known.

    After an edit: the demonstrations without the modes that were removed.
    """
    if not identity.demonstrated:
        return None
    n = sum(identity.demonstrated.values())
    learned = Reference(f'the {n} demonstrations that it learned from', identity.demonstrated,
                        exact=True)
    if not identity.modes_removed:
        return learned
    kept = [mode for mode in identity.demonstrated if mode not in identity.modes_removed]
    return restricted(learned, kept, f'{learned.what}, without {_listed(identity.modes_removed)}')


def ideal_modes(identity: ModelIdentity, original: AuditedModel) -> Reference | None:
    """Return the modes of an audited original that its edit should leave.

    None if `original` is not what the identity was edited from, or never showed a kept mode.
    """
    if (identity.original_sha256 is None
            or identity.original_sha256 != original.identity.weights_sha256):
        return None
    seen = original.completed_modes
    kept = [mode for mode in seen if mode not in (*identity.modes_removed, BETWEEN_MODES)]
    return restricted(
        Reference('', seen, exact=False), kept,
        f'{original.identity.model}, its original, without {_listed(identity.modes_removed)}, on '
        f'the same seeds')


def restricted(reference: Reference, kept: Sequence[str], what: str) -> Reference | None:
    """Return the reference with the kept modes alone; None if it has none of them.

    That is the ideal of an edit that removes all other modes and changes nothing else. Where one
    mode alone is left, nothing is uncertain about its share.
    """
    counts = {mode: n for mode, n in reference.counts.items() if mode in kept and n}
    return Reference(what, counts, reference.exact or len(counts) == 1) if counts else None


def distance(seen: Mapping[str, int], reference: Reference, alpha: float = 0.05) -> Distance:
    """Return the distance of the observed modes from the reference.

    TV is the largest |p(A) - q(A)| over sets A of modes, so intervals of p(A) for every A at
    once give one of TV. Each is Clopper-Pearson's, corrected by Bonferroni for the number of
    sets (and halved where q is a sample itself): exact for any number of modes and episodes, and
    for the smallest ones wide. Raise `ValueError` where there is nothing to compare.
    """
    n, m = sum(seen.values()), sum(reference.counts.values())
    if not n or not m:
        raise ValueError(f'expected episodes of some mode, got {dict(seen)} and '
                         f'{dict(reference.counts)}')
    modes = sorted({*seen, *reference.counts})
    sets = _sets(modes)
    each = alpha / len(sets) / (1 if reference.exact else 2)
    gap, low, high = 0.0, 0.0, 0.0
    for members in sets:
        k = sum(seen.get(mode, 0) for mode in members)
        j = sum(reference.counts.get(mode, 0) for mode in members)
        gap = max(gap, abs(k / n - j / m))
        p_low, p_high = interval(k, n, each)
        q_low, q_high = (j / m, j / m) if reference.exact else interval(j, m, each)
        low = max(low, p_low - q_high, q_low - p_high)
        high = max(high, p_high - q_low, q_high - p_low)
    expected = 0.5 * sum(_mean_deviation(n, reference.counts.get(mode, 0) / m) for mode in modes)
    return Distance(reference.what, {mode: k / m for mode, k in sorted(reference.counts.items())},
                    gap, low, min(high, 1.0), expected, n)


def _sets(modes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the sets of modes that differ up to taking the complement; never none."""
    # A set and its complement differ by as much, so those without the last mode are enough.
    found = [members for size in range(1, len(modes))
             for members in combinations(modes[:-1], size)]
    return found or [tuple(modes)]


def _mean_deviation(n: int, p: float) -> float:
    """Return the mean of |X / n - p| of X ~ Binomial(n, p): De Moivre's closed form (1730)."""
    if p <= 0.0 or p >= 1.0:
        return 0.0
    k = math.floor(n * p) + 1
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return 2 * k / n * math.exp(log_choose + k * math.log(p) + (n - k + 1) * math.log1p(-p))


def _listed(names: Sequence[str]) -> str:
    return ' and '.join(map(as_words, names))
