# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models tried out in processes of their own, for a broken one may end or hang its process."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from loop_inputs import CONTRACT, Run, action, require_inside, require_reachable
from model_mutations import mutated_model

from uncloning_ros.errors import ModelError
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.inference import load_policy

CYCLES = 60  # that a model drives the loop for if it loads
HANGS_S = 60.0  # a model that keeps its process for longer is a failure, as is one that ends it


def tried(path: Path) -> str:
    """Load a model and let it drive the loop; return 'refused', 'commanded' or 'faulted'.

    Raise whatever is not the package's own refusal, and for any command that is not allowed.
    """
    try:
        policy = load_policy(path)
        policy.warm_up()
    except ModelError as err:
        return 'refused' if ';' in str(err) else f'refused without a remedy: {err}'
    contract = policy.contract
    run, previous = Run(policy, contract=contract), action(0.4)
    for _ in range(CYCLES):
        decision = run.step()
        assert decision.reason and decision.sentence
        if decision.command is not None:
            require_inside(decision.command, contract)
            if decision.state is State.ACTIVE:
                require_reachable(previous, decision.command, contract)
            previous = decision.command
        if decision.state is State.FAULT:
            return 'faulted'
    assert run.loop.state is State.ACTIVE, decision
    return 'commanded'


def serve(connection: Connection, folder: Path) -> None:
    """Try the models of the seeds that come, until there are no more."""
    while (seed := connection.recv()) is not None:
        what, data = mutated_model(seed, CONTRACT)
        path = folder / f'{seed}.onnx'
        path.write_bytes(data)
        try:
            connection.send((seed, what, tried(path)))
        except Exception as err:  # noqa: BLE001 - told as what it is: a failure
            connection.send((seed, what, f'{type(err).__name__}: {err}'))
        path.unlink()


class Child:
    """A process that tries one model after the other, and is replaced when it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context('spawn')
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, seed: int) -> None:
        self.seed = seed
        self.connection.send(seed)

    def answer(self) -> tuple[int, str, str]:
        """Return what came of the seed that was asked for."""
        try:
            return self.connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._begin()
            return self.seed, mutated_model(self.seed, CONTRACT)[0], f'ended the process: {code}'

    def give_up(self) -> tuple[int, str, str]:
        """Return that the seed that was asked for hangs; go on with another process."""
        self._process.kill()
        return self.answer()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def try_all(children: Sequence[Child], seeds: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return what was done to each seed's model, and what came of it."""
    waiting, found = list(reversed(seeds)), {}
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
            seed, what, outcome = child.answer() if ready else child.give_up()
            found[seed] = (what, outcome)
            give(child)
    return found
