# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry, against brute force and known cases."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uncloning_ros import geometry as g

coordinate = st.floats(-2.0, 2.0)
point = arrays(np.float64, 3, elements=coordinate)
# Quaternions of unit length from any four numbers that are not all near zero.
quaternion = arrays(np.float64, 4, elements=st.floats(-1.0, 1.0)).filter(
    lambda q: np.linalg.norm(q) > 0.1).map(lambda q: q / np.linalg.norm(q))

X, Y, Z = np.eye(3)

# Segments shorter than 0.03 mm count as points, and those parallel to 0.03 mrad as parallel.
DISTANCE_TOLERANCE_M = 2e-4


def brute_distance(a0: g.Array, a1: g.Array, b0: g.Array, b1: g.Array) -> float:
    """Return the smallest distance from 401 points of one segment to the other segment."""
    along = np.linspace(0.0, 1.0, 401)[:, None]
    points = a0 + along * (a1 - a0)
    d = b1 - b0
    t = np.clip((points - b0) @ d / max(d @ d, 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(points - (b0 + t[:, None] * d), axis=1).min())


@given(quaternion)
def test_rotation_of_a_quaternion_is_orthonormal_and_comes_back(q: g.Array) -> None:
    r = g.rotation_from_quaternion(q)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(r) == pytest.approx(1.0)
    back = g.quaternion_from_rotation(r)
    assert back[3] >= 0
    assert abs(back @ q) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(('q', 'turned_x', 'turned_y'), [
    ((0, 0, 0, 1), X, Y),
    ((0, 0, math.sqrt(0.5), math.sqrt(0.5)), Y, -X),  # a quarter turn about z
    ((1, 0, 0, 0), X, -Y),                            # half turns: w = 0
    ((0, 1, 0, 0), -X, Y),
    ((0, 0, 1, 0), -X, -Y),
])
def test_known_quaternions(q: tuple[float, ...], turned_x: g.Array, turned_y: g.Array) -> None:
    r = g.rotation_from_quaternion(q)
    np.testing.assert_allclose(r @ X, turned_x, atol=1e-12)
    np.testing.assert_allclose(r @ Y, turned_y, atol=1e-12)
    np.testing.assert_allclose(g.rotation_from_quaternion(g.quaternion_from_rotation(r)), r,
                               atol=1e-12)


@pytest.mark.parametrize('q', [(0, 0, 0, 0), (0, 0, 0, 1.02), (0, 0, 0, float('nan'))])
def test_quaternion_that_is_not_of_unit_length_is_refused(q: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match='quaternion of unit length, got length'):
        g.rotation_from_quaternion(q)
    with pytest.raises(ValueError, match='quaternion of unit length, got length'):
        g.single_pose((0, 0, 0), q)


@given(point, quaternion)
def test_single_conversions_equal_the_array_conversions(p: g.Array, q: g.Array) -> None:
    pose = g.pose_from_parts(p, g.rotation_from_quaternion(q))
    np.testing.assert_allclose(g.single_pose(p.tolist(), q.tolist()), pose, atol=1e-12)
    single = np.array(g.single_quaternion(pose.tolist()))
    assert abs(single @ q) == pytest.approx(1.0, abs=1e-9)
    assert single[3] >= 0


@given(quaternion, st.floats(0.2, 5.0), st.floats(0.2, 5.0), st.floats(-3.0, 3.0))
def test_6d_rotation_ignores_scale_and_skew_of_its_columns(
        q: g.Array, first: float, second: float, skew: float) -> None:
    r = g.rotation_from_quaternion(q)
    columns = np.concatenate([first * r[:, 0], second * r[:, 1] + skew * r[:, 0]])
    np.testing.assert_allclose(g.rotation_from_6d(columns), r, atol=1e-9)


@pytest.mark.parametrize('columns', [np.zeros(6), np.concatenate([X, 2 * X]),
                                     np.concatenate([X, np.zeros(3)])])
def test_6d_rotation_without_two_directions_is_refused(columns: g.Array) -> None:
    with pytest.raises(ValueError, match='zero or parallel'):
        g.rotation_from_6d(columns)
    with pytest.raises(ValueError, match='zero or parallel'):
        g.single_quaternion([0.0, 0.0, 0.0, *columns.tolist()])
    with pytest.raises(ValueError, match='zero or parallel'):
        g.single_rotation(columns.tolist())


@given(arrays(np.float64, 6, elements=st.floats(-1e3, 1e3)))
def test_a_single_rotation_is_the_very_same_as_that_of_arrays(columns: g.Array) -> None:
    try:
        expected = g.rotation_from_6d(columns)
    except ValueError:
        with pytest.raises(ValueError, match='zero or parallel'):
            g.single_rotation(columns.tolist())
    else:
        np.testing.assert_array_equal(g.single_rotation(columns.tolist()), expected)


@given(point, quaternion, point)
def test_transform_point_rotates_then_moves(p: g.Array, q: g.Array, local: g.Array) -> None:
    r = g.rotation_from_quaternion(q)
    pose = g.pose_from_parts(p, r)
    np.testing.assert_allclose(g.transform_point(pose, local), p + r @ local, atol=1e-9)
    np.testing.assert_allclose(g.position_of(pose), p)
    np.testing.assert_allclose(g.rotation_of(pose), r, atol=1e-9)
    np.testing.assert_allclose(g.x_axis_of(pose), r[:, 0], atol=1e-9)


def test_poses_are_handled_along_leading_axes() -> None:
    rotations = g.rotation_about_z(np.linspace(-3, 3, 6).reshape(2, 3))
    poses = g.pose_from_parts(np.zeros((2, 3, 3)), rotations)
    assert poses.shape == (2, 3, 9)
    np.testing.assert_allclose(g.rotation_of(poses), rotations, atol=1e-12)
    assert g.quaternion_from_rotation(rotations).shape == (2, 3, 4)
    np.testing.assert_allclose(g.transform_point(poses, X)[1, 2], [math.cos(3), math.sin(3), 0])


@given(st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi))
def test_angle_between_turns_about_z_is_their_difference(one: float, two: float) -> None:
    difference = abs(math.remainder(one - two, math.tau))
    angle = g.rotation_angle_between(g.rotation_about_z(one), g.rotation_about_z(two))
    # arccos loses half of the digits near 0 and pi
    assert float(angle) == pytest.approx(difference, abs=1e-6)


def test_angle_between_vectors() -> None:
    np.testing.assert_allclose(g.angle_between([X, X, 3 * X], [Y, -2 * X, X]),
                               [math.pi / 2, math.pi, 0.0], atol=1e-7)


@given(point, point, point, point)
def test_segment_distance_is_that_of_brute_force(a0: g.Array, a1: g.Array, b0: g.Array,
                                                 b1: g.Array) -> None:
    exact = float(g.segment_distance(a0, a1, b0, b1))
    brute = brute_distance(a0, a1, b0, b1)
    assert exact <= brute + DISTANCE_TOLERANCE_M
    assert exact >= brute - float(np.linalg.norm(a1 - a0)) / 400 - DISTANCE_TOLERANCE_M


@given(point, point, point, point)
def test_segment_distance_does_not_depend_on_order(a0: g.Array, a1: g.Array, b0: g.Array,
                                                   b1: g.Array) -> None:
    exact = float(g.segment_distance(a0, a1, b0, b1))
    for one, two in itertools.product(((a0, a1), (a1, a0)), ((b0, b1), (b1, b0))):
        assert float(g.segment_distance(*one, *two)) == pytest.approx(
            exact, abs=DISTANCE_TOLERANCE_M)
        assert float(g.segment_distance(*two, *one)) == pytest.approx(
            exact, abs=DISTANCE_TOLERANCE_M)


@pytest.mark.parametrize(('a', 'b', 'distance'), [
    ((-X, X), (-Y, Y), 0.0),                       # crossing
    ((-X, X), (Z - Y, Z + Y), 1.0),                # crossing one above the other
    ((0 * X, X), (2 * X, 3 * X), 1.0),             # on one line
    ((0 * X, X), (Y, X + Y), 1.0),                 # parallel
    ((0 * X, X), (0.5 * X, 2 * X), 0.0),           # parallel, overlapping
    ((X, X), (-X, -X), 2.0),                       # two points
    ((0.5 * X + Y, 0.5 * X + Y), (0 * X, X), 1.0),  # a point beside a segment
])
def test_known_segment_distances(a: tuple[g.Array, g.Array], b: tuple[g.Array, g.Array],
                                 distance: float) -> None:
    assert float(g.segment_distance(*a, *b)) == pytest.approx(distance, abs=1e-9)


@given(point, point, point, point)
def test_ray_looks_forward_only(origin: g.Array, direction: g.Array, b0: g.Array,
                                b1: g.Array) -> None:
    length = float(np.linalg.norm(direction))
    assume(length > 0.1)
    direction = direction / length
    distance = float(g.ray_segment_distance(origin, direction, b0, b1))
    assert distance == pytest.approx(
        float(g.segment_distance(origin, origin + 5.0 * direction, b0, b1)), abs=1e-9)
    behind = float(g.segment_distance(origin, origin, b0, b1))
    if max(direction @ (b0 - origin), direction @ (b1 - origin)) <= 0:
        assert distance == pytest.approx(behind, abs=DISTANCE_TOLERANCE_M)
