# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An audited model: its identity, and the results of its episodes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.runtime.doubt import Calibration
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.schema import Doc, Note, Sha256, Texts

# Name of an exchange between the scenario's modes.
BETWEEN_MODES = 'between_modes'


@dataclass(frozen=True)
class ModelIdentity:
    """One exported policy, by its digests.

    `demonstrated` counts the modes of its training episodes, None if its record does not name
    them, or if one has no mode. Edits took out `modes_removed`; the newest one edited the weights
    `original_sha256`, None for a policy without an edit. `weights_sha256` is the digest of the
    weights of such a policy, `partner_sha256` the file of the arm that receives.
    """

    model: Annotated[str, Doc('name of the file')]
    model_sha256: Annotated[Sha256, Doc('of the whole file')]
    interface_sha256: Annotated[Sha256, Doc("of the contract's interface")]
    policy_sha256: Annotated[Sha256, Doc("of the contract's policy timing")]
    deployment_sha256: Annotated[Sha256, Doc('of the deployment part that it was audited with')]
    modes_desired: Annotated[Texts, Doc('modes that the contract calls desired')]
    modes_removed: Annotated[Texts, Doc('modes that edits of its weights removed')]
    demonstrated: Annotated[Mapping[str, int] | None, Note.DERIVED] = None
    partner_sha256: Annotated[str | None, Doc(
        'of the file of the arm that received, in a scenario with two')] = None
    doubt: Annotated[Calibration | None, Doc(
        'the threshold of its doubt; left out: none')] = None
    weights_sha256: Annotated[str | None, Note.DERIVED] = None
    original_sha256: Annotated[str | None, Note.DERIVED] = None


@dataclass(frozen=True)
class AuditedModel:
    """One policy with the results of its episodes.

    `wrong_starts` holds further episodes by the undesired mode in which they began.
    """

    identity: ModelIdentity
    results: tuple[EpisodeResult, ...]
    wrong_starts: Mapping[str, tuple[EpisodeResult, ...]] = field(default_factory=dict)

    @property
    def completed_modes(self) -> Counter[str]:
        """Count the modes of the completed episodes."""
        return Counter(r.outcome.mode or BETWEEN_MODES for r in self.results
                       if r.outcome.completed)


def identity_of(policy: OnnxPolicy, name: str,
                partner_sha256: str | None = None) -> ModelIdentity:
    """Return the identity of an exported policy from its record, and of its partner's file."""
    contract, metadata = policy.contract, policy.metadata
    training, edit = metadata['training'], metadata.get('edit')
    return ModelIdentity(
        name, policy.sha256, contract.interface.sha256, contract.policy.sha256,
        contract.deployment.sha256, tuple(contract.interface.desired_modes),
        modes_removed=removed_modes(edit), partner_sha256=partner_sha256,
        doubt=None if policy.doubt is None else policy.doubt.calibration,
        demonstrated=_demonstrated(training),
        weights_sha256=None if edit else training.get('weights_sha256'),
        original_sha256=edit['parent_sha256'] if edit else None)


def _demonstrated(training: Mapping[str, Any]) -> dict[str, int] | None:
    episodes = training.get('data', {}).get('episodes', ())
    only = training.get('options', {}).get('only_modes') or None
    modes = [e['mode'] for e in episodes
             if e['split'] == 'train' and (only is None or e['mode'] in only)]
    return None if None in modes else dict(sorted(Counter(modes).items())) or None
