# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episodes hand over in the same way, without being told the modes.

An episode becomes its approach: how the object lay in the hand's frame over the last stretch on
its way to the hand, at equal steps of distance and not of time, so that pauses and speeds do not
count. Two approaches lie as far apart, in m, as three points of the object on average do. Those
that are nearer than `apart_m` to enough others make up a cluster (DBSCAN, Ester et al., KDD
1996); who is near to no cluster is an outlier. Nothing is random: the same episodes give the
same clusters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.demos.bag import Episode
from uncloning_ros.demos.tracks import Track
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, rotation_of

# Approaches of one mode chain up with gaps of 1 to 9 cm, those of opposite modes lie 20 cm apart
# at least, of modes that are a quarter turn apart 13 cm (400 simulated handovers, 10 mm noise).
APART_M = 0.12
LEAST = 3  # episodes in a cluster; fewer are outliers

STEPS = 12
# The hand's frame tells the modes apart only near the hand; what is done before depends on where
# the tool lay.
STRETCH_M = 0.2
# Once the hand has the object they stay as near for long; what is this near has just come.
THERE_M = 0.01
# So far from its origin two points of the object are looked at: half the length of a tool.
LEVER_M = 0.15
_SMOOTH = 5  # samples of the distance, so that noise does not look like coming near
_MEDIAN = 3  # samples before and after a step, whose median stands for it
_NEAREST = 5  # episodes that a confidence looks at

_OUTLIER = -1

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """`labels` (N,): the cluster of each episode, -1 for an outlier; the largest cluster is 0.

    `medoids` are the indices of the most central episode of each cluster; `confidence` (N,) is
    0.5 for one that lies as near to others as to its own cluster, 1.0 far away from all others,
    and 0 for outliers.
    """

    labels: Labels
    medoids: tuple[int, ...]
    confidence: Array


def approach(episode: Episode) -> Array:
    """Return how the object came to the hand, as points (STEPS, 3, 3) in the hand's frame, in m.

    For each step: the object's origin, and `LEVER_M` along its x and its y axis. Raise
    `ContractError` if object or hand were not observed.
    """
    missing = {'object_pose', 'hand_pose'}.difference(episode.samples)
    if missing:
        raise ContractError(f'{episode.path}: the contract has no '
                            f'{" and no ".join(sorted(missing))}; episodes are clustered by how '
                            f'the object comes to the hand, label these by hand')
    objects, hands = (Track.of(episode.samples[key]) for key in ('object_pose', 'hand_pose'))
    seen = objects.stamps_ns >= hands.stamps_ns[0]
    seen = seen if seen.any() else np.ones_like(seen)
    points = _in_frame(hands.at(objects.stamps_ns[seen]), objects.values[seen])
    distance = _smoothed(np.linalg.norm(points[:, 0], axis=-1))
    nearest = int(np.argmin(distance))
    levels = distance[nearest] + THERE_M + np.linspace(STRETCH_M, 0.0, STEPS)
    # The first time that the object was so near; it may draw back for a while and come again.
    steps = np.argmax(distance[:nearest + 1] <= levels[:, None], axis=1)
    around = steps[:, None] + np.arange(-_MEDIAN, _MEDIAN + 1)
    return np.median(points[np.clip(around, 0, len(points) - 1)], axis=1)


def distances(approaches: Array) -> Array:
    """Return how far apart (N, N), in m, approaches (N, STEPS, 3, 3) lie: root mean square."""
    flat = approaches.reshape(len(approaches), -1)
    squares = np.sum(flat * flat, axis=1)
    total = squares[:, None] + squares - 2.0 * flat @ flat.T
    np.fill_diagonal(total, 0.0)
    return np.sqrt(np.maximum(total, 0.0) / (flat.shape[1] / 3))


def find_clusters(distance: Array, apart_m: float = APART_M) -> Clusters:
    """Return the clusters of episodes whose distances (N, N) are given."""
    near = distance <= apart_m
    core = near.sum(axis=1) >= LEAST
    groups = _connected(near & core & core[:, None], core)
    labels = np.full(len(distance), _OUTLIER)
    # The largest first; of two that are equal the one with the first episode.
    for number, members in enumerate(sorted(groups, key=lambda one: (-len(one), one[0]))):
        labels[members] = number
    # Who is near to a core episode belongs to the nearest one's cluster.
    for i in np.flatnonzero(~core & (near & core).any(axis=1)):
        labels[i] = labels[int(np.argmin(np.where(core, distance[i], np.inf)))]
    medoids = tuple(medoid(distance, np.flatnonzero(labels == number))
                    for number in range(len(groups)))
    return Clusters(labels, medoids, _confidence(distance, labels))


def medoid(distance: Array, members: NDArray[np.intp]) -> int:
    """Return which of the members is the most central one; of several the first."""
    return int(members[np.argmin(distance[np.ix_(members, members)].sum(axis=1))])


def _in_frame(frames: Array, poses: Array) -> Array:
    """Return three points (N, 3, 3) of objects at poses (N, 9), in frames (N, 9)."""
    turn, rotation = rotation_of(frames), rotation_of(poses)
    origin = np.einsum('nji,nj->ni', turn, poses[:, :3] - frames[:, :3])
    axes = np.einsum('nji,njk->nki', turn, rotation[..., :2])
    return np.concatenate([origin[:, None], origin[:, None] + LEVER_M * axes], axis=1)


def _smoothed(values: Array) -> Array:
    padded = np.pad(values, _SMOOTH // 2, mode='edge')
    return np.convolve(padded, np.full(_SMOOTH, 1 / _SMOOTH), mode='valid')


def _connected(near: NDArray[np.bool_], core: NDArray[np.bool_]) -> list[list[int]]:
    """Return the connected components of the core episodes, each sorted."""
    groups, left = [], core.copy()
    while left.any():
        found = np.zeros_like(left)
        found[int(np.argmax(left))] = True
        while True:
            grown = found | near[found].any(axis=0)
            if (grown == found).all():
                break
            found = grown
        groups.append([int(i) for i in np.flatnonzero(found)])
        left &= ~found
    return groups


def _confidence(distance: Array, labels: Labels) -> Array:
    """Return for each episode how much nearer it lies to its own cluster than to all others."""
    confidence = np.zeros(len(labels))
    for i in np.flatnonzero(labels != _OUTLIER):
        own = labels == labels[i]
        own[i] = False
        inside, outside = (np.sort(distance[i, which])[:_NEAREST]
                           for which in (own, labels != labels[i]))
        total = inside.mean() + outside.mean() if len(outside) else 0.0
        confidence[i] = outside.mean() / total if total > 0.0 else 1.0
    return confidence
