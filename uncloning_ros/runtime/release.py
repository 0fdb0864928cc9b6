# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notice a release: by the object's pose, or without one by the gripper's width and a pull.

A release that is missed is harmless: the episode ends at `max_episode_s`. One that is invented
ends an episode while the arm may still hold the tool, so every doubt counts against it.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array

# Width (m) below which the fingers are shut on nothing: the thinnest blade that fingers hold is
# wider, and a shut gripper measures its zero within a millimetre.
_SHUT_M = 0.002
# Fingers whose width changes by less than this (m) in this time (s) stand on something: on their
# way they move faster, those of slow grippers too.
_STILL_M, _STOOD_S = 0.002, 0.3
# Shortest pull (s): a bump is shorter, a person's pull lasts until it is answered.
_PULL_S = 0.1
# Longest time (s) from the pull to the open fingers: those of a slow gripper need most of it.
_ANSWER_S = 1.0
# Time constant (s) in which the force at rest is learnt: a pull grows in less, an offset of the
# sensor changes with the pose of the wrist, in more.
_REST_S = 2.0


class Release(Protocol):
    """A rule that looks at every cycle in which the policy commands."""

    def reset(self) -> None:
        """Forget the episode."""

    def noticed(self, now_ns: int, samples: Mapping[str, Sample]) -> bool:
        """Tell whether something was held, and is now let go and out of reach."""
        ...


def release_rule(contract: Contract) -> Release | None:
    """Return the rule for a contract, None if it lacks what both rules need."""
    if release_lacks(contract):
        return None
    by_pose = any(signal.key == OBJECT_KEY for signal in contract.interface.observations)
    return _ByPose(contract) if by_pose else _ByPull(contract)


def release_lacks(contract: Contract) -> tuple[str, ...]:
    """Return the parts of a contract without which a release is not noticed, as it lacks them."""
    interface, end = contract.interface, contract.deployment.episode_end
    seen = (any(signal.key == OBJECT_KEY for signal in interface.observations)
            or (_force_key(contract) is not None and end.pull_n is not None))
    return tuple(name for name, there in (
        ('tool_pose', interface.arm_pose_key is not None),
        ('a gripper width', interface.width_key is not None),
        ('object_pose (or else a force, and pull_n in episode_end)', seen)) if not there)


class _ByPose:
    """The object was between the fingers, and is now let go, out of reach, and with the hand."""

    def __init__(self, contract: Contract) -> None:
        self._end = contract.deployment.episode_end
        self._tool_key, self._width_key = _arm_keys(contract)
        self.reset()

    def reset(self) -> None:
        self._grasped = False

    def noticed(self, now_ns: int, samples: Mapping[str, Sample]) -> bool:
        apart = samples[OBJECT_KEY].values[:3] - samples[self._tool_key].values[:3]
        apart_m = math.sqrt(float(apart.dot(apart)))
        opened = float(samples[self._width_key].values[0]) >= self._end.open_width_m
        if not opened and apart_m < self._end.object_distance_m:
            self._grasped = True
        return (self._grasped and opened and apart_m >= self._end.object_distance_m
                and self._at_hand(samples))

    def _at_hand(self, samples: Mapping[str, Sample]) -> bool:
        if math.isinf(self._end.hand_distance_m):
            return True
        apart_m = samples[OBJECT_KEY].values[:3] - samples[HAND_KEY].values[:3]
        return math.sqrt(float(apart_m.dot(apart_m))) <= self._end.hand_distance_m


class _ByPull:
    """Fingers that stood on something opened in answer to a pull, and moved away.

    A pull is a change of the horizontal force against that at rest: so neither the weight of the
    tool nor an offset or a frozen value of the sensor is one. It counts while the fingers stand,
    neither open nor shut. Fingers that stand on something again are a new grasp, which needs a
    pull of its own.
    """

    _stood: tuple[float, int] | None  # width (m) at which the fingers stand, and since when
    _rest: tuple[Array, int] | None  # horizontal force (2,) at rest, and when that was learnt
    _pulls_since_ns: int | None
    _pulled_ns: int | None  # newest time of a pull
    _opened_at_m: Array | None  # tool centre point when the fingers opened

    def __init__(self, contract: Contract) -> None:
        end, force_key = contract.deployment.episode_end, _force_key(contract)
        assert end.pull_n is not None and force_key is not None
        self._end, self._pull_n, self._force_key = end, end.pull_n, force_key
        self._tool_key, self._width_key = _arm_keys(contract)
        self.reset()

    def reset(self) -> None:
        self._loosen()
        self._pulled_ns = self._opened_at_m = None

    def noticed(self, now_ns: int, samples: Mapping[str, Sample]) -> bool:
        width_m = float(samples[self._width_key].values[0])
        place_m = samples[self._tool_key].values[:3]
        if width_m < self._end.open_width_m:
            self._close(now_ns, width_m, samples[self._force_key].values[:2])
            return False
        self._loosen()
        if self._opened_at_m is None and self._pulled_ns is not None and (
                0 <= now_ns - self._pulled_ns <= _ANSWER_S * 1e9):
            self._opened_at_m = place_m
        return self._opened_at_m is not None and bool(
            np.linalg.norm(place_m - self._opened_at_m) >= self._end.object_distance_m)

    def _close(self, now_ns: int, width_m: float, force_n: Array) -> None:
        """Take a cycle with fingers that are not open, and the horizontal force (2,)."""
        if width_m < _SHUT_M:
            self.reset()
            return
        if self._stood is None or abs(width_m - self._stood[0]) > _STILL_M:
            self._stood = width_m, now_ns
        if now_ns - self._stood[1] < _STOOD_S * 1e9:
            return
        if self._opened_at_m is not None:
            self.reset()
            self._stood = width_m, now_ns
            return
        rest_n, seen_ns = self._rest or (force_n, now_ns)
        pulls = float(np.linalg.norm(force_n - rest_n)) >= self._pull_n
        learnt = 1.0 - math.exp(-max(0, now_ns - seen_ns) * 1e-9 / _REST_S)
        self._rest = rest_n + learnt * (force_n - rest_n), now_ns
        if not pulls:
            self._pulls_since_ns = None
            return
        if self._pulls_since_ns is None:
            self._pulls_since_ns = now_ns
        if now_ns - self._pulls_since_ns >= _PULL_S * 1e9:
            self._pulled_ns = now_ns

    def _loosen(self) -> None:
        self._stood = self._rest = self._pulls_since_ns = None


def _arm_keys(contract: Contract) -> tuple[str, str]:
    tool_key, width_key = contract.interface.arm_pose_key, contract.interface.width_key
    assert tool_key is not None and width_key is not None
    return tool_key, width_key


def _force_key(contract: Contract) -> str | None:
    return next((signal.key for signal in contract.interface.observations
                 if signal.kind == 'force'), None)
