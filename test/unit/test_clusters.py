# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters of approaches: found without the modes, whatever the pace, outliers left alone."""

import math
from collections.abc import Sequence
from itertools import pairwise

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.labelling.clusters import (
    APART_M,
    LEVER_M,
    STEPS,
    Clusters,
    approach,
    distances,
    find_clusters,
    way,
)
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, pose_from_parts, rotation_about_z

STEP_NS = 25 * episodes.MS
FAR_M, NEAR_M = 0.6, 0.1


def handed(degrees: float, seed: int = 0, pause: bool = False, noise_m: float = 0.005,
           from_m: float = FAR_M) -> Episode:
    """Return an episode in which the object, turned by `degrees`, comes to a hand that moves.

    The object comes along the hand's x axis; with `pause` it waits on its way, and beforehand.
    """
    rng = np.random.default_rng(seed)
    left_m = np.linspace(from_m, NEAR_M, 60)
    if pause:
        left_m = np.concatenate([np.repeat(left_m[0], rng.integers(40, 200)), left_m[:30],
                                 np.repeat(left_m[30], 80), left_m[30:]])
    left_m = np.concatenate([left_m, np.repeat(NEAR_M, 40)])
    yaw = rng.uniform(-0.8, 0.8)
    hand_m = (np.array([0.6, rng.uniform(-0.3, 0.3), 0.3])
              + np.outer(np.linspace(0.0, 1.0, len(left_m)), rng.uniform(-0.2, 0.2, 3)))
    turned = rotation_about_z(yaw + math.radians(degrees) + rng.normal(0.0, 0.1))
    samples: episodes.Samples = {'object_pose': [], 'hand_pose': []}
    for i, distance_m in enumerate(left_m):
        at_m = hand_m[i] + distance_m * rotation_about_z(yaw)[:, 0]
        for key, position, rotation in (('object_pose', at_m, turned),
                                        ('hand_pose', hand_m[i], rotation_about_z(yaw))):
            pose = pose_from_parts(position + rng.normal(0.0, noise_m, 3), rotation)
            samples[key].append(Sample(pose, i * STEP_NS, i * STEP_NS))
    return episodes.episode(samples)


def clusters_of(takes: Sequence[Episode], apart_m: float = APART_M) -> list[int]:
    found = find_clusters(distances(np.stack([approach(take) for take in takes])),
                          distances(np.stack([way(take) for take in takes])), apart_m)
    return [int(label) for label in found.labels]


def grouped(distance: Array, apart_m: float = APART_M) -> Clusters:
    """Return the clusters of episodes that all go the same way."""
    return find_clusters(distance, np.zeros_like(distance), apart_m)


def carried(over_m: float, seed: int, noise_m: float = 0.005) -> Episode:
    """Return an episode in which the object is carried `over_m` high, then handed at z 0.25 m.

    Where it lay and where the hand is varies; the carrier pauses, the longer the larger the seed.
    """
    rng = np.random.default_rng(seed)
    hand = np.array([0.75, *rng.uniform(-0.1, 0.1, 2) + (0.0, 0.25)])
    stops = [np.array([0.4, 0.0, 0.1]) + [*rng.uniform(-0.08, 0.08, 2), 0.0],
             np.array([0.45, 0.0, over_m]), hand - [0.15, 0.0, 0.0], hand - [0.05, 0.0, 0.0]]
    path = np.concatenate([np.linspace(one, two, 30)
                           for one, two in pairwise(stops)])
    path = np.concatenate([np.repeat(path[:1], 80 * (seed % 3), axis=0), path[:40],
                           np.repeat(path[40:41], 30 * (seed % 5), axis=0), path[40:]])
    samples: episodes.Samples = {'object_pose': [], 'hand_pose': []}
    for i, at_m in enumerate(path):
        for key, position in (('object_pose', at_m), ('hand_pose', hand)):
            pose = pose_from_parts(position + rng.normal(0.0, noise_m, 3), rotation_about_z(0.0))
            samples[key].append(Sample(pose, i * STEP_NS, i * STEP_NS))
    return episodes.episode(samples)


def test_two_routes_far_from_the_hand_are_two_clusters_whatever_the_pace() -> None:
    takes = [carried(0.6, seed) for seed in range(20)] + [carried(0.2, 99 + i) for i in range(12)]
    near = distances(np.stack([approach(take) for take in takes]))
    assert list(grouped(near).labels) == [0] * 32
    assert clusters_of(takes) == [0] * 20 + [1] * 12


def test_one_route_is_one_cluster() -> None:
    assert clusters_of([carried(0.4, seed) for seed in range(12)]) == [0] * 12


def test_a_cluster_is_divided_as_a_whole_or_not_at_all() -> None:
    near = np.zeros((20, 20))

    def parts(line: Sequence[float]) -> list[int]:
        return list(find_clusters(near, np.abs(np.subtract.outer(line, line))).labels)

    assert parts([0.0] * 10 + [0.5] * 10) == [0] * 10 + [1] * 10
    # Two that went by ways of their own stay with those who are nearest.
    assert parts([0.0] * 10 + [0.5] * 8 + [0.2, 0.8]) == [0] * 10 + [1] * 8 + [0, 1]
    # Of ways that are all different there is nothing to learn.
    assert parts([0.0] * 9 + [0.5] * 8 + [2.0, 3.0, 4.0]) == [0] * 20


def test_two_ways_of_handing_over_are_two_clusters_the_larger_one_first() -> None:
    takes = [handed(180.0, seed) for seed in range(4)] + [handed(0.0, seed) for seed in range(9)]
    assert clusters_of(takes) == [1] * 4 + [0] * 9


def test_a_quarter_turn_is_another_way() -> None:
    takes = [handed(degrees, seed) for degrees in (0.0, 90.0, 180.0) for seed in range(5)]
    assert clusters_of(takes) == [0] * 5 + [1] * 5 + [2] * 5


def test_one_way_of_handing_over_is_one_cluster() -> None:
    takes = [handed(180.0, seed) for seed in range(60)]
    assert clusters_of(takes) == [0] * 60
    # Of fewer all over the room some may look like a way of their own; none is left out.
    assert -1 not in clusters_of(takes[:20])


def test_pauses_and_where_the_object_came_from_do_not_count() -> None:
    takes = [handed(180.0, seed, pause=seed % 2 == 0, from_m=0.4 + 0.1 * (seed % 4))
             for seed in range(8)]
    takes += [handed(0.0, seed, pause=seed % 3 == 0) for seed in range(8)]
    assert clusters_of(takes) == [0] * 8 + [1] * 8


def test_who_is_like_too_few_is_an_outlier() -> None:
    takes = [handed(180.0, seed) for seed in range(6)] + [handed(0.0, seed) for seed in range(2)]
    assert clusters_of(takes) == [0] * 6 + [-1] * 2


def test_who_is_near_to_one_of_a_cluster_belongs_to_it() -> None:
    line = np.array([0.0, 0.01, 0.02, 0.07, 0.2])
    found = grouped(np.abs(np.subtract.outer(line, line)), apart_m=0.055)
    assert list(found.labels) == [0, 0, 0, 0, -1]


def test_noise_of_tracking_does_not_split_a_cluster() -> None:
    takes = [handed(degrees, seed, noise_m=0.03) for degrees in (0.0, 180.0) for seed in range(10)]
    assert clusters_of(takes) == [0] * 10 + [1] * 10


def test_apart_tells_how_much_two_ways_have_to_differ() -> None:
    takes = [handed(degrees, seed) for degrees in (0.0, 180.0) for seed in range(5)]
    assert clusters_of(takes, apart_m=1.0) == [0] * 10
    assert clusters_of(takes, apart_m=0.001) == [-1] * 10


def test_an_approach_is_seen_from_the_hand() -> None:
    points = approach(handed(180.0, noise_m=0.0))
    assert points.shape == (STEPS, 3, 3)
    # Along the hand's x axis, nearer at each step, and the object's x axis against it.
    np.testing.assert_allclose(points[:, 0, 1:], 0.0, atol=0.01)
    assert (np.diff(points[:, 0, 0]) < 0.0).all()
    assert points[-1, 0, 0] == pytest.approx(NEAR_M, abs=0.01)
    assert np.linalg.norm(points[:, 1] - points[:, 0], axis=-1) == pytest.approx(LEVER_M)
    assert (points[:, 1, 0] < points[:, 0, 0]).all()


def test_the_medoid_is_the_most_central_episode() -> None:
    distance = np.abs(np.subtract.outer(*[np.array([0.0, 0.05, 0.1, 5.0, 5.05, 5.1])] * 2))
    found = grouped(distance)
    assert found.medoids == (1, 4)
    assert found.confidence[1] > found.confidence[0] > 0.9


def test_towards_another_cluster_confidence_falls_but_not_below_a_half() -> None:
    line = np.array([0.0, 0.01, 0.02, 0.05, 0.19, 0.22, 0.23, 0.24])
    found = grouped(np.abs(np.subtract.outer(line, line)), apart_m=0.06)
    assert list(found.labels) == [0] * 4 + [1] * 4
    assert found.confidence[3] < found.confidence[:3].min()
    assert found.confidence.min() > 0.5


def test_no_episode_and_one_episode_make_no_cluster() -> None:
    assert grouped(np.zeros((0, 0))).medoids == ()
    assert clusters_of([handed(0.0)]) == [-1]


def test_without_a_tracked_hand_the_remedy_is_told() -> None:
    take = episodes.episode({'object_pose': [Sample(episodes.pose(), 1, 1)]})
    with pytest.raises(ContractError, match='no hand_pose; .* by hand'):
        approach(take)


def test_one_sample_is_an_approach_too() -> None:
    one = [Sample(episodes.pose(), 5, 5)]
    assert approach(episodes.episode({'object_pose': one, 'hand_pose': one})).shape == (
        STEPS, 3, 3)


@settings(max_examples=60)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(0, 10**6),
       st.floats(0.01, 0.5))
def test_the_order_of_the_episodes_changes_no_cluster(
        line: list[float], seed: int, apart_m: float) -> None:
    """Numbers may differ where clusters are as large as one another; who is with whom may not."""
    positions = np.unique(line)  # of two at one place either may be the medoid
    order = np.random.default_rng(seed).permutation(len(positions))

    def together(at: Array) -> set[frozenset[float]]:
        labels = grouped(np.abs(np.subtract.outer(at, at)), apart_m).labels
        return {frozenset(at[labels == number]) for number in set(labels) - {-1}}

    assert together(positions) == together(positions[order])
