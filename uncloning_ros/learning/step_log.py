# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in each step of a run: one CSV line and TensorBoard scalars."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter


class StepLog:
    """Append to log.csv and tensorboard/ of a run folder; a context manager.

    `start` is the step that the run goes on from: later lines, which a run that was killed
    wrote after it had last saved its state, are dropped.
    """

    def __init__(self, folder: Path, columns: Sequence[str], start: int = 0) -> None:
        self._columns = ('step', *columns)
        path = folder / 'log.csv'
        kept = [','.join(self._columns)]
        if path.is_file():
            lines = path.read_text(encoding='utf-8').splitlines()[1:]
            kept += [line for line in lines if _step_of(line) <= start]
        partial = path.with_name(path.name + '.partial')
        partial.write_text('\n'.join(kept) + '\n', encoding='utf-8')
        partial.replace(path)
        self._file = path.open('a', encoding='utf-8')
        self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write one line; a value that is None or absent leaves its field empty."""
        row = [step if name == 'step' else values.get(name) for name in self._columns]
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerow(
            [f'{value:.6g}' if isinstance(value, float) else value for value in row])
        self._file.write(text.getvalue())
        self._file.flush()
        for name, value in values.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> 'StepLog':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()
        self._board.close()


def _step_of(line: str) -> float:
    first = line.partition(',')[0]
    # A line that was cut short is not kept.
    return int(first) if first.isdigit() and line.count(',') else float('inf')
