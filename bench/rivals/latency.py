# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long steering makes the planning of a chunk: ratios to the plain exported policy."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import measure  # limits the threads, so it comes before numpy
import numpy as np
from measure import Array, Ratio

from uncloning_ros.audit.run.rollout import Steering
from uncloning_ros.policy_io import Infer, Observation
from uncloning_ros.runtime.inference import load_policy

_ITSELF = 'itself, the noise'


def latency_ratios(model: Path, steerings: Mapping[str, Steering], repeats: int,
                   rounds: int) -> list[Ratio]:
    """Return the ratio of each steering, and of the plain policy to itself, measured in turns."""
    # Where a session's weights come to lie makes a per cent or two: every repeat builds anew.
    taken: dict[str, list[Array]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        policy = load_policy(model)
        infers: dict[str, Infer] = {'plain': policy, _ITSELF: load_policy(model)}
        infers |= {name: steering.steer(load_policy(model))
                   for name, steering in steerings.items()}
        observation, noise = (rng.standard_normal(shape, dtype=np.float32)
                              for shape in (policy.observation_shape, policy.chunk_shape))
        calls = {name: partial(infer, Observation(observation), noise)
                 for name, infer in infers.items()}
        for name, durations in measure.in_turns(calls, rounds).items():
            taken[name].append(durations)
    plain = taken.pop('plain')
    return [measure.ratio(name, durations, plain) for name, durations in taken.items()]
