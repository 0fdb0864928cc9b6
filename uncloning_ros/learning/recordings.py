# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read recordings of a running policy as windows: bags, and incident files of the policy node.

A bag gives a window at each tick, an incident file one for each plan of its newest episode.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uncloning_ros.demos.bags.info import find_bags
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.dataset.loading import Loaded, load_episode
from uncloning_ros.demos.dataset.recipe import Recipe
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.demos.episodes.find import find_episodes
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import DatasetError, IncidentError
from uncloning_ros.files import file_sha256
from uncloning_ros.learning.checkpoint import Run, require_decoders
from uncloning_ros.learning.uncloning import look
from uncloning_ros.learning.windows import (
    Windows,
    to_windows,
    windows_of_frames,
    with_features,
)
from uncloning_ros.progress import progress_bar
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident import Incident, read_incident
from uncloning_ros.scenario import Scenario

_SUFFIX = '.npz'
_SAME = 1e-3  # difference of plans (contract's units) up to which they are of one policy


@dataclass(frozen=True)
class Recording:
    """One recorded episode: its windows, its mode by its label, and the sha256 of its file.

    The clean chunks are those that were commanded from each window on, or planned there. `seed`
    is the simulator's, None on a robot.
    """

    name: str
    windows: Windows
    mode: str | None
    digest: str
    seed: int | None


def recordings_in(run: Run, sources: Sequence[Path],
                  scenario: Scenario | None) -> tuple[list[Recording], list[LeftOut]]:
    """Return the recordings at `sources`, and those that cannot be used: bags, files, or folders.

    A bag has the mode of its newest label, or of the rule of `scenario`; an incident file has
    none. Raise `BagError` for a path that is not there, `IncidentError` for an incident file that
    is damaged or of another policy, `DatasetError` if nothing can be used.
    """
    files = dict.fromkeys(path for source in sources for path in (
        sorted(source.glob(f'*{_SUFFIX}')) if source.is_dir() else [source])
        if path.suffix == _SUFFIX)
    others = [source for source in sources if source not in files
              and not (source.is_dir() and _without_bags(source))]
    found: list[Recording] = [_of_file(run, path) for path in files]
    left_out: list[LeftOut] = []
    if others:
        bags, left_out = bags_in(run, others, scenario)
        found += [_of_bag(run, one) for one in bags]
    require_some(found, sources, left_out, 'it holds no bag and no incident file (.npz)')
    return found, left_out


def bags_in(run: Run, sources: Sequence[Path],
            scenario: Scenario | None) -> tuple[list[Loaded], list[LeftOut]]:
    """Return the episodes of bags by the contract of a run, and those that cannot be used.

    Raise `ModelError` if their pictures would be decoded otherwise than those of the run.
    """
    require_decoders(run.config)
    contract = run.config.contract
    recipe = Recipe(scenario, Reading(contract), keep_unlabelled=True)
    listing = find_episodes(sources, recipe.reading)
    found, left_out = [], [*listing.left_out]
    with progress_bar('reading episodes', len(listing.episodes)) as bar:
        for ref in listing.episodes:
            loaded = load_episode(recipe, contract, ref)
            if isinstance(loaded, LeftOut):
                left_out.append(loaded)
            else:
                found.append(loaded)
            bar.update()
    return found, left_out


def require_some(found: Sequence[object], sources: Sequence[Path], left_out: Sequence[LeftOut],
                 reason: str = '') -> None:
    """Raise `DatasetError` with the reason if no recording of the sources can be used."""
    if not found:
        why = reason if not left_out else (
            f'the first because {left_out[0].name}: {left_out[0].reason}')
        raise DatasetError(f'no recording of {", ".join(map(str, sources))} can be used: {why}')


def _without_bags(folder: Path) -> bool:
    inside = find_bags([folder])
    return not (inside.bags or inside.unfinished or inside.left_out)


def _of_bag(run: Run, loaded: Loaded) -> Recording:
    dataset = dataset_of(run, [loaded])
    [one] = dataset.episodes
    windows = windows_of_frames(run.policy.normaliser, dataset, dataset.window_frames('train'),
                                look(run.policy, dataset))
    return Recording(one.name, windows, one.mode, one.digest, one.seed)


def dataset_of(run: Run, loaded: Sequence[Loaded]) -> Dataset:
    """Return episodes as a dataset, all of them to train on."""
    contract, frames = run.config.contract, [one.frames for one in loaded]
    records = tuple(one.record('train', contract.policy.period_ns) for one in loaded)
    return Dataset(contract, '', records,
                   np.concatenate([one.observations for one in frames]),
                   np.concatenate([one.actions for one in frames]), (), '',
                   {key: np.concatenate([one.pictures[key] for one in frames])
                    for key in frames[0].pictures})


def _of_file(run: Run, path: Path) -> Recording:
    incident = read_incident(path)
    rows = _newest_episode(incident)
    timing, interface = run.config.contract.policy, run.config.contract.interface
    expected = ((timing.history, interface.observation_dim),
                (timing.horizon, interface.action_dim),
                {camera.key: camera.shape for camera in interface.cameras})
    got = (incident.observations.shape[1:], incident.chunks.shape[1:],
           {key: pixels.shape[1:] for key, pixels in incident.pictures.items()})
    if got != expected:
        raise IncidentError(f'{path}: expected observations, chunks and pictures of shapes '
                            f'{expected}, as the contract of the run has them, got {got}; give '
                            f'the run of the model {Path(incident.model_path).name}')
    if not len(rows):
        raise IncidentError(f'{path} holds no plan of its newest episode; give an incident file '
                            f'that was written after the robot had moved')
    observations, chunks, noises = (torch.from_numpy(array[rows]) for array in (
        incident.observations, incident.chunks, incident.noises))
    windows = to_windows(run.policy.normaliser, observations, chunks)
    if run.policy.cameras:
        with torch.no_grad():
            windows = with_features(windows, run.policy.features(
                [torch.from_numpy(incident.pictures[key][rows]) for key in run.policy.cameras]))
    with torch.no_grad():
        plans = run.policy.plan(windows.conditions, noises.flatten(1))
    off = (run.policy.normaliser.restore(observations, plans) - chunks).abs().flatten(1).amax(1)
    # Rounding may change single plans of a policy that samples choices.
    if float(off.median()) > _SAME:
        name = Path(incident.model_path).name
        raise IncidentError(f'{path} is of {name} (sha256 {incident.model_sha256}), a policy with '
                            f'other plans than this run; give the run of {name}')
    return Recording(path.name, windows, None, file_sha256(path), None)


def _newest_episode(incident: Incident) -> NDArray[np.intp]:
    """Return the places of the answered plans since the loop last became active from rest."""
    active = State.ACTIVE.value
    begun = [event.now_ns for before, event in zip((None, *incident.events), incident.events,
                                                   strict=False)
             if event.state == active and (before is None or before.state not in (
                 active, State.HOLD.value))]
    since = incident.ticks_ns >= begun[-1] if begun else np.ones_like(incident.answered)
    return np.flatnonzero(since & incident.answered)
