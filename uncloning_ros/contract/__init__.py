# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What robot and policy agreed on: interface, policy timing and deployment."""

from uncloning_ros.contract.contract import (
    Contract,
    PolicyTiming,
    contract_from_dict,
    contract_to_dict,
    load_contract,
    with_modes,
)
from uncloning_ros.contract.deployment import (
    Deployment,
    Enable,
    EpisodeEnd,
    FaultSignal,
    Limits,
    Topic,
)
from uncloning_ros.contract.interface import (
    HAND_KEY,
    OBJECT_KEY,
    TOOL_KEY,
    TRANSFORMS,
    Interface,
    Signal,
    require_same_interface,
)

__all__ = [
    'HAND_KEY', 'OBJECT_KEY', 'TOOL_KEY', 'TRANSFORMS', 'Contract', 'Deployment', 'Enable',
    'EpisodeEnd', 'FaultSignal', 'Interface', 'Limits', 'PolicyTiming', 'Signal', 'Topic',
    'contract_from_dict', 'contract_to_dict', 'load_contract', 'require_same_interface',
    'with_modes',
]
