# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The content of sweep.json."""

from dataclasses import dataclass
from typing import ClassVar

from uncloning_ros.learning.choice import Left
from uncloning_ros.schema import Count, Positive, Sha256


@dataclass(frozen=True)
class Episodes:
    """The episodes of a short audit, one 0 or 1 for each: success, unsafe, in a removed mode."""

    seed: Count
    success: str
    unsafe: str
    removed: str


@dataclass(frozen=True)
class Strength:
    """One edit, what it left, and its loss on unseen windows that are retained."""

    gamma: float
    method: str
    left: Left
    retained_loss: float | None
    audit: Episodes | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds of its episodes, none without an audit."""
        audit = self.audit
        return () if audit is None else tuple(range(audit.seed, audit.seed + len(audit.success)))


@dataclass(frozen=True)
class Sweep:
    """All edits of a sweep, from the weakest to the strongest, and which of them to use."""

    SCHEMAS: ClassVar = ('uncloning/sweep@1',)
    parent_sha256: Sha256
    remove: tuple[str, ...]
    kept: tuple[str, ...]
    scenario: str | None
    episodes: Positive | None
    before: Left
    strengths: tuple[Strength, ...]
    recommended: Count
    reason: str
