# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs for the control loop: samples of the shipped contract, and policies that are known."""

from collections.abc import Callable, Mapping

import numpy as np

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array
from uncloning_ros.share import share_path

CONTRACT: Contract = load_contract(share_path('config') / 'contract.yaml')
PERIOD_NS = CONTRACT.policy.period_ns

DOWN = np.array([1.0, 0.0, 0.0, 0.0, -1.0, 0.0])


def pose(x: float, y: float = 0.0, z: float = 0.3) -> Array:
    """Return a pose (9,) with the fingers pointing down."""
    return np.concatenate([[x, y, z], DOWN])


def action(x: float, width: float = 0.08) -> Array:
    """Return a flat action (10,)."""
    return np.concatenate([pose(x), [width]])


def samples(now_ns: int, width: float = 0.08, **values: Array) -> dict[str, Sample]:
    """Return one fresh sample of every observation; keywords replace values."""
    default = {'tool_pose': pose(0.4), 'gripper_width': np.array([width]),
               'object_pose': pose(0.6), 'hand_pose': pose(0.7), 'wrist_force': np.zeros(3)}
    return {key: Sample(np.asarray(value, dtype=np.float64), now_ns, now_ns)
            for key, value in (default | values).items()}


def without(inputs: Mapping[str, Sample], key: str) -> dict[str, Sample]:
    """Return the inputs without one key."""
    return {name: sample for name, sample in inputs.items() if name != key}


def constant_policy(value: Array) -> Callable[..., np.ndarray]:
    """Return a policy whose every action is `value`."""
    chunk = np.tile(np.asarray(value, dtype=np.float32), (CONTRACT.policy.horizon, 1))
    return lambda history, noise: chunk
