# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose how bags become a dataset: how they are read, labelled and split."""

from dataclasses import dataclass, field

from uncloning_ros.demos.bags.labels import SOURCES
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import DatasetError
from uncloning_ros.scenario import Scenario

# Sources of an episode's mode. `auto` takes the first of the others that has one, except
# `planned`: a mode that was asked for is not yet a mode that was shown.
LABELS = ('auto', *SOURCES, 'planned')


@dataclass(frozen=True)
class Recipe:
    """How bags become labelled frames: the rule of a scenario, how bags are read, whose labels.

    Without a scenario the usual one takes its place where the contract has what a rule needs; else
    no rule labels, and the dataset names no scenario. A contract in `reading` replaces the policy
    and deployment parts that the bags carry. `labels` is one of `LABELS`. With `keep_unlabelled`
    an episode without a label has no mode, else it is left out.
    """

    scenario: Scenario | None
    reading: Reading = field(default_factory=Reading)
    labels: str = 'auto'
    keep_unlabelled: bool = False

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise DatasetError(f'expected labels of {", ".join(LABELS)}, got {self.labels!r}')


@dataclass(frozen=True)
class Split:
    """How episodes are split: the share of each mode that is held out, and the seed."""

    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation < 1.0:
            raise DatasetError(f'expected a validation share in [0, 1), got {self.validation}')
