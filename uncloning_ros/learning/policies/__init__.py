# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy classes: one file each, with its network, its loss and its way to plan.

To add one, write a subclass of `base.Policy` in a file of its own and list it here; the kind is
`network.kind` of a run's config.json. Training, edits and export take any of them.
"""

from collections.abc import Callable

from uncloning_ros.contract import Contract, Interface, PolicyTiming
from uncloning_ros.learning.options import (
    CATEGORICAL,
    FLOW,
    MIXTURE,
    REGRESSION,
    NetworkOptions,
)
from uncloning_ros.learning.policies.base import Policy as Policy
from uncloning_ros.learning.policies.categorical import CategoricalPolicy
from uncloning_ros.learning.policies.flow import FlowPolicy
from uncloning_ros.learning.policies.mixture import MixturePolicy
from uncloning_ros.learning.policies.regression import RegressionPolicy

# kind -> makes a policy with random weights for an interface, a timing, a width and a depth
POLICIES: dict[str, Callable[[Interface, PolicyTiming, int, int], Policy]] = {
    REGRESSION: RegressionPolicy, MIXTURE: MixturePolicy, CATEGORICAL: CategoricalPolicy,
    FLOW: FlowPolicy}


def build_policy(contract: Contract, network: NetworkOptions) -> Policy:
    """Return a policy for a contract, its weights drawn from torch's random state."""
    return POLICIES[network.kind](contract.interface, contract.policy, network.width,
                                  network.depth)
