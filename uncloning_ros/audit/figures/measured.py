# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The range of a measured quantity over the episodes of a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.schema import Count, Doc


@dataclass(frozen=True)
class Measured:
    """The range of one measured quantity over the episodes."""

    least: Annotated[float, Doc('over the episodes')]
    median: Annotated[float, Doc('over the episodes')]
    most: Annotated[float, Doc('over the episodes')]
    count: Annotated[Count, Doc('episodes in which it was measured')]


def measured(values: Iterable[float | None]) -> Measured | None:
    """Return the range of a quantity, None if it never was measured."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return Measured(ordered[0], ordered[len(ordered) // 2], ordered[-1], len(ordered))
