# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The starts of trials, stated so that a person can set them up: a list, a grid, or a draw."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.errors import TrialError, names_shown
from uncloning_ros.trials.tables import read_table

# A start by the names of its quantities, as in {'x_cm': '12.5', 'side': 'left'}.
Start = Mapping[str, str]

SEED = 'seed'  # names the simulated episode that a start is that of
_MOST_STARTS = 10_000
# Conditions of a simulated episode that a person can set up.
_PLACES = ('object_', 'hand_')


class Axis(NamedTuple):
    """A quantity from `low` to `high`, of which a grid takes `steps` values."""

    name: str
    low: float
    high: float
    steps: int = 1

    def value(self, share: float) -> str:
        """Return the value at a share of the way from low to high, to a hundredth of it at least.

        It has no exponent: a person sets it up.
        """
        way = abs(self.high - self.low) or abs(self.low) or 1.0
        decimals = 3 - math.ceil(math.log10(way))
        value = round(self.low + share * (self.high - self.low), decimals) + 0.0  # not -0
        text = f'{value:.{max(decimals, 0)}f}'
        return text.rstrip('0').rstrip('.') if '.' in text else text


def listed(path: Path) -> list[Start]:
    """Return the starts in a CSV file, one a line."""
    return [row.cells for row in read_table(path).rows]


def grid(axes: Sequence[Axis]) -> list[Start]:
    """Return every combination of the values of the axes."""
    _require_distinct(axes)
    if math.prod(axis.steps for axis in axes) > _MOST_STARTS:
        raise TrialError(f'expected a grid of at most {_MOST_STARTS} starts, got more; give fewer '
                         f'values')
    values = [[axis.value(i / max(axis.steps - 1, 1)) for i in range(axis.steps)] for axis in axes]
    for axis, found in zip(axes, values, strict=True):
        if len(set(found)) < axis.steps:
            raise TrialError(f'expected a grid whose values differ when written down, got '
                             f'{axis.steps} of {axis.name} from {axis.low:g} to {axis.high:g}; '
                             f'give fewer')
    return [dict(zip([axis.name for axis in axes], one, strict=True))
            for one in itertools.product(*values)]


def drawn(axes: Sequence[Axis], count: int, rng: random.Random) -> list[Start]:
    """Return starts with uniform values."""
    _require_distinct(axes)
    return [{axis.name: axis.value(rng.random()) for axis in axes} for _ in range(count)]


def simulated(document: EvidenceDocument) -> list[Start]:
    """Return the starts of the episodes of an audit, each with the seed of its episode.

    Places are in cm and degrees: a person sets them up.
    """
    return [{SEED: str(result.seed)}
            | dict(_at_hand(name, value) for name, value in result.conditions.items()
                   if name.startswith(_PLACES)) for result in document.per_seed]


def dealt(starts: Sequence[Start], count: int, rng: random.Random) -> list[Start]:
    """Return `count` starts in random order, none again before all others were taken."""
    found: list[Start] = []
    while len(found) < count:
        found += rng.sample(starts, len(starts))
    return found[:count]


def _at_hand(name: str, value: float) -> tuple[str, str]:
    """Return a quantity in m or rad, and its value, in cm or degrees."""
    if name.endswith('_rad'):
        return f'{name.removesuffix("_rad")}_deg', f'{math.degrees(value):.0f}'
    return f'{name.removesuffix("_m")}_cm', f'{100 * value:.1f}'


def _require_distinct(axes: Sequence[Axis]) -> None:
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise TrialError(f'expected a name of its own for each quantity, got '
                         f'{names_shown(names)}; name each once')
