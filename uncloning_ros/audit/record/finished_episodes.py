# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the finished episodes of an audit on disk, so that a stopped audit can be resumed.

One JSON object in a line: first the setting and the machine, then an episode each, in the order
in which they finished. A line that a crash cut off is left out when the file is read. Each episode
is a function of the first line and of its seed, so a resumed audit writes the same bytes as one
without a stop.
"""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from uncloning_ros.errors import AuditError
from uncloning_ros.files import parse_json
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import plain, read

SCHEMA = 'uncloning/audit-partial@1'
_REMEDY = 'move the file away and audit again'


def finished_path(output: Path) -> Path:
    """Return the path of the finished episodes of an audit that has not written `output` yet."""
    return output.with_name(f'{output.name}.partial')


class FinishedEpisodes:
    """The file of finished episodes; made when entered, removed by `finish`.

    An episode depends on `setting` and its seed alone. `done` holds the finished episodes by
    sha256 of the model and seed.
    """

    def __init__(self, path: Path, setting: Mapping[str, Any], resume: bool) -> None:
        self.path = path
        self.done: dict[tuple[str, int], EpisodeResult] = {}
        self._header = {'schema': SCHEMA, **setting}
        self._resume = resume
        self._file: BinaryIO | None = None

    def __enter__(self) -> 'FinishedEpisodes':
        if self.path.exists() and not self._resume:
            raise AuditError(f'{self.path} holds a stopped audit; continue it with the same '
                             f'command and --resume, or move it away')
        file = self.path.open('a+b')
        try:
            self._lock(file)
            self._read(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self._file is not None
        self._file.close()
        if not self.done:
            self.path.unlink(missing_ok=True)

    def add(self, model_sha256: str, result: EpisodeResult) -> None:
        """Keep one finished episode."""
        assert self._file is not None
        self._write({'model_sha256': model_sha256, 'episode': plain(result)})
        self.done[model_sha256, result.seed] = result

    def finish(self) -> None:
        """Remove the file, once its episodes are written elsewhere."""
        self.path.unlink(missing_ok=True)

    def _lock(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise AuditError(f'another audit writes to {self.path}; wait for its end, or give '
                             f'other names') from err

    def _read(self, file: BinaryIO) -> None:
        file.seek(0)
        # What follows the last end of line was cut off.
        *lines, _ = file.read().split(b'\n')
        file.truncate(sum(len(line) + 1 for line in lines))
        self._file = file
        if not lines:
            self._write(self._header)
            return
        header, *episodes = [parse_json(line, f'{self.path}, line {i}', AuditError, _REMEDY)
                             for i, line in enumerate(lines, 1)]
        self._require_same(header)
        for i, entry in enumerate(episodes, 2):
            try:
                result = read(EpisodeResult, entry['episode'], f'{self.path}, line {i}',
                              AuditError)
                self.done[str(entry['model_sha256']), result.seed] = result
            except (KeyError, TypeError, AuditError) as err:
                raise AuditError(f'{self.path}, line {i} is not an episode ({err}); '
                                 f'{_REMEDY}') from err

    def _require_same(self, header: Any) -> None:
        said = header if isinstance(header, dict) else {}
        for key, value in self._header.items():
            if said.get(key) != value:
                raise AuditError(f'{self.path} belongs to another audit: its {key} is '
                                 f'{said.get(key)}, not {value}; repeat the command that '
                                 f'began it, or move it away')

    def _write(self, entry: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b'\n')
        self._file.flush()
