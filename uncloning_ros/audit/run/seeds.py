# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The seeds that an audit may use: they exclude those by which the policy was made or chosen."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.errors import AuditError
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.scenario import Scenario

# Records of a model that name seeds of environments; training seeds draw weights and batches.
_SEED_RECORDS = ('demonstrations', 'development', 'calibration')


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of an audit's episodes, counted from 1."""

    number: int
    count: int

    def of(self, seeds: range) -> range:
        """Return the seeds of this shard; sizes of shards differ by one at most."""
        first, end = (part * len(seeds) // self.count for part in (self.number - 1, self.number))
        return seeds[first:end]


def require_unseen(path: Path, policy: OnnxPolicy, seeds: range) -> None:
    """Raise `AuditError` if the policy's record names one of the seeds."""
    records = policy.metadata['seeds']
    for record in _SEED_RECORDS:
        used = [number for number in records.get(record, ()) if number in seeds]
        if used:
            free = max(number for name in _SEED_RECORDS for number in records.get(name, ())) + 1
            raise AuditError(
                f'{path}: expected unseen seeds, got {len(used)} of {len(seeds)}, such as '
                f'{used[0]}, that were used for {record}; give others, for instance --seed {free}')


def derived_seed(policies: Iterable[OnnxPolicy], scenario: Scenario) -> int:
    """Return a seed that follows from models and scenario, so that it cannot be chosen."""
    digests = sorted(policy.sha256 for policy in policies) + [scenario.sha256]
    digest = hashlib.sha256(''.join(digests).encode()).digest()
    # Above a million: demonstrations usually have smaller seeds.
    return 10**6 + int.from_bytes(digest[:4], 'big')
