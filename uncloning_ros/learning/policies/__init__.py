# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy classes: one file each, with its network, its loss and its way to plan.

To add one, write a subclass of `base.Policy` in a file of its own and list it here; the kind is
`network.kind` of a run's config.json. Training, edits and export take any of them.
"""

from typing import Protocol

from uncloning_ros.contract import Contract, Interface, PolicyTiming
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.options import (
    CATEGORICAL,
    FLOW,
    MIXTURE,
    PLAN,
    REGRESSION,
    NetworkOptions,
)
from uncloning_ros.learning.policies.base import Policy as Policy
from uncloning_ros.learning.policies.categorical import CategoricalPolicy
from uncloning_ros.learning.policies.flow import FlowPolicy
from uncloning_ros.learning.policies.mixture import MixturePolicy
from uncloning_ros.learning.policies.plan import PlanPolicy
from uncloning_ros.learning.policies.regression import RegressionPolicy


class PolicyClass(Protocol):
    """A class of policies: makes one with random weights."""

    def __call__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> Policy:
        """Return a policy with a network of a width and a depth."""

    def obstacles(self, dataset: Dataset) -> dict[int, str]:
        """Return the reason for each episode, by its index, that the class cannot learn from."""


POLICIES: dict[str, PolicyClass] = {
    REGRESSION: RegressionPolicy, MIXTURE: MixturePolicy, CATEGORICAL: CategoricalPolicy,
    FLOW: FlowPolicy, PLAN: PlanPolicy}


def build_policy(contract: Contract, network: NetworkOptions) -> Policy:
    """Return a policy for a contract, its weights drawn from torch's random state."""
    return POLICIES[network.kind](contract.interface, contract.policy, network.width,
                                  network.depth)
