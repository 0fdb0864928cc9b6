# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where incidents are written to, and how many at most."""

import os
import time
from pathlib import Path

from uncloning_ros.errors import IncidentError
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident import Incident, write_incident

# A tracker that flickers must not fill the disk.
HOLD_EVERY_S = 10.0
MOST_FILES = 100


class IncidentFiles:
    """Write incidents into one folder, which is made when it is needed.

    Of its own accord a node writes one file every `HOLD_EVERY_S` at most, and `MOST_FILES` in
    its life, of which `left` are left. A FAULT does not wait for its turn: it is what people will
    ask about, and it needs a person before there can be another one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held_s: float | None = None
        self.left = MOST_FILES

    def require_usable(self) -> None:
        """Raise `IncidentError` if the folder is none, or cannot be made or written to."""
        there = next(path for path in (self._folder, *self._folder.absolute().parents)
                     if os.path.exists(path))
        if not there.is_dir():
            raise IncidentError(f'incidents cannot be written to {self._folder}: {there} is no '
                                f'folder; name another one with incident_dir')
        if not os.access(there, os.W_OK | os.X_OK):
            raise IncidentError(f'incidents cannot be written to {self._folder}: {there} may not '
                                f'be written to; allow it, or name another folder with '
                                f'incident_dir')

    def write(self, incident: Incident, reason: str, wall_s: float) -> Path:
        """Write a file whose name has the time and the reason; return its path.

        Raise `UncloningError` or `OSError`.
        """
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(wall_s))
        name = f'{stamp}_{int(wall_s * 1000) % 1000:03d}_{reason}.npz'
        return write_incident(incident, self._folder / name)

    def write_some(self, incident: Incident, state: State, reason: str, wall_s: float,
                   now_s: float) -> Path | None:
        """Write a file if it is its turn; `now_s` is on a clock that never jumps.

        What cannot be written takes nobody's turn. Raise as `write` does.
        """
        held = state is State.HOLD
        if self.left == 0 or (held and self._held_s is not None
                              and now_s - self._held_s < HOLD_EVERY_S):
            return None
        path = self.write(incident, f'{state.value}_{reason}', wall_s)
        self.left -= 1
        if held:
            self._held_s = now_s
        return path
