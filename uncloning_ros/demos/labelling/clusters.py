# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find episodes that hand over in the same way, without labels.

Each episode has an approach and a way. The approach is the pose of the object in the hand's frame
over the last stretch before the hand, at equal steps of distance; the way is the path before
that, in the base frame, at equal steps of distance travelled: over the table, or past the face.
Neither has steps of time, so pauses and speeds do not count. Episodes whose approaches lie nearer
than `apart_m` (m) to enough others form a cluster (DBSCAN, Ester et al., KDD 1996); an episode
near to no cluster is an outlier. A cluster whose ways lie apart is divided, but only as a whole:
a way depends on where the object lay and where the hand was, so no episode becomes an outlier for
its way. Of few episodes all over the room some may be divided that belong together; two clusters
may get one name. Nothing is random: the same episodes give the same clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.episodes.tracks import Track
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, rotation_of

# Distance (m) of approaches in different clusters. Gaps within a mode are up to 0.12 m, opposite
# modes lie 0.20 m apart at least, modes a quarter turn apart 0.18 m (sessions of 30 and 60
# simulated handovers).
APART_M = 0.13
LEAST = 3  # episodes in a cluster; fewer are outliers

STEPS = 12  # points of an approach
# Length (m) of an approach: farther from the hand, the path depends on where the tool lay.
STRETCH_M = 0.2
THERE_M = 0.01  # distance (m) to the nearest point: an object this near has come to the hand
_WAY = 1.1  # times `apart_m`: approach and way together differ more than an approach alone
_LOST = 0.1  # share of a cluster that may be near to no part when it is divided
# Leg of the way, as shares of it: depends least on where the object lay and where the hand was.
_LEG = (0.5, 0.8)
WAY_STEPS = 4  # points of a way
_STRIDE_M = 0.05  # shortest step (m) that counts as travelled: tracking noise makes shorter ones
# Distance (m) of the two points off the object's origin: half the length of a tool.
LEVER_M = 0.15
_SMOOTH = 5  # samples of the distance that are averaged against noise
_MEDIAN = 3  # samples before and after a step that its median takes
_NEAREST = 5  # neighbours that a confidence is computed from

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
    """Return the object's last stretch to the hand, points (STEPS, 3, 3) in the hand's frame (m).

    For each step: the object's origin, and `LEVER_M` along its x and its y axis. Raise
    `ContractError` if object or hand were not observed.
    """
    objects, hands = tracks_of(episode)
    seen = objects.stamps_ns >= hands.stamps_ns[0]
    seen = seen if seen.any() else np.ones_like(seen)
    points = _in_frame(hands.at(objects.stamps_ns[seen]), objects.values[seen])
    distance = _smoothed(np.linalg.norm(points[:, 0], axis=-1))
    nearest = int(np.argmin(distance))
    levels = distance[nearest] + THERE_M + np.linspace(STRETCH_M, 0.0, STEPS)
    # The first time that the object was this near; it may draw back and come again.
    steps = np.argmax(distance[:nearest + 1] <= levels[:, None], axis=1)
    around = steps[:, None] + np.arange(-_MEDIAN, _MEDIAN + 1)
    return np.median(points[np.clip(around, 0, len(points) - 1)], axis=1)


def way(episode: Episode) -> Array:
    """Return points on the middle leg of the object's way to the hand (WAY_STEPS, 3), in m.

    In the base frame. Raise `ContractError` as `approach` does.
    """
    objects, hands = tracks_of(episode)
    places, palms = objects.values[:, :3], hands.at(objects.stamps_ns)[:, :3]
    distance = _smoothed(np.linalg.norm(places - palms, axis=1))
    # Not THERE_M: noise may put the nearest moment long after, and elsewhere.
    there = int(np.argmax(distance <= distance.min() + _STRIDE_M))
    around = np.arange(there + 1)[:, None] + np.arange(-_MEDIAN, _MEDIAN + 1)
    path = np.median(places[np.clip(around, 0, there)], axis=1)
    stops = [0]
    for i in range(1, len(path)):
        if np.linalg.norm(path[i] - path[stops[-1]]) >= _STRIDE_M:
            stops.append(i)
    path = path[[*stops, there]]
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    wanted = travelled[-1] * np.linspace(*_LEG, WAY_STEPS)
    return np.stack([np.interp(wanted, travelled, path[:, axis]) for axis in range(3)], axis=1)


def distances(points: Array) -> Array:
    """Return the root mean square distances (N, N), in m, of sets of points (N, ..., 3)."""
    flat = points.reshape(len(points), -1)
    squares = np.sum(flat * flat, axis=1)
    total = squares[:, None] + squares - 2.0 * flat @ flat.T
    np.fill_diagonal(total, 0.0)
    return np.sqrt(np.maximum(total, 0.0) / (flat.shape[1] / 3))


def find_clusters(near_m: Array, way_m: Array, apart_m: float = APART_M) -> Clusters:
    """Return the clusters of episodes.

    `near_m` (N, N) are the distances of their approaches, `way_m` (N, N) those of their ways.
    """
    both_m = np.maximum(near_m, way_m)
    groups = []
    for group in _dense(near_m, apart_m):
        parts = _dense(both_m[np.ix_(group, group)], _WAY * apart_m)
        lost = len(group) - sum(map(len, parts))
        if len(parts) < 2 or lost > _LOST * len(group):
            groups.append(group)
        else:
            groups += _all_of(group, parts, both_m)
    labels = np.full(len(near_m), _OUTLIER)
    # The largest first; of two that are equal the one with the first episode.
    for number, members in enumerate(sorted(groups, key=lambda one: (-len(one), one[0]))):
        labels[members] = number
    medoids = tuple(medoid(both_m, np.flatnonzero(labels == number))
                    for number in range(len(groups)))
    return Clusters(labels, medoids, _confidence(both_m, labels))


def _dense(distance: Array, apart_m: float) -> list[NDArray[np.intp]]:
    """Return the indices of the members of each cluster that DBSCAN finds, sorted."""
    near = distance <= apart_m
    core = near.sum(axis=1) >= LEAST
    labels = np.full(len(distance), _OUTLIER)
    groups = _connected(near & core & core[:, None], core)
    for number, members in enumerate(groups):
        labels[members] = number
    # A non-core episode joins its nearest core neighbour's cluster.
    _join_nearest(labels, np.flatnonzero(~core & (near & core).any(axis=1)), core, distance)
    return [np.flatnonzero(labels == number) for number in range(len(groups))]


def _all_of(group: NDArray[np.intp], parts: Sequence[NDArray[np.intp]],
            distance: Array) -> list[NDArray[np.intp]]:
    """Return the parts of a group; episodes near to no part join the nearest one."""
    labels = np.full(len(group), _OUTLIER)
    for number, part in enumerate(parts):
        labels[part] = number
    placed = labels != _OUTLIER
    _join_nearest(labels, np.flatnonzero(~placed), placed, distance[np.ix_(group, group)])
    return [group[labels == number] for number in range(len(parts))]


def _join_nearest(labels: Labels, joining: NDArray[np.intp], placed: NDArray[np.bool_],
                  distance: Array) -> None:
    """Give each joining episode the label of the nearest placed one."""
    for i in joining:
        labels[i] = labels[int(np.argmin(np.where(placed, distance[i], np.inf)))]


def medoid(distance: Array, members: NDArray[np.intp]) -> int:
    """Return the most central of the members; of several the first."""
    return int(members[np.argmin(distance[np.ix_(members, members)].sum(axis=1))])


def tracks_of(episode: Episode) -> tuple[Track, Track]:
    """Return the tracks of object and hand; raise `ContractError` if one was not observed."""
    missing = {OBJECT_KEY, HAND_KEY}.difference(episode.samples)
    if missing:
        raise ContractError(f'{episode.path}: the contract has no '
                            f'{" and no ".join(sorted(missing))}; episodes are clustered by how '
                            f'the object comes to the hand, label these by hand')
    return Track.of(episode.samples[OBJECT_KEY]), Track.of(episode.samples[HAND_KEY])


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
    """Return the share of the distance to other clusters in that to all neighbours (N,)."""
    confidence = np.zeros(len(labels))
    for i in np.flatnonzero(labels != _OUTLIER):
        own = labels == labels[i]
        own[i] = False
        inside, outside = (np.sort(distance[i, which])[:_NEAREST]
                           for which in (own, labels != labels[i]))
        total = inside.mean() + outside.mean() if len(outside) else 0.0
        confidence[i] = outside.mean() / total if total > 0.0 else 1.0
    return confidence
