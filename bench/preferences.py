# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/preferences.md: how many answers tell what simulated raters want.

    cd bench; python preferences.py

The features are those of 400 simulated demonstrations, in preferences_features.json. They are
measured again with:

    uncloning demos --scenario knife --episodes 400 --seed 0 --out demos/
    cd bench; python preferences.py --demos ../demos
"""

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from comparison.markdown import table

from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import find_episodes
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.files import write_json, write_whole
from uncloning_ros.preferences.asking import next_pair, next_single, random_pairs
from uncloning_ros.preferences.removal import REFUSED, SURE, Verdict
from uncloning_ros.preferences.reward import (
    BAD,
    EQUAL,
    GOOD,
    LEFT,
    RIGHT,
    Answers,
    Belief,
    infer,
)
from uncloning_ros.preferences.scene import handover_of
from uncloning_ros.scenario import find_scenario

HERE = Path(__file__).parent
FEATURES = HERE / 'preferences_features.json'
PAGE = HERE.parent / 'docs' / 'benchmarks' / 'preferences.md'
HELD_OUT = 40  # episodes that no rater is asked about
INCONSISTENT = 0.2  # share of answers that are the opposite of the truth
ALIKE = 0.1  # share of random pairs that a rater calls equal: those with the smallest difference
LOOKS = (10, 20, 30, 40, 60, 80, 120, 160)
RANDOM_LOOKS = (*LOOKS, 200, 240, 280, 320)
COMPARED, SINGLES = 80, (20, 40, 80)  # comparisons, and good-or-bad answers after them
RESAMPLED = 2000  # sets of raters, drawn with replacement, for an interval
FIRST_SEED = 100  # the settings of the model were chosen on raters with seeds below it
AIMS = {80: 0.8, 160: 0.9}
FEWER = 1 / 3  # aim: share of comparisons that the most informative ones save
# Sign of each feature's weight: people want distance, and not speed, detours, waiting and force.
SIGNS = {'clearance_m': 1, 'blade_angle_rad': 1, 'tip_speed_m_s': -1, 'path_m': -1,
         'waiting_s': -1, 'exchange_force_n': -1}


@dataclass
class Rater:
    """A simulated rater with a true reward; answers `INCONSISTENT` of all questions wrongly.

    `pool` and `held` are scaled features of episodes to ask about and of those held out. The
    rater accepts the episodes above a quantile of the reward, drawn from 0.2 to 0.8.
    """

    seed: int
    scaled: np.ndarray
    signs: Sequence[int]
    pairs: list[np.ndarray] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    asked: set[tuple[int, int]] = field(default_factory=set)
    singles: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        weights = np.abs(self.rng.standard_normal(len(self.signs))) * self.signs
        self.weights = weights / np.linalg.norm(weights)
        order = self.rng.permutation(len(self.scaled))
        self.held, self.pool = self.scaled[order[:HELD_OUT]], self.scaled[order[HELD_OUT:]]
        self.truth = self.pool @ self.weights
        some = self.rng.integers(len(self.pool), size=(2000, 2))
        self.alike = np.quantile(np.abs(self.truth[some[:, 0]] - self.truth[some[:, 1]]), ALIKE)
        self.limit = np.quantile(self.truth, self.rng.uniform(0.2, 0.8))

    def compare(self, active: bool) -> None:
        """Answer the next comparison, chosen to tell most or at random."""
        found = (next_pair(self.belief(), self.pool, self.asked, 0, self.rng) if active else
                 tuple(random_pairs(len(self.pool), self.asked, 1, self.rng)[0].tolist()))
        assert found is not None
        one, two = found
        difference = self.truth[one] - self.truth[two]
        right = EQUAL if abs(difference) < self.alike else LEFT if difference > 0 else RIGHT
        if self.rng.random() < INCONSISTENT:
            right = {LEFT: RIGHT, RIGHT: LEFT, EQUAL: int(self.rng.integers(2))}[right]
        self.asked.add((min(one, two), max(one, two)))
        self.pairs.append(self.pool[one] - self.pool[two])
        self.said.append(right)

    def judge(self) -> None:
        """Say good or bad of the episode whose answer tells most."""
        one = next_single(self.belief(), self.pool, set(self.singles), 0, self.rng)
        assert one is not None
        good = (self.truth[one] >= self.limit) != (self.rng.random() < INCONSISTENT)
        self.singles.append(one)
        self.accepted.append(GOOD if good else BAD)

    def belief(self) -> Belief:
        """Return the belief after the answers so far."""
        dim, zeros = len(self.signs), np.zeros(max(len(self.said), len(self.singles)), np.int64)
        return infer(Answers(
            np.array(self.pairs).reshape(-1, dim), np.array(self.said, np.int64),
            zeros[:len(self.said)], self.pool[self.singles].reshape(-1, dim),
            np.array(self.accepted, np.int64), zeros[:len(self.singles)], 1))

    def tau(self) -> float:
        """Return Kendall's tau of learned and true reward on the episodes held out."""
        return kendall(self.held @ self.belief().weights, self.held @ self.weights)

    def right(self) -> tuple[float, float, float]:
        """Return shares of the episodes held out: those left out, and of the others those right.

        Right is a removal as the rater wants it. The third is right of all, divided at 50 %.
        """
        refused, wanted = self.belief().below(self.held), self.held @ self.weights < self.limit
        sides = [Verdict('', None, 0.0, float(chance)).side for chance in refused]
        fits = [(side == REFUSED) == want
                for side, want in zip(sides, wanted, strict=True) if side is not None]
        return (1.0 - len(fits) / len(sides), float(np.mean(fits)) if fits else float('nan'),
                float(np.mean((refused > 0.5) == wanted)))


def kendall(one: np.ndarray, two: np.ndarray) -> float:
    """Return Kendall's tau of two rankings without ties (Biometrika 30, 1938)."""
    first, second = np.triu_indices(len(one), 1)
    return float(np.mean(np.sign(one[first] - one[second]) * np.sign(two[first] - two[second])))


@dataclass(frozen=True)
class Series:
    """By rater: tau by number of comparisons, and the shares of `Rater.right` by good-or-bad."""

    active: Mapping[int, np.ndarray]
    random: Mapping[int, np.ndarray]
    right: Mapping[int, np.ndarray]


def series(scaled: np.ndarray, signs: Sequence[int], raters: int, looks: Sequence[int] = LOOKS,
           random_looks: Sequence[int] = RANDOM_LOOKS) -> Series:
    """Return the figures of simulated raters, seeds from `FIRST_SEED` on."""
    found: list[dict[tuple[str, int], Any]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + raters):
        one: dict[tuple[str, int], Any] = {}
        for way, ends in (('active', looks), ('random', random_looks)):
            rater = Rater(seed, scaled, signs)
            for count in range(1, max(ends) + 1):
                rater.compare(way == 'active')
                if count in ends:
                    one[way, count] = rater.tau()
                if way == 'active' and count == COMPARED:
                    judge = copy.deepcopy(rater)
        for count in range(1, max(SINGLES) + 1):
            judge.judge()
            if count in SINGLES:
                one['right', count] = judge.right()
        found.append(one)
        print(f'rater {seed}: {one}', flush=True)
    return Series(*({count: np.array([one[way, count] for one in found]) for count in ends}
                    for way, ends in (('active', looks), ('random', random_looks),
                                      ('right', SINGLES))))


def reached(taus: Mapping[int, np.ndarray], aim: float) -> float | None:
    """Return the number of comparisons at which the mean reaches an aim, between two looks."""
    counts = list(taus)
    means = [float(taus[count].mean()) for count in counts]
    at = next((i for i, mean in enumerate(means) if mean >= aim), None)
    if at is None or at == 0:
        return None if at is None else counts[0]
    share = (aim - means[at - 1]) / (means[at] - means[at - 1])
    return counts[at - 1] + share * (counts[at] - counts[at - 1])


def fewer(found: Series, aim: float, rows: np.ndarray | slice = slice(None)) -> float:
    """Return the share of comparisons that the most informative ones save, of some raters."""
    counts = [reached({count: taus[rows] for count, taus in way.items()}, aim)
              for way in (found.active, found.random)]
    return float('nan') if None in counts else 1.0 - counts[0] / counts[1]


def written(found: Series, raters: int, episodes: int) -> str:
    """Return the page."""
    saved, rng = [], np.random.default_rng(0)
    count = len(found.active[COMPARED])
    for aim in AIMS.values():
        again = [fewer(found, aim, rng.integers(count, size=count)) for _ in range(RESAMPLED)]
        low, high = np.nanquantile(again, [0.05, 0.95])
        saved.append((f'{aim:g}', *('not reached' if n is None else f'{n:.0f}' for n in (
            reached(found.active, aim), reached(found.random, aim))),
            f'{fewer(found, aim):.0%}', f'{low:.0%} to {high:.0%}'))
    tenth = partial(np.nanquantile, q=0.1)
    rows = ((str(count), f'{AIMS[count]:g}' if count in AIMS else '',
             *(f'{taus[count].mean():.2f}' if count in taus else '' for taus in
               (found.active, found.random)),
             f'{np.quantile(found.active[count], 0.1):.2f}' if count in found.active else '')
            for count in found.random)
    return f'''# Preferences, tried out

This page is written by `make bench-preferences`, from {raters} simulated raters (seeds from
{FIRST_SEED} on) and the features of {episodes} simulated demonstrations of the scenario knife. It
checks [the reward that answers tell](../learning-from-people.md#what-people-want).

A rater has a reward with random weights. {INCONSISTENT:.0%} of the answers are the opposite of it.
Of random pairs {ALIKE:.0%} are equal for the rater. No rater is asked about {HELD_OUT} episodes.
On these the order by the learned reward is compared with the true order by Kendall's tau: 1 is the
same order, 0 is an order by chance.

## Comparisons until the order is known

Most informative: each pair is the one whose answer is expected to tell most. The last column is
exceeded by nine raters of ten.

{table(('comparisons', 'aim', 'most informative', 'at random', 'most informative, 10 % quantile'),
       rows)}

{table(('tau, mean', 'comparisons, most informative', 'at random',
        f'fewer (aim: {FEWER:.0%})', '90 % interval'), saved)}

The interval is for other raters, drawn again from these. Where the aim lies within it, these
raters are too few to tell.

## Episodes to be removed

A rater accepts the episodes above a limit of the reward, which is drawn so that 20 to 80 % of the
episodes are to be removed. After {COMPARED} comparisons the rater says good or bad of some
episodes, and {INCONSISTENT:.0%} of these answers are wrong as well.

An edit removes an episode that is refused with a probability of at least {SURE:.0%}, keeps one of
at most {1 - SURE:.0%}, and leaves out those between. The table has the share of the episodes held
out that are left out, and the share of the others that are removed or kept as the rater wants it.
The last columns are for comparison: all episodes are divided at 50 %, and none is left out.

{table(('good-or-bad answers', 'left out, mean', 'others right, mean', '10 % quantile',
        'divided at 50 %: right, mean', '10 % quantile'),
       ((str(count), f'{right[:, 0].mean():.1%}', *(
           f'{of(right[:, i]):.1%}' for i in (1, 2) for of in (np.nanmean, tenth)))
        for count, right in found.right.items()))}
'''


def scaled_of(features: Mapping[str, Mapping[str, float]]) -> tuple[np.ndarray, list[int]]:
    """Return features (E, D) with mean 0 and standard deviation 1, and their signs."""
    values = np.array([[one[name] for name in SIGNS] for one in features.values()])
    return (values - values.mean(axis=0)) / values.std(axis=0), list(SIGNS.values())


def measure(demos: Path) -> None:
    """Write the features of demonstrations."""
    found = (handover_of(ref, Reading(), find_scenario('knife'))
             for ref in find_episodes([demos], Reading()).episodes)
    write_json(FEATURES, {one.name: {name: round(value, 5) for name, value in one.features.items()}
                          for one in found if not isinstance(one, LeftOut)})


def main() -> None:
    """Run all series and write the page."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--raters', type=int, default=20, help='simulated raters')
    parser.add_argument('--demos', type=Path, help='measure the features of these demonstrations')
    args = parser.parse_args()
    if args.demos is not None:
        measure(args.demos)
    features = json.loads(FEATURES.read_text('utf-8'))
    scaled, signs = scaled_of(features)
    found = series(scaled, signs, args.raters)
    write_whole(PAGE, written(found, args.raters, len(features)).encode())


if __name__ == '__main__':
    main()
