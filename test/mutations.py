# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutate inputs of every kind; each has to end in a sentence or in a right result.

    python test/mutations.py --count 10000 --seed 7
    python test/mutations.py --seed 7 --kind Bag --only 123     (one that failed, with traceback)

Every mutation is a function of kind, seed and number. It is read in a process of its own kind of
worker, so one that ends or hangs its process is a failure of that input alone.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / 'unit'))

import mutated_bags
import mutated_files
import mutated_loops
import mutated_trials
from mutation_kind import REFUSED, Kind, try_one

KINDS: dict[str, type[Kind]] = {kind.__name__: kind for kind in (
    *mutated_bags.KINDS, *mutated_files.KINDS, *mutated_loops.KINDS,
    *mutated_trials.KINDS)}
HANGS_S = 60.0  # an input that keeps its process for longer is a failure, as one that ends it
MOST_BYTES = 16 * 2**30  # address space of a process: an input must not use up the machine
FAILED = 'failed: '


@dataclass
class Tally:
    """The ends of the mutations of one kind; `failures` are sentences by number."""

    ends: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)


def run(kinds: Sequence[str], count: int, seed: int, workers: int = 2) -> dict[str, Tally]:
    """Try `count` mutations in all, of each kind its share; return the ends by kind."""
    found = {}
    for name, share in shares(kinds, count).items():
        with tempfile.TemporaryDirectory(prefix='mutations_') as folder:
            found[name] = _run_kind(name, seed, range(share), workers, Path(folder))
    return found


def shares(kinds: Sequence[str], count: int) -> dict[str, int]:
    """Return how many of `count` mutations each kind has, at least one."""
    total = sum(KINDS[name].weight for name in kinds)
    return {name: max(1, round(count * KINDS[name].weight / total)) for name in kinds}


def _run_kind(name: str, seed: int, numbers: Sequence[int], workers: int,
              folder: Path) -> Tally:
    children = [Child(name, seed, folder / f'{i}') for i in range(min(workers, len(numbers)))]
    tally = Tally()
    try:
        for number, end in try_all(children, numbers):
            if end.startswith(FAILED):
                tally.failures[number] = end.removeprefix(FAILED)
            else:
                tally.ends[end] += 1
    finally:
        for child in children:
            child.end()
    return tally


def serve(connection: Connection, name: str, seed: int, folder: Path) -> None:
    """Try the mutations of the numbers that come, until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    kind = KINDS[name](folder)
    while (number := connection.recv()) is not None:
        try:
            connection.send((number, try_one(kind, seed, number)))
        except Exception as err:  # noqa: BLE001 - told as what it is: a failure
            place = traceback.extract_tb(err.__traceback__)[-1]
            where = f'{Path(place.filename).name}:{place.lineno}'
            connection.send((number, f'{FAILED}{type(err).__name__} in {where}: {err!s:.400}'))


class Child:
    """A process that tries one mutation after the other, and is replaced when it ends."""

    def __init__(self, name: str, seed: int, folder: Path) -> None:
        self._name, self._seed, self._folder = name, seed, folder
        self._begun = 0
        self.number = -1
        self._begin()

    def _begin(self) -> None:
        self._begun += 1
        folder = self._folder / f'{self._begun}'
        folder.mkdir(parents=True)
        context = multiprocessing.get_context('spawn')
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, daemon=True,
                                        args=(theirs, self._name, self._seed, folder))
        self._process.start()
        theirs.close()

    def ask(self, number: int) -> None:
        """Have the process try a mutation."""
        self.number = number
        self.connection.send(number)

    def answer(self) -> tuple[int, str]:
        """Return the end of the mutation that was asked for."""
        try:
            return self.connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._begin()
            return self.number, f'{FAILED}it ended the process: {code}'

    def give_up(self) -> tuple[int, str]:
        """Return that the mutation hangs; go on with another process."""
        self._process.kill()
        return self.answer()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def try_all(children: Sequence[Child], numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield each number with the end of its mutation, in the order in which they end."""
    waiting = list(reversed(numbers))
    busy: dict[Any, Child] = {}

    def give(child: Child) -> None:
        if waiting:
            child.ask(waiting.pop())
            busy[child.connection] = child

    for child in children:
        give(child)
    while busy:
        ready = wait(list(busy), HANGS_S)
        for child in [busy.pop(connection) for connection in ready or list(busy)]:
            yield child.answer() if ready else child.give_up()
            give(child)


def table(found: dict[str, Tally], seed: int) -> str:
    """Return the ends by kind as a table, then every failure with the command that repeats it."""
    rows = [('kind', 'mutations', 'refused', 'right result', 'failures', 'read by')]
    failures = []
    for name, tally in found.items():
        total = tally.ends.total() + len(tally.failures)
        refused = sum(tally.ends[end] for end in REFUSED)
        rows.append((name, str(total), str(refused), str(tally.ends.total() - refused),
                     str(len(tally.failures)), KINDS[name].reader))
        failures += [f'{name} {number}: {sentence}\n  python test/mutations.py --seed {seed} '
                     f'--kind {name} --only {number}'
                     for number, sentence in sorted(tally.failures.items())]
    rows.append(('all', *(str(sum(int(row[i]) for row in rows[1:])) for i in range(1, 5)), ''))
    lines = [f'{row[0]:<15}' + ''.join(f'{cell:>13}' for cell in row[1:5]) + f'  {row[5]}'
             for row in rows]
    return '\n'.join([*(line.rstrip() for line in lines), *failures])


def main(words: Sequence[str] | None = None) -> int:
    """Run the mutations that the command line asks for; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=10_000, help='mutations of all kinds')
    parser.add_argument('--seed', type=int, default=7)
    parser.add_argument('--kind', choices=KINDS, action='append', help='may be repeated')
    parser.add_argument('--only', type=int, metavar='NUMBER', help='one mutation, in this process')
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args(words)
    kinds = args.kind or [*KINDS]
    if args.only is not None:
        for name in kinds:
            with tempfile.TemporaryDirectory(prefix='mutations_') as folder:
                print(name, try_one(KINDS[name](Path(folder)), args.seed, args.only))
        return 0
    found = run(kinds, args.count, args.seed, args.workers)
    print(table(found, args.seed))
    return int(any(tally.failures for tally in found.values()))


if __name__ == '__main__':
    sys.exit(main())
