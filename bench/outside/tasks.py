# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks by name, and the seeds at which a user's rolls begin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from outside.push_t import PushT
from outside.push_wall import PushWall
from outside.routes import Routes
from outside.task import Task


@dataclass(frozen=True)
class Known:
    """A task: how it is opened with the file of its data, its modes, and a first seed.

    `needs_data` tells that demonstrations need a file, `rolls_need_data` that start states do.
    """

    open: Callable[[Path | None], Task]
    modes: tuple[str, ...]
    seed: int
    needs_data: bool
    rolls_need_data: bool = False


TASKS: Mapping[str, Known] = {
    'push_t': Known(PushT, PushT.modes, 100_000, needs_data=True),
    'push_wall': Known(PushWall, PushWall.modes, 12_345, needs_data=True, rolls_need_data=True),
    'routes': Known(Routes, Routes.modes, 0, needs_data=False),
}
