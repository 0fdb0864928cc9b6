# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clone a policy from demonstrations: the training loop, which stops and goes on exactly."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import uncloning_ros
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.errors import CheckpointError, DatasetError, counted
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import RunConfig, dataset_record
from uncloning_ros.learning.encoder import require_encodable
from uncloning_ros.learning.interruption import interruption
from uncloning_ros.learning.optimiser import Optimiser
from uncloning_ros.learning.options import NETWORK, NetworkOptions, TrainingOptions
from uncloning_ros.learning.policies import POLICIES, Policy, build_policy
from uncloning_ros.learning.seeing import features_of, pictures_of, varied
from uncloning_ros.learning.step_log import StepLog
from uncloning_ros.learning.tensor_files import load_tensors, save_tensors
from uncloning_ros.learning.windows import (
    Windows,
    tensors_of_frames,
    to_windows,
    windows_of_frames,
    with_features,
    with_intents,
)
from uncloning_ros.progress import progress_bar

_LOG_EVERY, _SAVE_EVERY = 100, 1000
_RECORDED_OBSERVATIONS = 64  # kept in the run, for comparing the exported policy with torch
_SHOWN = 5  # left out episodes that are named
_SEEN_WINDOWS = 1024  # of a validation loss with cameras

COLUMNS = ('loss', 'validation_loss', 'learning_rate', 'gradient_norm', 'elapsed_s')


@dataclass(frozen=True)
class TrainingResult:
    """Where a training run stands: steps taken, whether these are all, and the time for them."""

    steps: int
    ended: bool
    elapsed_s: float
    validation_loss: float | None


def new_config(dataset: Dataset, options: TrainingOptions,
               network: NetworkOptions = NETWORK) -> RunConfig:
    """Return the config of a new run.

    Raise `ContractError` for a mode that the contract does not have and for pictures of a size
    that no encoder takes, `DatasetError` if there is nothing to train on.
    """
    for camera in dataset.contract.interface.cameras:
        require_encodable(camera)
    config = RunConfig(uncloning_ros.__version__, dataset.contract, network, options,
                       dataset_record(dataset))
    if not len(_frames(dataset, 'train', config)):
        if without := left_out(dataset, config):
            raise DatasetError(f'the dataset has no training episode for the policy '
                               f'{network.kind}: {without}')
        modes = options.only_modes or dataset.contract.interface.mode_names
        raise DatasetError(f'the dataset has no training episode of mode {" or ".join(modes)}; '
                           f'add demonstrations, or name other modes')
    return config


def left_out(dataset: Dataset, config: RunConfig) -> str:
    """Return the sentence that names the episodes that this class of policy cannot learn from."""
    reasons = POLICIES[config.network.kind].obstacles(dataset)
    if not reasons:
        return ''
    shown = '; '.join(f'{dataset.episodes[i].name}: {reason}'
                      for i, reason in list(reasons.items())[:_SHOWN])
    return f'{counted(len(reasons), "episode")} took no part: {shown}'


def config_to_resume(folder: Path, dataset: Dataset, given: Mapping[str, Any],
                     kind: str | None = None) -> RunConfig:
    """Return the config of the unfinished run in `folder`.

    `given` are the training options that are given again, `kind` is the class of the policy
    where that is given. Raise `CheckpointError` if the run
    has ended, or was begun with other options or on another dataset.
    """
    config = checkpoint.read_config(folder)
    if config.edit is not None or checkpoint.has_ended(folder):
        raise CheckpointError(f'{folder} has ended, at step {config.training.steps}; there is '
                              f'nothing to resume')
    again = {**given, **({} if kind is None else {'policy': kind})}
    begun_with = {**vars(config.training), 'policy': config.network.kind}
    for name, value in again.items():
        begun = begun_with[name]
        if value != begun:
            option = {'learning_rate': 'lr'}.get(name, name.replace('_', '-'))
            raise CheckpointError(f'{folder} was begun with --{option} {begun}, got {value}; '
                                  f'leave the option out, or train to a new --out')
    digest = dataset_record(dataset)['sha256']
    if config.data.get('sha256') != digest:
        raise CheckpointError(f'{folder} was begun on the dataset with sha256 '
                              f'{config.data.get("sha256")}, got one with {digest}; resume '
                              f'with the same dataset')
    return config


def train(dataset: Dataset, folder: Path, config: RunConfig,
          on_step: Callable[[int], None] | None = None) -> TrainingResult:
    """Train the run in `folder` from where it stands to its end, or until Ctrl-C.

    config.json is written by the caller. Ctrl-C lets the step end and saves where the run
    stands; `train` then goes on from there to the same weights, bit for bit, that it would
    have reached without the stop, given the same number of threads. `on_step(step)` is called
    after each step.
    """
    options = config.training
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)  # the first weights
    policy = build_policy(config.contract, config.network)
    frames, others = (_frames(dataset, split, config) for split in ('train', 'validation'))
    observations, chunks = tensors_of_frames(dataset, frames)
    policy.normaliser.fit(observations, chunks)
    windows = with_intents(to_windows(policy.normaliser, observations, chunks), dataset, frames)
    policy.fit(windows, torch.Generator().manual_seed(options.seed))
    batches = _Batches(dataset, frames, windows, options)
    held_out = _SeenWindows(
        dataset, windows_of_frames(policy.normaliser, dataset, others), others)

    state = _State(Optimiser(policy, options.steps, options.learning_rate, from_scratch=True),
                   torch.Generator().manual_seed(options.seed))
    resume_file = checkpoint.resume_file(folder)
    if resume_file.is_file():
        state.restore(*load_tensors(resume_file))
    _loop(state, batches, held_out, folder, on_step)

    step, average = state.optimiser.step, state.optimiser.average
    ended = step == options.steps
    if ended:
        # No step has computed a loss of the weights that the last one made.
        seen = _SeenWindows(dataset, batches.windows, batches.frames)
        state.optimiser.require_finite(seen.loss(average), f'after step {step}')
        some = _spread(len(observations), _RECORDED_OBSERVATIONS)
        frames = batches.frames[some.numpy()]
        checkpoint.save_weights(folder, policy, average, observations[some],
                                dict(zip(policy.cameras, pictures_of(policy.cameras, dataset,
                                                                     frames), strict=True)))
        resume_file.unlink(missing_ok=True)
    else:
        state.save(resume_file)
    return TrainingResult(step, ended, state.elapsed_s, held_out.loss(average))


def _frames(dataset: Dataset, split: str, config: RunConfig) -> Frames:
    """Return the frames to train on: of all episodes, or of whole episodes of some modes.

    Episodes that the class of policy cannot learn from are not among them.
    """
    only = config.training.only_modes
    frames = dataset.frames_of_episodes(split, only) if only else dataset.window_frames(split)
    without = list(POLICIES[config.network.kind].obstacles(dataset))
    return frames[~np.isin(dataset.episode_of(frames), without)]


@dataclass
class _State:
    """All that changes from step to step, and how it is saved and restored."""

    optimiser: Optimiser
    generator: torch.Generator
    elapsed_s: float = 0.0

    def save(self, path: Path) -> None:
        save_tensors(path, {'generator': self.generator.get_state(), **self.optimiser.tensors()},
                     {'step': self.optimiser.step, 'elapsed_s': self.elapsed_s})

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        try:
            self.generator.set_state(tensors.pop('generator'))
            self.optimiser.restore(tensors, int(record['step']))
            self.elapsed_s = float(record['elapsed_s'])
        except (KeyError, ValueError, RuntimeError) as err:
            raise CheckpointError(f'the saved state of this run does not fit its config.json: '
                                  f'{err}; train again to a new --out') from err


class _Batches:
    """Random batches of the training windows; `windows` lack the features of pictures."""

    def __init__(self, dataset: Dataset, frames: Frames, windows: Windows,
                 options: TrainingOptions) -> None:
        self._dataset, self.frames, self.windows = dataset, frames, windows
        self.options = options

    def next(self, policy: Policy, generator: torch.Generator) -> tuple[Windows, Tensor]:
        """Return windows and the places (B,) of the next batch in them.

        With cameras they are the windows of the batch alone: their features have a gradient.
        """
        options = self.options
        picks = torch.randint(len(self.windows), (options.batch_size,), generator=generator)
        if not policy.cameras:
            return self.windows, picks
        assert options.pictures is not None, 'a run with cameras has options for their pictures'
        pictures = [varied(seen, options.pictures, generator) for seen in pictures_of(
            policy.cameras, self._dataset, self.frames[picks.numpy()])]
        batch = with_features(self.windows.picked(picks), policy.features(pictures))
        return batch, torch.arange(len(picks)).repeat_interleave(options.pictures.draws)


class _SeenWindows:
    """Windows whose loss is computed; with cameras some of them, for each is seen every time."""

    def __init__(self, dataset: Dataset, windows: Windows, frames: Frames) -> None:
        self._dataset, self._windows, self._frames = dataset, windows, frames
        if dataset.pictures:
            some = _spread(len(frames), _SEEN_WINDOWS)
            self._windows, self._frames = windows.picked(some), frames[some.numpy()]

    def loss(self, policy: Policy) -> float | None:
        """Return the loss, always with the same randomness; None without windows."""
        if not len(self._windows):
            return None
        features = features_of(policy, self._dataset, self._frames)
        return policy.validation_loss(
            self._windows if features is None else with_features(self._windows, features))


def _loop(state: _State, batches: _Batches, held_out: _SeenWindows, folder: Path,
          on_step: Callable[[int], None] | None) -> None:
    optimiser, generator, options = state.optimiser, state.generator, batches.options
    losses: list[Tensor] = []
    began_s = time.monotonic() - state.elapsed_s
    with (StepLog(folder, COLUMNS, optimiser.step) as log, interruption() as interrupted,
          progress_bar('training', options.steps, 'step', optimiser.step) as bar):
        while optimiser.step < options.steps and not interrupted():
            windows, picks = batches.next(optimiser.policy, generator)
            loss = optimiser.policy.losses(windows, picks, generator).mean()
            norm = optimiser.update(loss)
            losses.append(loss.detach())
            step = optimiser.step
            state.elapsed_s = time.monotonic() - began_s
            last = step == options.steps
            save = step % _SAVE_EVERY == 0 and not last
            if step % _LOG_EVERY == 0 or last:
                values: dict[str, float | None] = {
                    'loss': float(torch.stack(losses).mean()), 'learning_rate': optimiser.rate,
                    'gradient_norm': norm, 'elapsed_s': state.elapsed_s}
                if save or last:
                    values['validation_loss'] = held_out.loss(optimiser.average)
                log.write(step, values)
                bar.set_postfix(loss=f'{values["loss"]:.4f}', refresh=False)
                losses.clear()
            if save:
                state.save(checkpoint.resume_file(folder))
            bar.update()
            if on_step is not None:
                on_step(step)


def _spread(count: int, most: int) -> Tensor:
    """Return at most `most` places among `count`, evenly spread over all."""
    return torch.linspace(0, count - 1, min(most, count)).long()
