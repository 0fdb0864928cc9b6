# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The observation that a policy is given, and the plan that it answers.

Both travel as one value from the robot's samples to the policy and back: through the control
loop, its worker thread, incidents, replay and audits. A further input of policies is a field of
`Observation`, a further output a field of `Plan`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.pictures import Pixels

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observation:
    """An observation: `vector` (history, observation_dim) float32, oldest first, and pictures.

    The vector is in the contract's units, and in the order of its observations. `pictures` are
    the newest of each camera by key, uint8 (height, width, channels).
    """

    vector: Float32
    pictures: Mapping[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan: the actions `chunk` (horizon, action_dim) float32, in the contract's units."""

    chunk: Float32


# A policy: an observation and standard normal noise (horizon, action_dim) float32 to a plan.
Infer = Callable[[Observation, Float32], Plan]
