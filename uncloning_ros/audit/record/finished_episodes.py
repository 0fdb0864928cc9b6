# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the finished episodes of an audit on disk, so that --resume continues it.

One JSON object in a line: first the setting and the machine, then an episode each, in the order
in which they finished. A line that a crash cut off is left out when the file is read. Each episode
is a function of the first line and of its seed, so a resumed audit writes the same bytes as one
that was not interrupted.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class _Line:
    model_sha256: str
    episode: EpisodeResult


class FinishedEpisodes:
    """The finished episodes in an open file; `done` has them by sha256 of the model and seed."""

    def __init__(self, path: Path, file: BinaryIO, header: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[tuple[str, int], EpisodeResult] = {}
        self._file = file
        file.seek(0)
        # A text after the last end of line was cut off by a crash.
        *lines, _ = file.read().split(b'\n')
        file.truncate(sum(len(line) + 1 for line in lines))
        if not lines:
            self._write(header)
            return
        places = [f'{path}, line {i}' for i in range(1, len(lines) + 1)]
        first, *entries = [parse_json(line, place, AuditError, _REMEDY)
                           for line, place in zip(lines, places, strict=True)]
        self._require_same(first, header)
        for entry, place in zip(entries, places[1:], strict=True):
            one = read(_Line, entry, place, AuditError)
            self.done[one.model_sha256, one.episode.seed] = one.episode

    def add(self, model_sha256: str, result: EpisodeResult) -> None:
        """Keep one finished episode."""
        # In this order: after Ctrl-C between the two a file without episodes would be removed.
        self.done[model_sha256, result.seed] = result
        self._write(plain(_Line(model_sha256, result)))

    def finish(self) -> None:
        """Remove the file, once its episodes are written elsewhere."""
        self.path.unlink(missing_ok=True)

    def _require_same(self, first: Any, header: Mapping[str, Any]) -> None:
        said = first if isinstance(first, dict) else {}
        for key, value in header.items():
            if said.get(key) != value:
                raise AuditError(f'{self.path} belongs to another audit: its {key} is '
                                 f'{said.get(key)}, not {value}; repeat the command that '
                                 f'began it, or move it away')

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b'\n')
        self._file.flush()


@contextlib.contextmanager
def finished_episodes(path: Path, setting: Mapping[str, Any],
                      resume: bool) -> Iterator[FinishedEpisodes]:
    """Open the file of finished episodes; in the end it is removed if there are none.

    An episode depends on `setting` and its seed alone. Raise `AuditError` for a file that was not
    asked for with `resume`, that another audit writes, that has another setting, or is damaged.
    """
    if resume and not path.exists():
        raise AuditError(f'expected episodes of an interrupted command in {path}, got nothing; '
                         f'repeat that command, or leave --resume out')
    if path.exists() and not resume:
        raise AuditError(f'{path} holds episodes of an interrupted command; continue it with '
                         f'the same command and --resume, or move it away')
    with path.open('a+b') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise AuditError(f'another audit writes to {path}; wait for its end, or give other '
                             f'names') from err
        finished = FinishedEpisodes(path, file, {'schema': SCHEMA, **setting})
        try:
            yield finished
        finally:
            if not finished.done:
                finished.finish()
