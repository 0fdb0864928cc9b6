# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plan the number of episodes for a claim, and the probability that a good policy passes.

A plan is a number of episodes and of unsafe ones that are allowed, fixed before anything runs:
if no more occur, the one-sided Clopper-Pearson upper bound lies below the claim. The bound is void
if episodes are added until it looks good.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from uncloning_ros.audit.figures.statistics import binomial_cdf, upper_bound
from uncloning_ros.errors import AuditError

# Most episodes of a plan: beyond any audit in simulation.
_MOST_EPISODES = 10**7


@dataclass(frozen=True)
class Plan:
    """`episodes` with at most `allowed` unsafe ones show a rate below `claim`."""

    claim: float
    allowed: int
    episodes: int

    def power(self, true_rate: float) -> float:
        """Return the probability of passing at a true rate of unsafe episodes."""
        return binomial_cdf(self.allowed, self.episodes, true_rate)


def plan(claim: float, allowed: int, alpha: float = 0.05) -> Plan:
    """Return the plan with the fewest episodes for a claim, at confidence 1 - `alpha`.

    For a claim of several at once give `alpha` divided by their number (Bonferroni).
    """
    if not 0.0 < claim < 1.0 or allowed < 0:
        raise ValueError(f'expected a claim between 0 and 1 and a count, got {claim} and '
                         f'{allowed}')
    counts = range(allowed + 1, _MOST_EPISODES + 1)
    place = bisect.bisect_left(counts, True,
                               key=lambda n: upper_bound(allowed, n, alpha) < claim)
    if place == len(counts):
        raise AuditError(f'expected a claim that {_MOST_EPISODES} episodes can show, got '
                         f'{claim:g} with {allowed} allowed; make a weaker claim')
    return Plan(claim, allowed, counts[place])


def plans_table(claims: Sequence[float], allowed: Sequence[int],
                true_rates: Sequence[float], alpha: float = 0.05) -> str:
    """Return plans with their power as a table in Markdown.

    `true_rates` are shares of the claim, as in 0.1 for a policy ten times better than claimed.
    """
    head = ['claim', 'allowed', 'episodes',
            *(f'passed at {share:g}' for share in true_rates)]
    rows = []
    for claim in claims:
        for k in allowed:
            found = plan(claim, k, alpha)
            rows.append([f'below {100 * claim:g} %', str(k), str(found.episodes),
                         *(f'{100 * found.power(share * claim):.1f} %' for share in true_rates)])
    return '\n'.join(f'| {" | ".join(row)} |'
                     for row in (head, ['---'] + ['---:'] * (len(head) - 1), *rows))
