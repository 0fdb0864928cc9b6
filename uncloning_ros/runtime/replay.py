# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Repeat every plan of an incident with its policy, and compare the chunks."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from uncloning_ros.errors import IncidentError
from uncloning_ros.policy_io import Float32, Observation
from uncloning_ros.runtime.incident import Incident, Machine, this_machine
from uncloning_ros.runtime.inference import OnnxPolicy

# Allowed difference on another machine (the contract's units): processors and versions of the
# runtime add in different orders.
ELSEWHERE = 1e-5


@dataclass(frozen=True)
class Replay:
    """The differences of repeated chunks from those of an incident.

    `differences` are the largest of each answered chunk, in the contract's units; `tolerance` is
    the allowed one: 0 on the machine of the incident, else `ELSEWHERE`. `other` are the
    differences of this machine from that one.
    """

    indices: tuple[int, ...]
    differences: tuple[float, ...]
    tolerance: float
    other: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Tell whether every chunk is within the tolerance."""
        return all(difference <= self.tolerance for difference in self.differences)


def replay(incident: Incident, policy: OnnxPolicy,
           on_chunk: Callable[[], object] = lambda: None) -> Replay:
    """Repeat every answered chunk of `incident`; raise `IncidentError` for another model."""
    if policy.sha256 != incident.model_sha256:
        raise IncidentError(f'expected the model of the incident, sha256 '
                            f'{incident.model_sha256}, got {policy.sha256}; give the right file '
                            f'with --model')
    shapes = (incident.observations.shape[1:], incident.chunks.shape[1:],
              incident.noises.shape[1:])
    expected = (policy.observation_shape, policy.chunk_shape, policy.chunk_shape)
    if shapes != expected:
        raise IncidentError(f'expected observations, chunks and noises of shapes {expected}, got '
                            f'{shapes}; the file is damaged')
    seen = {key: pixels.shape[1:] for key, pixels in incident.pictures.items()}
    if seen != policy.picture_shapes:
        raise IncidentError(f'expected pictures of shapes {policy.picture_shapes}, got {seen}; '
                            f'the file is damaged')
    here = this_machine()
    other = tuple(f'{field.name}: {getattr(incident.machine, field.name)} there, '
                  f'{getattr(here, field.name)} here'
                  for field in fields(Machine) if field.name in ('processor', 'onnxruntime',
                                                                 'threads')
                  and getattr(incident.machine, field.name) != getattr(here, field.name))
    indices, differences = [], []
    for i, (index, observation, noise, chunk, answered) in enumerate(zip(
            incident.indices, incident.observations, incident.noises, incident.chunks,
            incident.answered, strict=True)):
        if answered:
            pictures = {key: pixels[i] for key, pixels in incident.pictures.items()}
            again = policy(Observation(observation, pictures), noise).chunk
            indices.append(int(index))
            differences.append(_difference(chunk, again))
        on_chunk()
    return Replay(tuple(indices), tuple(differences), ELSEWHERE if other else 0.0, other)


def _difference(one: Float32, two: Float32) -> float:
    """Return the largest difference of two chunks; NaN in both is equal."""
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    with np.errstate(invalid='ignore'):
        apart = np.where(same, 0.0, np.abs(one.astype(np.float64) - two))
    return math.inf if np.any(np.isnan(apart)) else float(np.max(apart))
