# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hazards that a user states, and the measures against each; config/hazards.yaml is a form."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from uncloning_ros.errors import UncloningError, shown
from uncloning_ros.schema import Note, read, read_yaml

FORM = 'TO FILL IN'  # a text of the form that is not replaced yet


@dataclass(frozen=True)
class Measure:
    """A measure against a hazard; `evidence` names a file of evidence that shows its effect."""

    measure: str
    evidence: str | None = None
    tested_by: str | None = None


@dataclass(frozen=True)
class Hazard:
    """One hazard, the measures against it, and the risk that remains in spite of them."""

    hazard: str
    covered_by: Annotated[tuple[Measure, ...], Note.MAY_BE_EMPTY]
    remaining_risk: str


@dataclass(frozen=True)
class Hazards:
    """The file of hazards: the application, its author, and every hazard."""

    SCHEMAS: ClassVar = ('uncloning/hazards@1',)

    application: str
    stated_by: str
    hazards: tuple[Hazard, ...]

    @property
    def uncovered(self) -> list[str]:
        """Return the hazards without a measure."""
        return [one.hazard for one in self.hazards if not one.covered_by]


def read_hazards(path: Path, evidence: Collection[str]) -> Hazards:
    """Read a file of hazards; `evidence` are the names of the files that it may name.

    Raise `UncloningError` for one that is not filled in, or names other evidence.
    """
    data = read_yaml(path, UncloningError)
    found = read(Hazards, data, str(path), UncloningError)
    if FORM in str(data):
        raise UncloningError(f'{path}: expected your own words, got {FORM!r}; fill in or remove '
                          f'every part of the form')
    names = [hazard.hazard for hazard in found.hazards]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UncloningError(f'{path}: expected each hazard once, got {shown(twice)} twice; name '
                             f'all its measures in one place')
    for hazard in found.hazards:
        for one in hazard.covered_by:
            if one.evidence is not None and one.evidence not in evidence:
                raise UncloningError(f'{path}: {hazard.hazard}: expected the name of a file of '
                                  f'--evidence ({", ".join(evidence)}), got {one.evidence!r}; '
                                  f'give that file, or correct the name')
    return found
