# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress on the terminal: one bar for every command, gone before an error is printed."""

import sys
from types import TracebackType

from tqdm import tqdm


class _Bar(tqdm):
    """A bar that Ctrl-C leaves where it stood, and an error takes away."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and sys.stderr.isatty():
            self.leave = False
        super().__exit__(kind, error, trace)


def progress_bar(what: str, total: int | None = None, unit: str = 'episode',
                 done: int = 0, delay_s: float = 0.0) -> tqdm:
    """Return a progress bar on stderr, shown after a delay.

    In a log file it writes a line every ten seconds.
    """
    terminal = sys.stderr.isatty()
    return _Bar(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=terminal,
                mininterval=0.2 if terminal else 10.0, delay=delay_s)
