# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a task: its contract, its demonstrations, and the world of its episodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.errors import UncloningError
from uncloning_ros.geometry import Array

RATE_HZ = 10
HISTORY, HORIZON = 2, 16


@dataclass(frozen=True)
class Demonstration:
    """One demonstration: the values (T, dim) of each signal of the contract, by key.

    `mode` is the label, None where the demonstration shows none of the modes clearly. It is
    decided in the first `decided_s`; without that the whole demonstration shows it.
    """

    name: str
    mode: str | None
    signals: Mapping[str, Array]
    decided_s: float | None = None


@dataclass(frozen=True)
class Result:
    """The judgement of one episode; `mode` is None where it showed none of the modes."""

    mode: str | None
    completed: bool
    unsafe: bool


class World(Protocol):
    """A number of episodes at once, N, each with its own state."""

    def look(self) -> Array:
        """Return the observations (N, dim) of this tick."""
        ...

    def step(self, actions: Array, rng: np.random.Generator) -> None:
        """Go on by one tick with actions (N, dim)."""
        ...

    def results(self) -> list[Result]:
        """Judge the episodes as they are now."""
        ...


class Task(Protocol):
    """A task, opened with the file of its data where it has one."""

    contract: Contract

    @property
    def name(self) -> str:
        """Return the name by which commands know the task."""
        ...

    @property
    def modes(self) -> tuple[str, ...]:
        """Return the modes in the order of the contract."""
        ...

    @property
    def ticks(self) -> int:
        """Return the length of an episode."""
        ...

    @property
    def digest(self) -> str:
        """Return the sha256 of all that the demonstrations follow from."""
        ...

    def demonstrations(self) -> Iterator[Demonstration]:
        """Yield the demonstrations, always the same ones."""
        ...

    def world(self, episodes: int, seed: int, fixed: bool, rng: np.random.Generator) -> World:
        """Return episodes at start states that follow from a seed; with `fixed` at one alone."""
        ...


@dataclass(frozen=True)
class Port:
    """One signal of a contract and its topic; names for a vector in m, none for a pose."""

    key: str
    topic: str
    type: str
    names: tuple[str, ...] = ()

    @property
    def signal(self) -> dict[str, Any]:
        """Return the signal as a contract has it."""
        if not self.names:
            return {'key': self.key, 'kind': 'pose', 'unit': 'm'}
        return {'key': self.key, 'kind': 'vector', 'unit': 'm', 'names': list(self.names)}


def contract_of(observations: Sequence[Port], action: Port, modes: Mapping[str, bool],
                execute: int, ticks: int, limits: Mapping[str, Any]) -> Contract:
    """Return the contract of a task; `modes` says by name which are desired.

    Episodes last `ticks`. The worlds here have bounds of their own: only a policy node that runs
    the task elsewhere holds commands to the `limits`.
    """
    framed = {} if action.names else {'base_frame': 'world'}
    return contract_from_dict({
        'schema': 'uncloning/contract@1',
        'interface': {**framed, 'observations': [one.signal for one in observations],
                      'actions': [action.signal],
                      'modes': {name: {'desired': desired} for name, desired in modes.items()}},
        'policy': {'rate_hz': RATE_HZ, 'history': HISTORY, 'horizon': HORIZON,
                   'execute': execute},
        'deployment': {
            'command_rate_hz': RATE_HZ,
            'observations': {one.key: {'topic': one.topic, 'type': one.type, 'max_age_s': 0.3}
                             for one in observations},
            'actions': {action.key: {'topic': action.topic, 'type': action.type}},
            'limits': limits if not action.names else {'vectors': {action.key: limits}},
            'episode_end': {'max_episode_s': ticks / RATE_HZ}}})


def given(data: Path | None, task: str) -> Path:
    """Return the file of a task's data; raise `UncloningError` if none was given."""
    if data is None:
        raise UncloningError(f'{task} needs the file of its demonstrations; give it with --data '
                             f'FILE (docs/outside.md tells where it comes from)')
    return data
