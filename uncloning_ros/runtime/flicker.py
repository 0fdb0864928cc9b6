# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notice a complaint that comes and goes: state and reason must not flap with it."""

from collections.abc import Sequence
from dataclasses import replace

from uncloning_ros.runtime.watchdog import Complaint


class Flicker:
    """Keep a complaint that came back until it has stayed away for `calm_ns`."""

    def __init__(self, calm_ns: int) -> None:
        self._calm_ns = calm_ns
        self.reset()

    def reset(self) -> None:
        """Forget every complaint."""
        self._last: Complaint | None = None
        self._seen_ns = 0
        self._away = self._flickers = False

    def lasting(self, complaints: Sequence[Complaint], now_ns: int,
                step_ns: int) -> Complaint | None:
        """Return the first complaint of a cycle, or the one that flickers; None without either.

        `now_ns` is known to `step_ns` only.
        """
        if complaints:
            self._flickers |= self._away
            self._last, self._seen_ns, self._away = complaints[0], now_ns, False
        elif self._last is not None:
            self._away = True
            if now_ns - self._seen_ns - step_ns >= self._calm_ns:
                self.reset()
        if complaints or self._last is None or not self._flickers:
            return complaints[0] if complaints else None
        return replace(self._last, sentence=f'{self._last.sentence}; the complaint comes and goes')
