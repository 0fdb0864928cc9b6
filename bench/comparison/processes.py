# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run commands that make a file, one process at a time for each file, and note their times.

Beside a file `made` lie `made.log` with the output of its commands and `made.times` with one line
of wall and processor time for each start.

A `Pool` makes the records of several cases at the same time, each in a process of its own.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison.plan import Case
from uncloning_ros.errors import UncloningError

STOPPED = 130  # exit status on Ctrl-C
BENCH = Path(__file__).resolve().parents[1]
_POLL_S = 0.2  # time between two looks at the workers


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


@dataclass(frozen=True)
class _Worker:
    case: Case
    process: subprocess.Popen[bytes]
    out: Path
    log: Path


class Pool:
    """Makes records in processes of one thread each, at most `most` of them at the same time.

    `take()` returns the next case with its command, which writes the record to the file of its
    `--out`, or None where no case can start now; `done(case, record)` takes a record and tells
    whether the case failed. Records and logs lie in the folder `records` meanwhile.
    """

    def __init__(self, records: Path, most: int,
                 take: Callable[[], tuple[Case, Sequence[str]] | None],
                 done: Callable[[Case, dict[str, Any]], bool]) -> None:
        self.records, self.most, self.take, self.done = records, most, take, done

    def run(self) -> int:
        """Make cases until no more can start; return how many failed or were lost."""
        workers, failed = list[_Worker](), 0
        try:
            while True:
                while len(workers) < self.most and (found := self.take()):
                    workers.append(self._start(*found))
                if not workers:
                    return failed
                for worker in [one for one in workers if one.process.poll() is not None]:
                    workers.remove(worker)
                    failed += self._end(worker)
                time.sleep(_POLL_S)
        finally:
            _stop(workers)

    def _start(self, case: Case, command: Sequence[str]) -> _Worker:
        name = case.key.replace('/', '-')
        out, log = (self.records / f'{name}.{kind}' for kind in ('json', 'log'))
        log.parent.mkdir(exist_ok=True)
        out.unlink(missing_ok=True)
        one_thread = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'),
                                   '1')
        with log.open('ab') as output:
            # In a session of its own, so that Ctrl-C reaches each process once.
            process = subprocess.Popen([*command, '--out', str(out)], cwd=BENCH, stdout=output,
                                       stderr=output, env=os.environ | one_thread,
                                       start_new_session=True)
        print(f'starts  {case.key}', flush=True)
        return _Worker(case, process, out, log)

    def _end(self, worker: _Worker) -> bool:
        """Hand over the record of a worker that ended; return whether the case failed."""
        if worker.process.returncode == STOPPED:
            raise KeyboardInterrupt
        if worker.process.returncode or not worker.out.exists():
            # No record: the next run makes the case again.
            print(f'LOST    {worker.case.key}: its process ended with status '
                  f'{worker.process.returncode}; see {worker.log}', flush=True)
            return True
        failed = self.done(worker.case, json.loads(worker.out.read_text(encoding='utf-8')))
        worker.out.unlink()
        return failed


def _stop(workers: Sequence[_Worker]) -> None:
    """Interrupt the workers as Ctrl-C does, and wait for them."""
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGINT)
    for worker in workers:
        worker.process.wait()
