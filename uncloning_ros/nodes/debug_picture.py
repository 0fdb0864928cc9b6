# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture that the policy saw, with the plan that it answered beside it.

A contract says nothing of a camera's place, so the plan is not drawn into the picture. Beside it
stand the planned path from above (x up, y to the left) and below that the other actions over the
horizon, from their least to their largest value.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from uncloning_ros.contract import Interface
from uncloning_ros.contract.messages import image
from uncloning_ros.geometry import Array
from uncloning_ros.nodes.topics import message_class
from uncloning_ros.pictures import Pixels
from uncloning_ros.policy_io import Plan

if TYPE_CHECKING:
    from PIL import ImageDraw

# Height (px) that a smaller picture is enlarged to, by whole factors.
_HEIGHT = 288
# Length (m) that the view from above shows at least, and the step of its grid.
_LEAST_M, _GRID_M = 0.2, 0.1
_GROUND, _GRID, _INK = (24, 24, 28), (64, 64, 70), (235, 235, 235)
_PATH, _START, _LINES = (80, 160, 255), (255, 140, 60), ((120, 220, 120), (240, 200, 80),
                                                          (230, 110, 180))


def debug_picture(interface: Interface, pixels: Pixels, plan: Plan) -> Pixels:
    """Return a picture (height, width, channels) in colour, enlarged, with the plan beside it."""
    from PIL import Image, ImageDraw

    factor = max(1, _HEIGHT // pixels.shape[0])
    coloured = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    seen = coloured.repeat(factor, axis=0).repeat(factor, axis=1)
    height = seen.shape[0]
    side = 2 * height // 3
    panel = Image.new('RGB', (side, height), _GROUND)
    draw = ImageDraw.Draw(panel)
    chunk = plan.chunk.astype(np.float64)
    pose = next((signal for signal in interface.actions if signal.kind == 'pose'), None)
    if pose is not None:
        path_m = chunk[:, interface.action_slices[pose.key]][:, :2]
        _draw_path(draw, path_m, side)
    # The widths, or with a contract that commands joints those as well.
    others = [(signal.key, chunk[:, interface.action_slices[signal.key]])
              for signal in interface.actions if signal is not pose]
    top = 0 if pose is None else side
    for i, (key, rows) in enumerate(others):
        room = (height - top) // len(others)
        _draw_lines(draw, key, rows, top + i * room, room, side)
    return np.concatenate([seen, np.array(panel, dtype=np.uint8)], axis=1)


def picture_message(pixels: Pixels, stamp_ns: int) -> Any:
    """Return the message of a picture in colour."""
    return image(message_class, '', stamp_ns, 'rgb8', pixels)


def _draw_path(draw: 'ImageDraw.ImageDraw', path_m: Array, side: int) -> None:
    """Draw a path (N, 2) into the square of a side (px) at the top."""
    middle_m = (path_m.min(axis=0) + path_m.max(axis=0)) / 2
    length_m = max(_LEAST_M, 1.2 * float(np.ptp(path_m, axis=0).max()))

    def placed(points_m: Array) -> list[tuple[float, float]]:
        shares = 0.5 - (points_m - middle_m) / length_m
        return [(y * side, x * side) for x, y in shares.tolist()]

    for axis in range(2):
        first = np.ceil((middle_m[axis] - length_m / 2) / _GRID_M) * _GRID_M
        for at_m in np.arange(first, middle_m[axis] + length_m / 2, _GRID_M):
            ends = np.tile(middle_m, (2, 1)) + np.array([[-length_m], [length_m]])
            ends[:, axis] = at_m
            draw.line(placed(ends), fill=_GRID)
    draw.line(placed(path_m), fill=_PATH, width=3)
    [(x, y)] = placed(path_m[:1])
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_START)
    draw.text((4, 2), f'from above, grid {_GRID_M:g} m', fill=_INK)


def _draw_lines(draw: 'ImageDraw.ImageDraw', key: str, rows: Array, top: int, room: int,
                side: int) -> None:
    """Draw the values (N, dim) of an action over the horizon, into a strip of `room` px."""
    least, most = float(rows.min()), float(rows.max())
    draw.line((0, top, side, top), fill=_GRID)
    draw.text((4, top + 2), f'{key} {least:.3f} to {most:.3f}', fill=_INK)
    across = np.linspace(0, side - 1, len(rows))
    low, high = top + room - 4, top + min(18, room // 2)
    for i, column in enumerate(rows.T):
        shares = (column - least) / max(most - least, 1e-3)
        draw.line(list(zip(across.tolist(), (low - shares * (low - high)).tolist(), strict=True)),
                  fill=_LINES[i % len(_LINES)], width=2)
