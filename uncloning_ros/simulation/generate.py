# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Generate demonstrations: the scripted teacher hands over, each episode becomes a labelled bag.

An episode follows from its session alone: scenario, contract, modes, first seed and its index.
"""

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import uncloning_ros
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.bags.layout import episode_name, list_episodes
from uncloning_ros.demos.bags.reader import read_episode, unfinished_session
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.labelling.rule import label_of_rule, rule_label
from uncloning_ros.demos.recording.take_overs import GIVEN_BACK, LET_GO
from uncloning_ros.errors import UncloningError
from uncloning_ros.judging.episode import Outcome, judge
from uncloning_ros.processes import share
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, Teaching
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.driver import Listener
from uncloning_ros.simulation.receivers.teacher import ReceivingTeacher, TaughtSide
from uncloning_ros.simulation.sensors import TRACKED_KEYS
from uncloning_ros.simulation.taking_over import Learner
from uncloning_ros.simulation.world import World, open_world

# Time (ns) of a bag at simulated time 0: episode i is i minutes after this.
_EPOCH_NS = round(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()) * 10**9
_MINUTE_NS = 60 * 10**9
# Distance from a take's seed to that of its retake: an audit can use the seeds in between.
_RETAKE_SEEDS = 10_000_000
_TAKES = 'episode_*.partial'  # names of unfinished takes
_ATTEMPTS = 10  # failed takes in a row after which the teacher counts as unable


@dataclass(frozen=True)
class SimulatedSession:
    """One session of simulated demonstrations; plain data, the same for all its episodes.

    `partner` is the contract of an arm that receives, None for a person. With a `policy`, an
    exported file, they are corrections: the policy begins, handed the tool in the mode `begin_as`
    if there is one, and the teacher takes the arm over.
    """

    scenario: Scenario
    contract: Contract
    modes: tuple[str, ...]
    seed: int
    out: Path
    partner: Contract | None = None
    policy: Path | None = None
    begin_as: str | None = None

    @property
    def name(self) -> str:
        """Return the session's name, as its bags carry it."""
        beginning = '' if self.policy is None else f'-{self.policy.stem}'
        return f'{self.scenario.name}-{self.seed}{beginning}'

    def missing(self, episodes: int) -> list[int]:
        """Return the indices of the first `episodes` episodes that are not on disk."""
        return [index for index in range(episodes) if not self.path(index).exists()]

    def path(self, index: int) -> Path:
        """Return the path of an episode."""
        return self.out / episode_name(index)


@dataclass(frozen=True)
class MadeEpisode:
    """One finished episode: its mode, the label of the rule, and the failed takes before it."""

    name: str
    mode: str
    labelled: str | None
    discarded: int


def generate(session: SimulatedSession, indices: list[int], workers: int,
             on_done: Callable[[MadeEpisode], object]) -> list[MadeEpisode]:
    """Record the episodes of `indices` and return them in this order.

    `on_done` takes each as it comes. A take that fails is discarded and made again from another
    seed. Raise `UncloningError` if the folder holds another session's episodes or if the teacher
    keeps failing.
    """
    _require_same_session(session)
    remove_takes(session.out)
    return share(_maker, session, indices, workers, 'the simulation', UncloningError, on_done)


def remove_takes(out: Path) -> None:
    """Remove the takes that a stopped run left unfinished."""
    for path in out.glob(_TAKES):
        shutil.rmtree(path)


def _require_same_session(session: SimulatedSession) -> None:
    """Refuse to mix in episodes of another scenario or seed."""
    out = session.out
    sessions = [read_episode(path).metadata.session for path in list_episodes(out)[:1]]
    sessions += [unfinished_session(path) or session.name for path in out.glob(_TAKES)]
    for found in sessions:
        if found != session.name:
            raise UncloningError(f'{out} holds episodes of session {found!r}, expected '
                                 f'{session.name!r}; resume with the scenario and seed it was '
                                 f'begun with, or give another --out')


def _maker(session: SimulatedSession) -> Callable[[int], MadeEpisode]:
    scenario = session.scenario
    shown = replace(scenario, start=scenario.start.wider(scenario.teacher.wider))
    world = open_world(shown, session.contract.interface, whole_pictures=True,
                       receiving=None if session.partner is None else session.partner.interface)
    learner = None if session.policy is None else Learner(
        load_policy(session.policy), scenario, session.begin_as)
    return lambda index: _make(session, world, learner, index)


def _make(session: SimulatedSession, world: World, learner: Learner | None,
          index: int) -> MadeEpisode:
    """Make episode `index`: take after take until one completes in the drawn mode."""
    contract, scenario, path = session.contract, session.scenario, session.path(index)
    # A stream of its own, so that mode and start are independent.
    mode = str(np.random.default_rng((session.seed, index, 0xA)).choice(session.modes))
    begin_ns = _EPOCH_NS + index * _MINUTE_NS
    for attempt in range(_ATTEMPTS):
        seed = session.seed + index + attempt * _RETAKE_SEEDS
        metadata = EpisodeMetadata(
            session=session.name, episode=index, operator='scripted', planned_mode=mode,
            software_version=uncloning_ros.__version__, seed=seed)
        with EpisodeWriter(path, contract, metadata, session.partner) as writer:
            mark = partial(_mark, writer, begin_ns, index, mode)
            mark('start', 0)
            last_ns = 0

            def listen(write: Listener, key: str, values: Any, stamp_ns: int,
                       receive_ns: int) -> None:
                nonlocal last_ns
                last_ns = receive_ns
                write(key, values, begin_ns + stamp_ns, begin_ns + receive_ns)

            partner = None
            if session.partner is not None:
                second = ReceivingTeacher(scenario, session.partner.interface, mode, seed)
                partner = partial(TaughtSide, teacher=second, contract=session.partner,
                                  listen=partial(listen, writer.write_partner))
            heard = partial(listen, writer.write_values)
            teacher = Demonstrator(scenario, contract.interface, mode, seed, TRACKED_KEYS)
            completed = demonstrate(world, teacher, contract, seed, heard, partner,
                                    None if learner is None else partial(
                                        learner.begin, seed=seed, listen=heard, mark=mark))
            if completed and _as_planned(judge(world.trace(), scenario, session.modes), scenario,
                                         mode):
                for event in (LET_GO, GIVEN_BACK) if learner is not None else ():
                    mark(event, last_ns)
                mark('stop', last_ns)
                writer.commit()
                break
            writer.discard()
    else:
        raise UncloningError(f'the scripted teacher failed {_ATTEMPTS} times to hand over '
                             f'{mode} in scenario {scenario.name!r}; check the scenario')
    label = _label(session, mode, path)
    if label.mode is not None:
        add_label(path, label, contract.interface)
    return MadeEpisode(path.name, mode, label.mode, attempt)


def _mark(writer: EpisodeWriter, begin_ns: int, index: int, mode: str, event: str,
          now_ns: int) -> None:
    """Write an event at a time since the begin of the episode."""
    writer.write_event({'event': event, 'episode': index, 'mode': mode}, begin_ns + now_ns)


def _as_planned(outcome: Outcome, scenario: Scenario, mode: str) -> bool:
    """Tell whether a handover was of a mode; a good one may not come out unsafe.

    A straight one to a person is safe as it is; misses, pushes and a second arm may make it
    unsafe.
    """
    straight = scenario.teacher == Teaching() and scenario.receiver_arm is None
    harmed = not straight and scenario.desired[mode] and outcome.unsafe is not None
    return outcome.mode == mode and not harmed


def _label(session: SimulatedSession, mode: str, path: Path) -> Label:
    """Return the label of the geometric rule; without recorded poses that of the simulator.

    The truth was judged to be of the episode's mode.
    """
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    if not all(key in session.contract.interface.observation_slices for key in TRACKED_KEYS):
        return Label(mode, 'truth', 1.0, at, 'simulator')
    found = rule_label(session.contract, session.scenario, read_episode(path))
    return label_of_rule(found, session.scenario, at)
