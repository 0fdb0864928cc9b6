# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of the incident files, and the limits of their number."""

import time
from collections.abc import Callable
from pathlib import Path

from uncloning_ros.errors import IncidentError
from uncloning_ros.files import require_folder
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident import Incident, write_incident

# Least time (s) between files of a HOLD, and largest number of files that a node writes by itself:
# a flickering tracker must not fill the disk.
HOLD_EVERY_S = 10.0
MOST_FILES = 100


class IncidentFiles:
    """Write incidents into one folder, which is made for the first file.

    By itself a node writes at most one file in `HOLD_EVERY_S`, and `MOST_FILES` in its life, of
    which `left` remain. A FAULT is written at once: it will be investigated, and it takes a
    person before there can be another one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held_s: float | None = None
        self.left = MOST_FILES

    def require_usable(self) -> None:
        """Raise `IncidentError` for a folder that is a file, or cannot be made or written to."""
        require_folder(self._folder, f'incidents cannot be written to {self._folder}',
                       IncidentError, 'name another folder with incident_dir')

    def write(self, incident: Incident, reason: str, wall_s: float) -> Path:
        """Write a file named by time and reason; return its path.

        Raise `UncloningError` or `OSError`.
        """
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(wall_s))
        name = f'{stamp}_{int(wall_s * 1000) % 1000:03d}_{reason}.npz'
        return write_incident(incident, self._folder / name)

    def write_some(self, make: Callable[[], Incident], state: State, reason: str, wall_s: float,
                   now_s: float) -> Path | None:
        """Write a file unless it is one too many; return its path, None without a file.

        The incident is made for a file alone: its pictures may take much memory. `now_s` is on a
        monotonic clock. A failed attempt does not count. Raise as `write` does.
        """
        held = state is State.HOLD
        if self.left == 0 or (held and self._held_s is not None
                              and now_s - self._held_s < HOLD_EVERY_S):
            return None
        path = self.write(make(), f'{state.value}_{reason}', wall_s)
        self.left -= 1
        if held:
            self._held_s = now_s
        return path
