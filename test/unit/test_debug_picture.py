# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The debug picture shows what the policy saw, and its plan beside it."""

import numpy as np
import pytest
import seeing
from inputs import CONTRACT, JOINT_CONTRACT

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from uncloning_ros.contract import Contract
from uncloning_ros.nodes.debug_picture import debug_picture, picture_message
from uncloning_ros.policy_io import Plan


def plan(contract: Contract, forward_m: float = 0.2, left_m: float = 0.0) -> Plan:
    """Return a plan whose first two values go forward and to the left, and the others up."""
    share = np.linspace(0.0, 1.0, contract.policy.horizon)[:, None]
    chunk = np.tile(share, (1, contract.interface.action_dim))
    chunk[:, :2] = share * (forward_m, left_m)
    return Plan(chunk.astype(np.float32))


@pytest.mark.parametrize('signal', seeing.CAMERAS, ids=['colour', 'grey'])
@pytest.mark.parametrize('contract', [CONTRACT, JOINT_CONTRACT], ids=['pose', 'joints'])
def test_the_picture_stands_on_the_left_enlarged_and_the_plan_beside_it(
        contract: Contract, signal: object) -> None:
    [camera] = [one for one in seeing.CAMERAS if one is signal]
    seen = seeing.picture(camera, 3)
    shown = debug_picture(contract.interface, seen, plan(contract))
    factor = shown.shape[0] // seen.shape[0]
    assert factor > 1
    left = shown[:, :seen.shape[1] * factor]
    assert np.array_equal(left[::factor, ::factor], np.broadcast_to(seen, left[::factor, ::factor]
                                                                   .shape))
    assert shown[:, seen.shape[1] * factor:].std() > 5
    message = picture_message(shown, 5)
    assert (message.encoding, message.height, message.width) == ('rgb8', *shown.shape[:2])
    assert bytes(message.data) == shown.tobytes()


def test_forward_is_up_and_left_is_left() -> None:
    blank = np.zeros((288, 288, 3), np.uint8)

    def path(forward_m: float, left_m: float) -> tuple[int, int]:
        """Return by how much the start lies below and right of the middle of the path, in px."""
        panel = debug_picture(CONTRACT.interface, blank, plan(CONTRACT, forward_m, left_m))[
            :192, 288:].astype(int)
        start = np.argwhere((panel == (255, 140, 60)).all(axis=2)).mean(axis=0)
        line = np.argwhere((panel == (80, 160, 255)).all(axis=2)).mean(axis=0)
        down, right = np.rint(start - line).astype(int).tolist()
        return down, right

    down, right = path(0.2, 0.0)
    assert down > 30
    assert right == pytest.approx(0, abs=2)
    down, right = path(0.0, 0.2)
    assert right > 30
    assert down == pytest.approx(0, abs=2)


def test_a_large_picture_keeps_its_size_and_a_plan_at_rest_is_drawn() -> None:
    pixels = np.full((480, 640, 3), 100, np.uint8)
    shown = debug_picture(CONTRACT.interface, pixels, plan(CONTRACT, 0.0, 0.0))
    assert np.array_equal(shown[:, :640], pixels)
