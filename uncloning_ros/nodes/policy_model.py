# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model of a policy node: read, checked and warmed up before any motion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rclpy.validate_topic_name import validate_topic_name

from uncloning_ros.contract import Contract, with_deployment
from uncloning_ros.errors import ContractError, ModelError, shown
from uncloning_ros.evidence import KINDS, Kind, read_evidence, require_covers
from uncloning_ros.nodes.parameters import contract_at, path_of
from uncloning_ros.nodes.topics import contract_class
from uncloning_ros.runtime.doubt import watch_of
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy


@dataclass(frozen=True)
class DeployedModel:
    """A checked policy, the contract that it runs under, its evidence: kind and sentence."""

    path: Path
    policy: OnnxPolicy
    contract: Contract
    evidence_kind: str
    evidence: str


def deployed_model(values: Mapping[str, Any]) -> DeployedModel:
    """Return the model that the node's parameters name, ready to be asked.

    Raise one of `process.MISTAKES` if the file, its interface, its evidence, or a topic of the
    contract cannot be used.
    """
    if not values['model_path']:
        raise ModelError('no model was given; set the parameter model_path to a .onnx file')
    path = path_of(values['model_path']).absolute()
    policy = load_policy(path, values['expected_sha256'] or None)
    contract = _contract_for(policy, values)
    watch_of(contract, policy.doubt)
    kind, evidence = _evidence_for(policy, contract, values)
    policy.warm_up()
    deployment = contract.deployment
    for topic in (*deployment.observations.values(), *deployment.actions.values()):
        validate_topic_name(topic.topic)
        contract_class(topic.type)
    return DeployedModel(path, policy, contract, kind, evidence)


def _contract_for(policy: OnnxPolicy, values: Mapping[str, Any]) -> Contract:
    """Return the model's contract, with this robot's deployment part if one is given."""
    path = values['contract_path']
    if not path:
        return policy.contract
    return with_deployment(policy.contract, contract_at(path), values['model_path'])


def _evidence_for(policy: OnnxPolicy, contract: Contract,
                  values: Mapping[str, Any]) -> tuple[str, str]:
    """Return kind and sentence of the required evidence on the model with this deployment."""
    kind = values['evidence_kind']
    if kind not in KINDS:
        raise ContractError(f'evidence_kind: expected {" or ".join(KINDS)}, got {shown(kind)}; '
                            f'write the kind of evidence that you accept')
    if not values['evidence_path']:
        return 'none required', 'none required'
    evidence = read_evidence(path_of(values['evidence_path']))
    require_covers(evidence, policy.sha256, contract.deployment.sha256, cast(Kind, kind))
    return kind, evidence.sentence
