# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where incidents are written to, and how many at most."""

import time
from pathlib import Path

from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident import Incident, write_incident

# A tracker that flickers must not fill the disk.
HOLD_EVERY_S = 10.0
MOST_FILES = 100


class IncidentFiles:
    """Write incidents into one folder, which is made when it is needed.

    Of its own accord a node writes one file every `HOLD_EVERY_S` at most, and `MOST_FILES` in
    its life. A FAULT does not wait for its turn: it is what people will ask about, and it needs
    a person before there can be another one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0
        self._held_s: float | None = None

    def write(self, incident: Incident, reason: str, wall_s: float) -> Path:
        """Write a file whose name has the time and the reason; return its path.

        Raise `UncloningError` or `OSError`.
        """
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(wall_s))
        name = f'{stamp}_{int(wall_s * 1000) % 1000:03d}_{reason}.npz'
        return write_incident(incident, self._folder / name)

    def write_some(self, incident: Incident, state: State, reason: str, wall_s: float,
                   now_s: float) -> Path | None:
        """Write a file if it is its turn; `now_s` is on a clock that never jumps."""
        held = state is State.HOLD
        if self._written >= MOST_FILES or (held and self._held_s is not None
                                           and now_s - self._held_s < HOLD_EVERY_S):
            return None
        self._written += 1
        if held:
            self._held_s = now_s
        return self.write(incident, f'{state.value}_{reason}', wall_s)
