# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The observation that a policy is given, and the plan that it answers.

Both travel as one value from the robot's samples to the policy and back: through the control
loop, its worker thread, incidents, replay and audits. A further input of policies is a field of
`Observation`, a further output a field of `Plan`.
"""

from collections.abc import Callable, Mapping, Sequence
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


# The poses of the arm that a policy with an intent says, in the order in which they come.
KEY_POSES = ('grasp', 'presentation', 'release')


@dataclass(frozen=True, eq=False)
class Intent:
    """The procedure that a policy says before it acts.

    `mode` is the one that it follows, drawn from the `probabilities` by mode; `key_poses` are
    the poses (9,) of the arm by name of `KEY_POSES`, in the base frame. Their last six values are
    predicted, and no exact rotation.
    """

    mode: str
    probabilities: Mapping[str, float]
    key_poses: Mapping[str, Float32]

    @classmethod
    def of(cls, values: Float32, modes: Sequence[str]) -> 'Intent':
        """Return the intent in the values (`intent_size`,) of a policy with these modes.

        They are the probabilities, 1 for the mode that is followed and 0 for others, and the key
        poses. Raise `ValueError` for values that are none of these.
        """
        count = len(modes)
        odds, drawn, poses = values[:count], values[count:2 * count], values[2 * count:]
        if not np.isfinite(values).all() or (odds < 0).any() or np.count_nonzero(drawn) == 0:
            raise ValueError(f'expected an intent of finite numbers and one mode, got '
                             f'{values.tolist()}')
        return cls(modes[int(np.argmax(drawn))], dict(zip(modes, odds.tolist(), strict=True)),
                   dict(zip(KEY_POSES, poses.reshape(-1, 9), strict=True)))


def intent_size(modes: Sequence[str]) -> int:
    """Return the number of values of an intent."""
    return 2 * len(modes) + 9 * len(KEY_POSES)


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan: the actions `chunk` (horizon, action_dim) float32, in the contract's units.

    `intent` is None for a policy that says none. `doubt` tells how unlike the training
    observations the newest one is; None for a policy without a head for it.
    """

    chunk: Float32
    intent: Intent | None = None
    doubt: float | None = None


# A policy: an observation and standard normal noise (horizon, action_dim) float32 to a plan.
Infer = Callable[[Observation, Float32], Plan]


@dataclass(frozen=True, eq=False)
class PlanRequest:
    """A question to the policy, with the `noise` (horizon, action_dim) float32 of its plan.

    `index` counts the requests since the reset, `tick_ns` is the time of the observation.
    """

    index: int
    tick_ns: int
    observation: Observation
    noise: Float32


@dataclass(frozen=True, eq=False)
class PlanAnswer:
    """The answer to a request: a `plan`, or the `error` that left none."""

    request: PlanRequest
    plan: Plan | None
    error: str = ''


def chunk_noise(seed: int, index: int, horizon: int, action_dim: int) -> Float32:
    """Return the noise (horizon, action_dim) of plan `index`, a function of its arguments alone.

    Standard normal draws in float32 of `numpy.random.default_rng((seed, index))`; both >= 0.
    """
    rng = np.random.default_rng((seed, index))
    return rng.standard_normal((horizon, action_dim), dtype=np.float32)


def answer(infer: Infer, request: PlanRequest) -> PlanAnswer:
    """Ask the policy; any exception of it becomes the error of the answer."""
    try:
        plan = infer(request.observation, request.noise)
        if not isinstance(plan, Plan):
            raise TypeError(f'expected a plan, got {type(plan).__name__}')
        return PlanAnswer(request, plan)
    except Exception as err:  # noqa: BLE001 - every one must end in a hold
        return PlanAnswer(request, None, f'{type(err).__name__}: {err}')
