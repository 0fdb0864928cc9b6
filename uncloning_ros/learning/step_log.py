# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Log of a training loop: CSV lines and TensorBoard scalars by step."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from uncloning_ros.files import write_whole


class StepLog:
    """Append to log.csv and tensorboard/ of a run folder; a context manager.

    `start` is the step that the run goes on from. Later lines are dropped: a killed run wrote
    them after its last save.
    """

    def __init__(self, folder: Path, columns: Sequence[str], start: int = 0) -> None:
        path = folder / 'log.csv'
        kept = [','.join(('step', *columns))]
        if path.is_file():
            lines = path.read_text(encoding='utf-8').splitlines()[1:]
            kept += [line for line in lines if _step_of(line) <= start]
        write_whole(path, ('\n'.join(kept) + '\n').encode())
        self._file = path.open('a', encoding='utf-8')
        self._lines = csv.DictWriter(self._file, ('step', *columns), lineterminator='\n')
        self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write one line; a value that is None or absent leaves its field empty."""
        known = {name: value for name, value in values.items() if value is not None}
        self._lines.writerow({'step': step} | {name: f'{known[name]:.6g}' for name in known})
        self._file.flush()
        for name, value in known.items():
            self._board.add_scalar(name, value, step)

    def __enter__(self) -> 'StepLog':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()
        self._board.close()


def _step_of(line: str) -> float:
    first = line.partition(',')[0]
    # A line that was cut short is dropped.
    return int(first) if first.isdigit() and line.count(',') else float('inf')
