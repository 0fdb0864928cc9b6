# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run commands that make a file, one process at a time for each file, and note their times.

Beside a file `made` lie `made.log` with the output of its commands and `made.times` with one line
of wall and processor time for each start.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from uncloning_ros.errors import UncloningError

STOPPED = 130  # exit status on Ctrl-C
BENCH = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def locked(made: Path) -> Iterator[None]:
    """Hold the lock of a file while it is made."""
    lock = made.with_name(f'.{made.name}.lock')
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open('wb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_command(made: Path, words: Sequence[str], resumable: bool = False) -> None:
    """Run an `uncloning` command as `run_process` does."""
    run_process(made, [sys.executable, '-m', 'uncloning_ros.cli.main', *words], resumable)


def run_process(made: Path, command: Sequence[str], resumable: bool = False) -> None:
    """Run a command and note its time; raise `UncloningError` with its last line if it fails.

    The time of a failed or interrupted run counts where the command is `resumable`.
    """
    log = made.with_name(f'{made.name}.log')
    log.parent.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    with log.open('ab') as output:
        output.write(f'$ {" ".join(command)}\n'.encode())
        output.flush()
        status, cpu_s, interrupted = _wait(
            subprocess.Popen(command, cwd=BENCH, stdout=output, stderr=output))
    if status == 0 or resumable:
        _note(made, time.monotonic() - began_s, cpu_s)
    if interrupted or status == STOPPED:
        raise KeyboardInterrupt
    if status:
        lines = log.read_text(encoding='utf-8', errors='replace').split('\n')
        last = next((line for line in reversed(lines) if line.strip()), f'status {status}')
        raise UncloningError(last.removeprefix('uncloning: error: '))


@contextlib.contextmanager
def timed(made: Path) -> Iterator[None]:
    """Note the wall time and processor time of the block."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    yield
    _note(made, time.monotonic() - began_s, time.process_time() - cpu_s)


def total_times(made: Path) -> dict[str, float] | None:
    """Return the summed times of all starts, None without any."""
    path = _times(made)
    if not path.exists():
        return None
    lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
    return {key: round(sum(line[key] for line in lines), 2) for key in ('wall_s', 'cpu_s')}


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float, bool]:
    """Return a process's status, its processor time in s, and whether Ctrl-C was pressed.

    Ctrl-C reaches the process as well, so this waits until it has saved its state.
    """
    interrupted = False
    while True:
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            interrupted = True
            continue
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_utime + usage.ru_stime, interrupted


def _note(made: Path, wall_s: float, cpu_s: float) -> None:
    with _times(made).open('a', encoding='utf-8') as file:
        file.write(json.dumps({'wall_s': wall_s, 'cpu_s': cpu_s}) + '\n')


def _times(made: Path) -> Path:
    return made.with_name(f'{made.name}.times')
