# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is audited: which file, which of its modes are wanted, and where it came from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.runtime.inference import OnnxPolicy

# How an exchange between the scenario's modes is called.
BETWEEN_MODES = 'between_modes'


@dataclass(frozen=True)
class ModelIdentity:
    """One exported policy, by its digests.

    `demonstrated` counts the modes of the episodes that it was trained on, empty where its
    record does not say. `removed_modes` were taken out by edits, the newest of them of the weights
    with the digest `original_sha256`, None for a policy that was not edited; its own weights were
    `weights_sha256` before any edit.
    """

    name: str
    sha256: str
    interface_sha256: str
    policy_sha256: str
    deployment_sha256: str
    desired_modes: tuple[str, ...]
    removed_modes: tuple[str, ...] = ()
    demonstrated: Mapping[str, int] | None = None
    weights_sha256: str | None = None
    original_sha256: str | None = None


@dataclass(frozen=True)
class AuditedModel:
    """One policy with the results of its episodes.

    `wrong_starts` are further ones, begun in an undesired mode, by that mode; empty if not run.
    """

    identity: ModelIdentity
    results: tuple[EpisodeResult, ...]
    wrong_starts: Mapping[str, tuple[EpisodeResult, ...]] = field(default_factory=dict)

    @property
    def completed_modes(self) -> Counter[str]:
        """Count the modes of the completed episodes."""
        return Counter(r.outcome.mode or BETWEEN_MODES for r in self.results
                       if r.outcome.completed)


def identity_of(policy: OnnxPolicy, name: str) -> ModelIdentity:
    """Return what is audited of an exported policy."""
    contract, metadata = policy.contract, policy.metadata
    training, edit = metadata['training'], metadata.get('edit')
    return ModelIdentity(
        name, policy.sha256, contract.interface.sha256, contract.policy.sha256,
        contract.deployment.sha256, tuple(contract.interface.desired_modes),
        removed_modes=removed_modes(edit),
        demonstrated=_demonstrated(training),
        weights_sha256=None if edit else training.get('weights_sha256'),
        original_sha256=edit['parent_sha256'] if edit else None)


def _demonstrated(training: Mapping[str, Any]) -> dict[str, int] | None:
    episodes = training.get('data', {}).get('episodes', ())
    only = training.get('options', {}).get('only_modes') or None
    counts = Counter(e['mode'] for e in episodes
                     if e['split'] == 'train' and (only is None or e['mode'] in only))
    return dict(sorted(counts.items())) or None
