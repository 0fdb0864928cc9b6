# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of robot and policy: interface, policy timing and deployment, each hashed.

The interface binds bags, datasets and models. The policy part belongs to one training run and
travels in the model. The deployment part belongs to one robot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from uncloning_ros.contract.deployment import Deployment
from uncloning_ros.contract.interface import Interface, require_same_interface
from uncloning_ros.errors import ContractError
from uncloning_ros.schema import Range, canonical_sha256, plain, read, read_yaml

# Most ticks of a policy's window: more is a typing error, and its arrays have to fit.
_MOST_TICKS = 1000

Ticks = Annotated[int, Range(1, _MOST_TICKS)]


@dataclass(frozen=True)
class PolicyTiming:
    """Rate and window of the policy: `history` observations in, `horizon` actions out.

    Of each chunk the first `execute` actions are used; then the policy plans again.
    """

    rate_hz: Annotated[float, Range(1, 1000)]
    history: Ticks
    horizon: Ticks
    execute: Ticks

    def as_read(self) -> 'PolicyTiming':
        """Return the timing; raise `ContractError` if more actions are executed than planned."""
        if self.execute > self.horizon:
            raise ContractError(f'expected execute of at most horizon {self.horizon}, the '
                                f'actions of a chunk, got {self.execute}')
        return self

    @property
    def period_ns(self) -> int:
        """Return the time between two ticks."""
        return round(1e9 / self.rate_hz)

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the policy part."""
        return canonical_sha256(plain(self))


@dataclass(frozen=True)
class Contract:
    """The contract of one robot and one policy."""

    SCHEMAS: ClassVar = ('uncloning/contract@1',)

    interface: Interface
    policy: PolicyTiming
    deployment: Deployment

    @cached_property
    def sha256(self) -> str:
        """Return the hash of all three parts."""
        return canonical_sha256(plain(self))

    def as_read(self) -> 'Contract':
        """Return the contract; raise `ContractError` unless its parts fit each other."""
        try:
            self.deployment.require_fits(self.interface)
        except ContractError as err:
            raise ContractError(f'deployment.{err}') from err
        ratio = self.deployment.command_rate_hz / self.policy.rate_hz
        if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
            raise ContractError(
                f'expected deployment.command_rate_hz as a whole multiple of policy.rate_hz '
                f'{self.policy.rate_hz:g}, got {self.deployment.command_rate_hz:g}; give that or '
                f'2, 3, 4 ... times as much')
        return self


def load_contract(path: Path | str) -> Contract:
    """Read a contract file; raise `ContractError` naming the place, the value and the remedy."""
    return contract_from_dict(read_yaml(Path(path), ContractError), str(path))


def contract_from_dict(data: object, where: str = 'contract') -> Contract:
    """Return the contract that travelled in a bag, a dataset or a model as plain data."""
    return read(Contract, data, where, ContractError)


def with_deployment(contract: Contract, robot: Contract, carrier: str) -> Contract:
    """Return the contract that `carrier` names with the deployment part of a robot's contract.

    Raise `ContractError` if their interfaces differ, or if rates do not fit.
    """
    require_same_interface(robot.interface, contract.interface, carrier)
    try:
        return replace(contract, deployment=robot.deployment).as_read()
    except ContractError as err:
        raise ContractError(f'{carrier} with the deployment part of another contract: {err}'
                            ) from err


def with_modes(contract: Contract, modes: Mapping[str, bool]) -> Contract:
    """Return the contract with other modes, by name whether they are desired."""
    return replace(contract, interface=replace(contract.interface, modes=dict(modes)))
