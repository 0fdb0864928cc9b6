# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate demonstrations of every mode and record them as rosbag2 episodes.

A scripted teacher hands over in a mode that is drawn apart from the start. A take that fails is
discarded and another is made, so as many episodes are on disk as were asked for. Each is labelled
by the scenario's geometric rule, from what was recorded. Ctrl-C keeps the finished episodes; the
same command with --resume makes the rest, and the result is what it would have been.

  uncloning demos --scenario knife --episodes 400 --seed 0 --out demos/
"""

import argparse
import datetime
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, names, new_path, positive_int, seed
from uncloning_ros.contract import Contract, load_contract, with_modes
from uncloning_ros.errors import UncloningError, counted
from uncloning_ros.files import alone_in
from uncloning_ros.processes import submit, worker_pool
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.share import share_path

if TYPE_CHECKING:
    from uncloning_ros.simulation.pybullet.world import World

# Bags need dates: simulated time 0 of episode i is i minutes after this.
_EPOCH_NS = round(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()) * 10**9
_MINUTE_NS = 60 * 10**9
# Retakes have seeds far away from every first take, so that an audit can use the next numbers.
_RETAKE_SEEDS = 10_000_000
_TAKES = 'episode_*.partial'  # those that were left open
_ATTEMPTS = 10  # a teacher who fails so often in a row cannot do it at all


@dataclass(frozen=True)
class _Job:
    """What every worker needs to know; the same for all episodes."""

    scenario: str
    contract: Contract
    modes: tuple[str, ...]
    seed: int
    out: Path


@dataclass(frozen=True)
class _Made:
    """One finished episode."""

    name: str
    mode: str
    labelled: str | None
    discarded: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--episodes', required=True, type=positive_int, metavar='N',
                        help='how many demonstrations')
    parser.add_argument('--seed', type=seed, default=0, metavar='N',
                        help='seed of the first episode, the next has the next seed '
                             '(default: %(default)s)')
    parser.add_argument('--only-modes', type=names, metavar='MODE[,MODE]',
                        help='demonstrate these modes alone (default: all, evenly)')
    parser.add_argument('--contract', type=Path, metavar='FILE',
                        help='contract to record by (default: the shipped contract.yaml with '
                             "the scenario's modes)")
    parser.add_argument('--out', required=True, type=Path, metavar='DIR',
                        help='folder for the episodes')
    parser.add_argument('--resume', action='store_true',
                        help='make the episodes that are still missing in --out')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Make the demonstrations; return 0."""
    from tqdm import tqdm

    from uncloning_ros.demos.bags.layout import episode_name
    from uncloning_ros.simulation.interface import require_simulable, require_teachable

    scenario = find_scenario(args.scenario)
    contract = _contract(args.contract, scenario)
    modes = contract.interface.require_modes(args.only_modes or tuple(scenario.modes))
    require_simulable(contract.interface)
    require_teachable(contract.interface)
    if not args.resume:
        new_path(args.out)
    job = _Job(args.scenario, contract, modes, args.seed, args.out)
    args.out.mkdir(parents=True, exist_ok=args.resume)
    made: list[_Made] = []
    with alone_in(args.out):
        missing = [index for index in range(args.episodes)
                   if not (args.out / episode_name(index)).exists()]
        _require_same_session(args.out, _session(scenario, args.seed))
        _sweep(args.out)
        futures: list[Future[_Made]] = []
        try:
            with (worker_pool(min(args.workers, len(missing)) or 1, 'the simulation',
                              UncloningError, _begin, job) as pool,
                  tqdm(total=len(missing), unit='episode', desc='demonstrations') as bar):
                futures = submit(pool, _make, missing)
                for future in as_completed(futures):
                    made.append(future.result())
                    bar.update()
        except KeyboardInterrupt:
            _sweep(args.out)
            complete = sum(one.done() and not one.cancelled() for one in futures)
            print(f'\nstopped: {complete} new episodes are complete in {args.out}; '
                  f'go on with the same command and --resume')
            return 130
    _tell(made, args, scenario)
    return 0


def _contract(path: Path | None, scenario: Scenario) -> Contract:
    """Return the contract of a file, or the shipped one with the modes of the scenario."""
    if path is not None:
        return load_contract(path)
    return with_modes(load_contract(share_path('config') / 'contract.yaml'), scenario.desired)


def _session(scenario: Scenario, first_seed: int) -> str:
    return f'{scenario.name}-{first_seed}'


def _require_same_session(out: Path, session: str) -> None:
    """Refuse to mix episodes of another scenario or seed into those that are there."""
    from uncloning_ros.demos.bags.layout import list_episodes
    from uncloning_ros.demos.bags.reader import read_episode, unfinished_session

    sessions = [read_episode(path).metadata.session for path in list_episodes(out)[:1]]
    sessions += [unfinished_session(path) or session for path in out.glob(_TAKES)]
    for found in sessions:
        if found != session:
            raise UncloningError(f'{out} holds episodes of session {found!r}, expected '
                                 f'{session!r}; resume with the scenario and seed it was begun '
                                 f'with, or give another --out')


def _sweep(out: Path) -> None:
    """Remove takes that a stopped run of this command left open."""
    import shutil

    for path in out.glob(_TAKES):
        shutil.rmtree(path)


def _tell(made: list[_Made], args: argparse.Namespace, scenario: Scenario) -> None:
    counts = Counter(one.mode for one in made)
    shares = ', '.join(f'{counts[mode]} {mode}' for mode in scenario.modes if counts[mode])
    print(f'{counted(len(made), "episode")} in {args.out}: {shares or "nothing was missing"}')
    discarded = sum(one.discarded for one in made)
    if discarded:
        print(f'{counted(discarded, "failed take")} discarded and made anew')
    odd = [one for one in made if one.labelled != one.mode]
    for one in odd[:5]:
        print(f'{one.name}: asked for {one.mode}, the rule says {one.labelled or "nothing"}')
    if len(odd) > 5:
        print(f'... and {len(odd) - 5} more')


_job_here: _Job | None = None
_make_episode: Callable[[int], _Made] | None = None


def _begin(job: _Job) -> None:
    """Prepare a worker process; what can fail waits for the first task, which can report it."""
    global _job_here
    _job_here = job


def _make(index: int) -> _Made:
    global _make_episode
    if _make_episode is None:
        assert _job_here is not None
        _make_episode = _maker(_job_here)
    return _make_episode(index)


def _maker(job: _Job) -> Callable[[int], _Made]:
    """Return what makes episode by episode, in one world for all of them."""
    from uncloning_ros.simulation.pybullet.world import World

    scenario = find_scenario(job.scenario)
    world = World(scenario, job.contract.interface)
    return lambda index: _episode(job, scenario, world, index)


def _episode(job: _Job, scenario: Scenario, world: 'World', index: int) -> _Made:
    """Make episode `index`, trying further seeds until a take completes in the asked mode."""
    import numpy as np

    import uncloning_ros
    from uncloning_ros.demos.bags.episode import EpisodeMetadata
    from uncloning_ros.demos.bags.labels import add_label
    from uncloning_ros.demos.bags.layout import episode_name
    from uncloning_ros.demos.bags.reader import read_episode
    from uncloning_ros.demos.bags.writer import EpisodeWriter
    from uncloning_ros.demos.labelling.rule import label_of_rule, rule_label
    from uncloning_ros.judging.episode import judge
    from uncloning_ros.simulation.demonstration import demonstrate
    from uncloning_ros.simulation.demonstrator import Demonstrator

    contract, path = job.contract, job.out / episode_name(index)
    # A stream of its own, so that the mode says nothing about the start.
    mode = str(np.random.default_rng((job.seed, index, 0xA)).choice(job.modes))
    begin_ns = _EPOCH_NS + index * _MINUTE_NS
    for attempt in range(_ATTEMPTS):
        take_seed = job.seed + index + attempt * _RETAKE_SEEDS
        metadata = EpisodeMetadata(
            session=_session(scenario, job.seed), episode=index, operator='scripted',
            planned_mode=mode, software_version=uncloning_ros.__version__, seed=take_seed)
        with EpisodeWriter(path, contract, metadata) as writer:
            writer.write_event({'event': 'start', 'episode': index, 'mode': mode}, begin_ns)
            last_ns = begin_ns

            def listen(key: str, values: 'np.ndarray', stamp_ns: int, receive_ns: int) -> None:
                nonlocal last_ns
                last_ns = begin_ns + receive_ns
                writer.write_values(key, values, begin_ns + stamp_ns, last_ns)

            teacher = Demonstrator(scenario, contract.interface, mode, take_seed)
            completed = demonstrate(world, teacher, contract, take_seed, listen)
            if completed and judge(world.trace(), scenario, job.modes).mode == mode:
                writer.write_event({'event': 'stop', 'episode': index, 'mode': mode}, last_ns)
                writer.commit()
                break
            writer.discard()
    else:
        raise UncloningError(f'the scripted teacher failed {_ATTEMPTS} times to hand over '
                             f'{mode} in scenario {scenario.name!r}; check the scenario')
    label = rule_label(contract, scenario, read_episode(path))
    if label.mode is not None:
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        add_label(path, label_of_rule(label, scenario, at), contract.interface)
    return _Made(path.name, mode, label.mode, attempt)
