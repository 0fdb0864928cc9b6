# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clone a policy from demonstrations: the training loop, which stops and goes on exactly."""

import copy
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import NetworkShape, RunConfig, TrainingOptions
from uncloning_ros.learning.generative import error_weight, mix
from uncloning_ros.learning.network import DEPTH, WIDTH, Policy
from uncloning_ros.learning.step_log import StepLog

_WARM_UP = 0.05  # share of the steps in which the learning rate rises; then it falls as a cosine
_WEIGHT_DECAY = 1e-4
_GRADIENT_LIMIT = 1.0
_AVERAGE_DECAY = 0.999  # the average looks back over about a thousand steps
_LOG_EVERY, _SAVE_EVERY = 100, 1000
_VALIDATION_WINDOWS = 2048
_RECORDED_OBSERVATIONS = 64  # kept in the run, for comparing the exported policy with torch

COLUMNS = ('loss', 'validation_loss', 'learning_rate', 'gradient_norm', 'elapsed_s')


@dataclass(frozen=True)
class Windows:
    """Windows of a dataset as the network sees them: conditions (N, C), clean chunks (N, D)."""

    conditions: Tensor
    clean: Tensor

    def __len__(self) -> int:
        return len(self.clean)

    def picked(self, picks: Tensor) -> 'Windows':
        """Return the windows of some indices (B,)."""
        return Windows(self.conditions[picks], self.clean[picks])


def joined(parts: Sequence[Windows]) -> Windows:
    """Return the windows of all parts, one after another."""
    return Windows(torch.cat([part.conditions for part in parts]),
                   torch.cat([part.clean for part in parts]))


@dataclass(frozen=True)
class TrainingResult:
    """Where a training run got: `steps` of those planned, and how long they took in all."""

    steps: int
    ended: bool
    elapsed_s: float
    validation_loss: float | None


def new_config(dataset: Dataset, options: TrainingOptions) -> RunConfig:
    """Return the config of a new run.

    Raise `ContractError` for a mode that the contract does not have, `DatasetError` if there
    is nothing to train on.
    """
    if not len(dataset.window_frames('train', options.only_modes or None)):
        modes = options.only_modes or dataset.contract.interface.mode_names
        raise DatasetError(f'the dataset has no training episode of mode {" or ".join(modes)}; '
                           f'add demonstrations, or name other modes')
    return RunConfig(dataset.contract, NetworkShape(WIDTH, DEPTH), options,
                     dataset_record(dataset))


def config_to_resume(folder: Path, dataset: Dataset, given: Mapping[str, Any]) -> RunConfig:
    """Return the config of the unfinished run in `folder`.

    `given` are options by their names on the command line. Raise `CheckpointError` if the run
    has ended, or was begun with other options or on another dataset.
    """
    config = checkpoint.read_config(folder)
    if config.edit is not None or checkpoint.has_ended(folder):
        raise CheckpointError(f'{folder} has ended, at step {config.training.steps}; there is '
                              f'nothing to resume')
    options = config.training
    begun = {'steps': options.steps, 'batch_size': options.batch_size,
             'lr': options.learning_rate, 'seed': options.seed, 'threads': options.threads,
             'only_modes': options.only_modes}
    for name, value in given.items():
        if value != begun[name]:
            raise CheckpointError(f'{folder} was begun with --{name.replace("_", "-")} '
                                  f'{begun[name]}, got {value}; leave the option away, or '
                                  f'train to a new --out')
    digest = dataset_record(dataset)['sha256']
    if config.data.get('sha256') != digest:
        raise CheckpointError(f'{folder} was begun on the dataset with sha256 '
                              f'{config.data.get("sha256")}, got one with {digest}; resume '
                              f'with the same dataset')
    return config


def dataset_record(dataset: Dataset) -> dict[str, Any]:
    """Return what a run and an exported policy tell of the data they were made from."""
    return {
        'sha256': dataset.sha256,
        'scenario': dataset.scenario,
        'seeds': list(dataset.seeds),
        'episodes': [{'name': episode.name, 'mode': episode.mode, 'split': episode.split,
                      'digest': episode.digest} for episode in dataset.episodes],
    }


def dataset_windows(dataset: Dataset, split: str,
                    modes: Sequence[str] | None) -> tuple[Tensor, Tensor]:
    """Return observations (N, history, obs_dim) and chunks (N, horizon, act_dim), float32."""
    observations, chunks = dataset.gather(dataset.window_frames(split, modes))
    return (torch.as_tensor(observations, dtype=torch.float32),
            torch.as_tensor(chunks, dtype=torch.float32))


def to_windows(policy: Policy, observations: Tensor, chunks: Tensor) -> Windows:
    """Return windows in units as the network sees them."""
    return Windows(policy.normaliser.condition(observations),
                   policy.normaliser.normalise(observations, chunks))


def cloning_loss(policy: Policy, windows: Windows, picks: Tensor,
                 generator: torch.Generator) -> Tensor:
    """Return the flow-matching loss on the picked windows at random levels with random noise."""
    level, noise = draw_noise(windows.clean[picks], generator)
    return chunk_losses(policy, windows, picks, level, noise).mean()


def draw_noise(clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random levels (B,) in (0, 1] and noise (B, D) for clean chunks (B, D)."""
    # 1 - rand is in (0, 1]: at level 0 there would be nothing to predict.
    level = 1.0 - torch.rand(len(clean), generator=generator)
    return level, torch.randn(clean.shape, generator=generator)


def chunk_losses(policy: Policy, windows: Windows, picks: Tensor, level: Tensor,
                 noise: Tensor) -> Tensor:
    """Return the flow-matching loss (B,) of each picked window at its level with its noise."""
    clean = windows.clean[picks]
    error = policy.denoiser(mix(clean, noise, level), level, windows.conditions[picks]) - clean
    return error_weight(level) * error.square().mean(1)


@torch.no_grad()
def validation_loss(policy: Policy, windows: Windows) -> float | None:
    """Return the loss on windows at levels and noise that are always the same; None without."""
    if not len(windows):
        return None
    generator = torch.Generator().manual_seed(0)
    picks = torch.randint(len(windows), (_VALIDATION_WINDOWS,), generator=generator)
    return float(cloning_loss(policy, windows, picks, generator))


def average_into(average: Policy, policy: Policy, decay: float) -> None:
    """Move the weights of `average` towards those of `policy` by 1 - decay."""
    torch._foreach_lerp_([p.data for p in average.parameters()],
                         [p.data for p in policy.parameters()], 1.0 - decay)


def learning_rate_at(step: int, steps: int, peak: float, warm_up: float) -> float:
    """Return the learning rate of step 1..steps: a linear rise, then half a cosine to zero."""
    rise = max(1, round(warm_up * steps))
    if step <= rise:
        return peak * step / rise
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def train(dataset: Dataset, folder: Path, config: RunConfig,
          on_step: Callable[[int], None] | None = None) -> TrainingResult:
    """Train the run in `folder` from where it stands to its end, or until Ctrl-C.

    Whoever calls has written config.json. Ctrl-C lets the step end and saves where the run
    stands; `train` then goes on from there to the same weights, bit for bit, that it would
    have reached without the stop, given as many threads. `on_step(step)` is called after
    each step.
    """
    options = config.training
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)  # the first weights
    policy = checkpoint.build_policy(config)
    modes = options.only_modes or None
    observations, chunks = dataset_windows(dataset, 'train', modes)
    policy.normaliser.fit(observations, chunks)
    windows = to_windows(policy, observations, chunks)
    held_out = to_windows(policy, *dataset_windows(dataset, 'validation', modes))
    recorded = _spread(observations, _RECORDED_OBSERVATIONS)

    state = _State(policy, options.learning_rate, options.seed)
    found = checkpoint.load_resume(folder)
    if found is not None:
        state.restore(*found)
    _loop(state, windows, held_out, folder, config, on_step)

    ended = state.step == options.steps
    if ended:
        checkpoint.save_weights(folder, policy, dict(state.average.named_parameters()), recorded)
        checkpoint.drop_resume(folder)
    else:
        state.save(folder)
    return TrainingResult(state.step, ended, state.elapsed_s,
                          validation_loss(state.average, held_out))


class _State:
    """All that changes from step to step, and how it is saved and restored."""

    def __init__(self, policy: Policy, learning_rate: float, seed: int) -> None:
        self.policy = policy
        self.average = copy.deepcopy(policy).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(policy.parameters(), learning_rate,
                                           weight_decay=_WEIGHT_DECAY, fused=True)
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        self.elapsed_s = 0.0

    def save(self, folder: Path) -> None:
        tensors = {'generator': self.generator.get_state()}
        for prefix, module in (('policy.', self.policy), ('average.', self.average)):
            tensors |= {prefix + name: tensor for name, tensor in module.state_dict().items()}
        for index, values in self.optimizer.state_dict()['state'].items():
            tensors |= {f'optimizer.{index}.{name}': v for name, v in values.items()}
        checkpoint.save_resume(folder, tensors,
                               {'step': self.step, 'elapsed_s': self.elapsed_s})

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        try:
            self.generator.set_state(tensors.pop('generator'))
            moments: dict[int, dict[str, Tensor]] = {}
            modules: dict[str, dict[str, Tensor]] = {'policy': {}, 'average': {}}
            for name, tensor in tensors.items():
                part, _, rest = name.partition('.')
                if part == 'optimizer':
                    index, _, key = rest.partition('.')
                    moments.setdefault(int(index), {})[key] = tensor
                else:
                    modules[part][rest] = tensor
            self.policy.load_state_dict(modules['policy'])
            self.average.load_state_dict(modules['average'])
            groups = self.optimizer.state_dict()['param_groups']
            self.optimizer.load_state_dict({'state': moments, 'param_groups': groups})
            self.step, self.elapsed_s = int(record['step']), float(record['elapsed_s'])
        except (KeyError, ValueError, RuntimeError) as err:
            raise CheckpointError(f'the saved state of this run does not fit its config.json: '
                                  f'{err}; train anew') from err


def _loop(state: _State, windows: Windows, held_out: Windows, folder: Path, config: RunConfig,
          on_step: Callable[[int], None] | None) -> None:
    options = config.training
    parameters = list(state.policy.parameters())
    losses: list[Tensor] = []
    began_s = time.monotonic() - state.elapsed_s
    with (StepLog(folder, COLUMNS, state.step) as log, interruption() as interrupted,
          progress_bar('training', options.steps, done=state.step) as bar):
        while state.step < options.steps and not interrupted():
            state.step += 1
            rate = learning_rate_at(state.step, options.steps, options.learning_rate, _WARM_UP)
            state.optimizer.param_groups[0]['lr'] = rate
            picks = torch.randint(len(windows), (options.batch_size,),
                                  generator=state.generator)
            loss = cloning_loss(state.policy, windows, picks, state.generator)
            state.optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, _GRADIENT_LIMIT)
            state.optimizer.step()
            # Early on the average follows closely, so that it forgets the first weights.
            average_into(state.average, state.policy,
                         min(_AVERAGE_DECAY, (1 + state.step) / (10 + state.step)))
            losses.append(loss.detach())
            state.elapsed_s = time.monotonic() - began_s
            last = state.step == options.steps
            save = state.step % _SAVE_EVERY == 0 and not last
            if state.step % _LOG_EVERY == 0 or last:
                mean = float(torch.stack(losses).mean())
                if not math.isfinite(mean):
                    raise CheckpointError(
                        f'the loss is {mean} at step {state.step}; train to a new --out with '
                        f'a lower --lr than {options.learning_rate:g}')
                values: dict[str, float | None] = {
                    'loss': mean, 'learning_rate': rate, 'gradient_norm': float(norm),
                    'elapsed_s': state.elapsed_s}
                if save or last:
                    values['validation_loss'] = validation_loss(state.average, held_out)
                log.write(state.step, values)
                bar.set_postfix(loss=f'{mean:.4f}', refresh=False)
                losses.clear()
            if save:
                state.save(folder)
            bar.update()
            if on_step is not None:
                on_step(state.step)


def progress_bar(what: str, total: int, unit: str = 'step', done: int = 0) -> tqdm:
    """Return a progress bar on stderr; in a log file it speaks rarely."""
    rarely = not sys.stderr.isatty()
    return tqdm(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=not rarely,
                mininterval=10.0 if rarely else 0.2, leave=True)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed; a second one ends at once."""
    pressed = threading.Event()
    # Only the main thread may listen for signals.
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _spread(observations: Tensor, count: int) -> Tensor:
    picks = torch.linspace(0, len(observations) - 1, min(count, len(observations))).long()
    return observations[picks].clone()
