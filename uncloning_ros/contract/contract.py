# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What robot and policy agreed on: interface, policy timing and deployment, each with its hash.

The interface binds bags, datasets and models. The policy part belongs to one training run and
travels in the model. The deployment part belongs to one robot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from uncloning_ros.contract.deployment import Deployment, deployment_to_dict, read_deployment
from uncloning_ros.contract.interface import Interface, interface_to_dict, read_interface
from uncloning_ros.errors import ContractError
from uncloning_ros.schema import Fields, canonical_sha256, read_yaml

SCHEMA = 'uncloning/contract@1'

# More is a slip of the pen: the arrays of a policy's window have to fit.
_MOST_TICKS = 1000


@dataclass(frozen=True)
class PolicyTiming:
    """Rate and window of the policy: `history` observations in, `horizon` actions out.

    Of each chunk the first `execute` actions are used; then the policy plans anew.
    """

    rate_hz: float
    history: int
    horizon: int
    execute: int

    @property
    def period_ns(self) -> int:
        """Return the time between two ticks."""
        return round(1e9 / self.rate_hz)

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the policy part."""
        return canonical_sha256(_timing_to_dict(self))


@dataclass(frozen=True)
class Contract:
    """The whole agreement."""

    interface: Interface
    policy: PolicyTiming
    deployment: Deployment

    @cached_property
    def sha256(self) -> str:
        """Return the hash of all three parts."""
        return canonical_sha256(contract_to_dict(self))


def load_contract(path: Path | str) -> Contract:
    """Read a contract file; raise `ContractError` naming the place, the value and the remedy."""
    return _contract(read_yaml(Path(path), ContractError))


def contract_from_dict(data: object, where: str = 'contract') -> Contract:
    """Read a contract that travelled in a bag, a dataset or a model."""
    return _contract(Fields(data, where, ContractError))


def contract_to_dict(contract: Contract) -> dict[str, Any]:
    """Return plain data that `contract_from_dict` reads back to an equal contract."""
    return {
        'schema': SCHEMA,
        'interface': interface_to_dict(contract.interface),
        'policy': _timing_to_dict(contract.policy),
        'deployment': deployment_to_dict(contract.deployment),
    }


def with_modes(contract: Contract, modes: Mapping[str, bool]) -> Contract:
    """Return the contract with other modes, by name whether they are desired."""
    return replace(contract, interface=replace(contract.interface, modes=dict(modes)))


def _contract(fields: Fields) -> Contract:
    fields.schema(SCHEMA)
    interface = read_interface(fields.fields('interface'))
    policy = _timing(fields.fields('policy'))
    deployment = read_deployment(fields.fields('deployment'), interface)
    fields.done()
    ratio = deployment.command_rate_hz / policy.rate_hz
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise ContractError(
            f'{fields.where}: deployment.command_rate_hz {deployment.command_rate_hz:g} is no '
            f'whole multiple of policy.rate_hz {policy.rate_hz:g}; give that or 2, 3, 4 ... '
            f'times as much')
    return Contract(interface, policy, deployment)


def _timing(fields: Fields) -> PolicyTiming:
    timing = PolicyTiming(fields.number('rate_hz', 1, 1000),
                          *(fields.count(key, most=_MOST_TICKS)
                            for key in ('history', 'horizon', 'execute')))
    fields.done()
    if timing.execute > timing.horizon:
        raise ContractError(f'{fields.where}: execute {timing.execute} is above horizon '
                            f'{timing.horizon}; a chunk has only that many actions')
    return timing


def _timing_to_dict(timing: PolicyTiming) -> dict[str, Any]:
    return {'rate_hz': float(timing.rate_hz), 'history': timing.history, 'horizon': timing.horizon,
            'execute': timing.execute}

