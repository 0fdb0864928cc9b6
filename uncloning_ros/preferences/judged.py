# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bring answers and features together: the belief on a folder's handovers, and contradictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from uncloning_ros.demos.bags.answers import Answer
from uncloning_ros.geometry import Array
from uncloning_ros.preferences.reward import (
    BAD,
    EQUAL,
    GOOD,
    LEFT,
    RIGHT,
    Answers,
    Belief,
    infer,
    pair_chances,
    single_chances,
)

_SAID = {'left': LEFT, 'right': RIGHT, 'equal': EQUAL}
_OPPOSITE = {'left': RIGHT, 'right': LEFT, 'good': BAD, 'bad': GOOD}
_SAYS = {'left': LEFT, 'right': RIGHT, 'good': GOOD, 'bad': BAD}
_SURPRISE = 4.0  # odds of the opposite answer from which an answer contradicts the others


@dataclass(frozen=True)
class Judged:
    """Handovers `names` (E,) with features (E, D) called `features`, and the answers on them."""

    names: tuple[str, ...]
    features: tuple[str, ...]
    values: Array
    answers: tuple[Answer, ...]

    @cached_property
    def scaled(self) -> Array:
        """Return the features (E, D) with mean 0 and standard deviation 1; constant ones are 0."""
        spread = self.values.std(axis=0)
        return (self.values - self.values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)

    @cached_property
    def raters(self) -> tuple[str, ...]:
        """Return the names of the raters, in the order of their first answers."""
        return tuple(dict.fromkeys(one.rater for one in self.answers))

    @cached_property
    def belief(self) -> Belief:
        """Return the belief on the reward; after the raters follows one who has not answered."""
        row = {name: i for i, name in enumerate(self.names)}
        pairs = [one for one in self.answers if one.said in _SAID]
        singles = [one for one in self.answers if len(one.shown) == 1]
        dim = len(self.features)
        places = np.array([[row[each.name] for each in one.shown] for one in pairs],
                          dtype=np.int64).reshape(-1, 2)
        alone = np.array([row[one.shown[0].name] for one in singles], dtype=np.int64)
        return infer(Answers(
            (self.scaled[places[:, 0]] - self.scaled[places[:, 1]]).reshape(-1, dim),
            np.array([_SAID[one.said] for one in pairs], dtype=np.int64), self._who(pairs),
            self.scaled[alone].reshape(-1, dim),
            np.array([GOOD if one.said == 'good' else BAD for one in singles], dtype=np.int64),
            self._who(singles), len(self.raters) + 1))

    def rater(self, name: str) -> int:
        """Return the number of a rater in the belief."""
        return self.raters.index(name) if name in self.raters else len(self.raters)

    @property
    def rewards(self) -> Array:
        """Return the reward (E,) of each handover."""
        return self.scaled @ self.belief.weights

    def contradictions(self) -> list[str]:
        """Return a sentence for each pair or episode on which answers are opposite to another."""
        found: dict[tuple[str, ...], dict[str, list[str]]] = {}
        for one in self.answers:
            if one.said in _OPPOSITE:
                better = ({'left': one.shown[0].name, 'right': one.shown[-1].name}
                          .get(one.said, one.said))
                found.setdefault(one.names, {}).setdefault(better, []).append(one.rater)
        return [f'{" and ".join(names)}: ' + '; '.join(
            f'{better if len(names) == 1 else better + " better"} says '
            f'{", ".join(dict.fromkeys(raters))}' for better, raters in said.items())
            for names, said in found.items() if len(said) > 1]

    def surprises(self) -> list[Answer]:
        """Return the answers whose opposite the belief expects, the most surprising first."""
        row = {name: i for i, name in enumerate(self.names)}
        found = []
        at = self.belief.mean[None].copy()
        at[:, self.belief.dim + 2:] = -40.0  # of a rater who looks
        for one in self.answers:
            if one.said not in _OPPOSITE:
                continue
            left, right = self.scaled[row[one.shown[0].name]], self.scaled[row[one.shown[-1].name]]
            chances = (pair_chances(at, (left - right)[None], self.belief.dim, 0)
                       if len(one.shown) == 2 else
                       single_chances(at, left[None], self.belief.dim, 0))[0, 0]
            odds = float(chances[_OPPOSITE[one.said]] / chances[_SAYS[one.said]])
            if odds > _SURPRISE:
                found.append((odds, one))
        return [one for _, one in sorted(found, key=lambda pair: -pair[0])]

    def _who(self, answers: Sequence[Answer]) -> np.ndarray:
        return np.array([self.rater(one.rater) for one in answers], dtype=np.int64)


def judged(features: Mapping[str, Mapping[str, float]], answers: Sequence[Answer]) -> Judged:
    """Return handovers with their features by name; only features that all have count."""
    common = [name for name in next(iter(features.values()))
              if all(name in one for one in features.values())]
    return Judged(tuple(features), tuple(common),
                  np.array([[one[name] for name in common] for one in features.values()]),
                  tuple(answers))
