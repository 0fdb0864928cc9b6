# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write files: nothing is overwritten unasked, and a file is whole or absent."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uncloning_ros.errors import OutputExistsError, UncloningError

LFS_POINTER = b'version https://git-lfs'  # first bytes of a file that Git LFS has not fetched


def require_new(path: Path) -> Path:
    """Return `path` if nothing is there yet, not even a broken link, and it can be made."""
    if os.path.lexists(path):
        raise OutputExistsError(f'{path} exists already and is never overwritten; '
                                f'give another name or move it away')
    require_folder(path.parent, f'cannot write {path}', UncloningError)
    return path


def require_folder(folder: Path, attempt: str, error: type[UncloningError],
                   remedy: str = 'give another path') -> None:
    """Raise `error` with the attempt unless `folder`, which may be missing, takes new files."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not there.is_dir():
        raise error(f'{attempt}: {there} is not a folder; {remedy}')
    if not os.access(there, os.W_OK | os.X_OK):
        raise error(f'{attempt}: {there} is not writable; allow it, or {remedy}')


@contextlib.contextmanager
def disk_errors(attempt: str, error: type[UncloningError], remedy: str = '') -> Iterator[None]:
    """Raise `error` with the attempt, as in 'cannot list demos', for an `OSError` inside."""
    try:
        yield
    except OSError as err:
        raise error(_with(f'{attempt}: {err.strerror or err}', remedy)) from err


def read_bytes(path: Path, error: type[UncloningError], remedy: str = '',
               most_bytes: int | None = None) -> bytes:
    """Return the contents of a file of at most `most_bytes`; raise `error` with the remedy."""
    with disk_errors(f'cannot read {path}', error, remedy or 'check the path'), \
            path.open('rb') as file:
        data = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(data) > most_bytes:
        raise error(f'{path}: expected at most {most_bytes} bytes, got more; check the path')
    require_fetched(data, path, error)
    return data


def require_fetched(begin: bytes, path: Path, error: type[UncloningError]) -> None:
    """Raise `error` if a file begins as a pointer in its place that Git LFS left."""
    if begin.startswith(LFS_POINTER):
        raise error(f'{path}: expected the file itself, got a Git LFS pointer to it; fetch it '
                    f'with git lfs pull')


def parse_json(data: bytes | str, where: Path | str, error: type[UncloningError],
               remedy: str = '') -> Any:
    """Return the JSON in `data`; raise `error` with `where` and the remedy if it is not JSON.

    A key that is given twice is refused: of two values one would be lost in silence.
    """
    try:
        return json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as err:
        raise error(_with(f'{where} is not JSON: {err}', remedy)) from err


def read_json(path: Path, error: type[UncloningError], remedy: str = '',
              most_bytes: int | None = None) -> Any:
    """Return the JSON in a file of at most `most_bytes`; raise `error` with the remedy."""
    return parse_json(read_bytes(path, error, remedy, most_bytes), path, error, remedy)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the temporary name of a file that takes its place at `path` if all goes well.

    The name is unique, so two runs do not write into each other's file. A missing
    folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as err:
        if err.filename in (None, name, partial):  # none if the open file refuses more bytes
            err.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that takes its place at `folder` if all goes well, else goes."""
    partial = folder.with_name(folder.name + '.partial')
    try:
        partial.mkdir(parents=True)
    except FileExistsError as err:
        raise OutputExistsError(f'{partial} is there: another run writes it, or one was killed '
                                f'amid it; wait for its end, or remove it') from err
    try:
        yield partial
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write one file whole or not at all, in place of one that may be there."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


def write_lasting(path: Path, data: bytes) -> None:
    """Write one file as `write_whole` does, and wait until the disk has it."""
    with whole_file(path) as partial, partial.open('wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write one JSON file whole or not at all, in place of one that may be there."""
    text = json.dumps(data, indent=2, allow_nan=False) + '\n'
    write_whole(path, text.encode('utf-8'))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no second run works in it; raise if one does already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise UncloningError(f'another run is at work in {folder}; wait for its end, or give '
                                 f'another --out') from err
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def turn_in(folder: Path) -> Iterator[None]:
    """Wait until no other thread or process has its turn in a folder, made if missing; hold it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with(sentence: str, remedy: str) -> str:
    return f'{sentence}; {remedy}' if remedy else sentence


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is not a number')


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'key {twice!r} is given twice')
    return found


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
