# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of robot and policy: interface, policy timing and deployment."""

from uncloning_ros.contract.contract import (
    Contract,
    PolicyTiming,
    contract_from_dict,
    load_contract,
    with_deployment,
    with_modes,
)
from uncloning_ros.contract.deployment import (
    Deployment,
    DoubtStop,
    Enable,
    EpisodeEnd,
    FaultSignal,
    Limits,
    ObservedTopic,
    Teleoperation,
    Topic,
)
from uncloning_ros.contract.interface import (
    HAND_KEY,
    OBJECT_KEY,
    TOOL_KEY,
    Interface,
    require_same_interface,
    with_continuous,
)
from uncloning_ros.contract.kinds import KINDS, Kind, Signal
from uncloning_ros.contract.messages import TRANSFORMS

__all__ = [
    'HAND_KEY', 'KINDS', 'OBJECT_KEY', 'TOOL_KEY', 'TRANSFORMS', 'Contract', 'Deployment',
    'DoubtStop', 'Enable', 'EpisodeEnd', 'FaultSignal', 'Interface', 'Kind', 'Limits',
    'ObservedTopic', 'PolicyTiming', 'Signal', 'Teleoperation', 'Topic', 'contract_from_dict',
    'load_contract', 'require_same_interface', 'with_continuous', 'with_deployment', 'with_modes',
]
