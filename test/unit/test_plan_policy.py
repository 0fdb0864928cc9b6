# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan policy says mode and key poses before the chunk; a locked mode is never drawn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handover_toys import GRASP, INTERFACE, OTHER_OFFER, OTHER_TABLE, dataset_of, handover
from inputs import CONTRACT
from learning_toys import classified

from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, ContractError, DatasetError
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.export import export
from uncloning_ros.learning.forks import DRAWS, ForkFinder
from uncloning_ros.learning.lock import lock
from uncloning_ros.learning.options import (
    EDIT,
    FINE_TUNE,
    LOCKED,
    METHODS,
    PLAN,
    REDIRECT,
    TRAINING,
    NetworkOptions,
)
from uncloning_ros.learning.policies import build_policy
from uncloning_ros.learning.policies.plan import PlanPolicy, first_arrival
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Windows, windows_of_frames
from uncloning_ros.policy_io import KEY_POSES, Observation
from uncloning_ros.runtime.inference import load_policy

MODES = CONTRACT.interface.mode_names
SMALL = NetworkOptions(32, 1, PLAN)


def shifted(x_m: float) -> tuple[Any, Any]:
    """Return a handover whose arm grasps elsewhere along x."""
    observations, actions = handover()
    for values, key in ((observations, INTERFACE.observation_slices['tool_pose']),
                        (actions, INTERFACE.action_slices['target_pose'])):
        values[GRASP - 12:, key.start] += x_m
    return observations, actions


@pytest.fixture(scope='module')
def handovers() -> Dataset:
    """Return handovers of two modes, which part at the first frames."""
    found = dataset_of(*[(MODES[i % 2], shifted(0.05 if i % 2 else -0.05)) for i in range(4)],
                       (MODES[0], handover(OTHER_TABLE, OTHER_OFFER)))
    return replace(found, episodes=(*found.episodes[:-1], replace(
        found.episodes[-1], split='validation')))


@pytest.fixture(scope='module')
def run(handovers: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a plan policy after a few steps."""
    folder = tmp_path_factory.mktemp('plan') / 'run'
    folder.mkdir()
    options = replace(TRAINING, steps=300, batch_size=64, learning_rate=3e-3)
    config = cloning.new_config(handovers, options, SMALL)
    checkpoint.write_config(folder, config)
    assert cloning.train(handovers, folder, config).ended
    return load_run(folder)


def policy_of(run: Run) -> PlanPolicy:
    assert isinstance(run.policy, PlanPolicy)
    return run.policy


class TestDraw:
    """The race that draws a mode from the end of the noise."""

    ODDS = torch.tensor([0.5, 0.2, 0.3])

    def drawn(self, odds: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return first_arrival(odds.expand(len(noise), -1), noise)

    def test_modes_are_drawn_with_their_probabilities_and_one_at_a_time(self) -> None:
        noise = torch.randn(40_000, 20, generator=torch.Generator().manual_seed(1))
        found = self.drawn(self.ODDS, noise)
        assert set(found.sum(1).tolist()) == {1.0} and set(found.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(found.mean(0), self.ODDS, atol=0.01, rtol=0)

    def test_only_the_end_of_the_noise_counts(self) -> None:
        noise = torch.randn(100, 20, generator=torch.Generator().manual_seed(1))
        other = torch.cat([torch.randn(100, 14), noise[:, -6:]], 1)
        assert torch.equal(self.drawn(self.ODDS, noise), self.drawn(self.ODDS, other))

    def test_where_other_modes_are_ruled_out_the_drawn_one_stays(self) -> None:
        # As the observation rules out a mode, the odds of the others stay.
        noise = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
        before = self.drawn(self.ODDS, noise).argmax(1)
        after = self.drawn(torch.tensor([0.5, 0.0, 0.3]) / 0.8, noise).argmax(1)
        stays = before != 1
        assert torch.equal(before[stays], after[stays]) and not (after == 1).any()

    def test_noise_of_zeros_draws_the_most_probable_mode(self) -> None:
        assert self.drawn(self.ODDS, torch.zeros(1, 6)).tolist() == [[1.0, 0.0, 0.0]]


def test_the_chunk_is_that_of_the_intent(run: Run) -> None:
    policy = policy_of(run)
    noise = torch.randn(64, *policy.normaliser.chunk_shape,
                        generator=torch.Generator().manual_seed(3))
    observations = run.observations[:1].expand(64, -1, -1)
    with torch.no_grad():
        chunks, intents = policy(observations, noise)
        again = policy.normaliser.restore(observations, policy.plan(
            policy.condition(observations, ()), noise.flatten(1)))
    assert torch.equal(chunks, again)
    odds, drawn = intents[:, :2], intents[:, 2:4]
    torch.testing.assert_close(odds.sum(1), torch.ones(64))
    assert {1} == set(drawn.sum(1).tolist())
    ends = [chunks[drawn[:, i] == 1, -1, 0].mean() for i in range(2)]
    assert ends[1] - ends[0] > 0.01, 'modes part along x'
    grasps = [intents[drawn[:, i] == 1, 4].mean() for i in range(2)]
    assert grasps[1] - grasps[0] > 0.05, 'and so do the grasps that are said'


def test_an_own_chunk_is_cloned_with_the_mode_that_was_said_for_it(run: Run) -> None:
    policy = policy_of(run)
    start = policy.condition(run.observations[:1], ()).expand(32, -1)
    chunks, said = policy.own(start, 2, torch.Generator().manual_seed(1))
    assert torch.equal(chunks, policy.draw(start, 2, torch.Generator().manual_seed(1)))
    assert said is not None and bool(said[..., 2:].isnan().all())
    ends, second = chunks[..., -10], said[..., 1] == 1
    parted = ends[~second].mean(), ends[second].mean()
    assert parted[0] < parted[1], 'modes part along x'
    judge = classified(lambda _, clean: 1e3 * torch.stack(
        [sum(parted) / 2 - clean[:, -10], clean[:, -10] - sum(parted) / 2], 1), 1)
    edit = SelfDistillation(judge, {MODES[1]: Windows(start, chunks[:, 0])},
                            replace(EDIT, steps=10))
    edit.loss(policy, policy, 1)
    own = edit._recent[0]
    assert len(own) > 100 and own.intents is not None
    assert own.intents[:, 0].mean() > 0.9, 'kept chunks are said with the kept mode'


def test_own_plans_that_hold_an_edit_by_incidents_keep_their_mode(run: Run) -> None:
    policy = policy_of(run)
    start = policy.condition(run.observations[:2], ())
    finder = ForkFinder(policy, INTERFACE, CONTRACT.policy, torch.Generator().manual_seed(1))
    parted = finder.parted(start).picked(slice(1, None))
    assert parted.said is not None and parted.said.shape[:2] == (1, DRAWS)
    assert {tuple(one) for one in parted.said[0, :, :2].tolist()} == {(1.0, 0.0), (0.0, 1.0)}


def test_windows_without_a_mode_or_key_poses_are_learned_from_too(handovers: Dataset) -> None:
    policy = build_policy(CONTRACT, SMALL)
    windows = windows_of_frames(policy.normaliser, handovers, np.arange(20))
    assert windows.intents is not None
    windows.intents[:10] = torch.nan
    for some in (windows, Windows(windows.conditions, windows.clean)):
        policy.zero_grad()
        losses = policy.losses(some, torch.arange(20), torch.Generator().manual_seed(0))
        losses.sum().backward()
        assert torch.isfinite(losses).all()
        gradients = {name: one.grad for name, one in policy.named_parameters()}
        assert all(grad is None or torch.isfinite(grad).all() for grad in gradients.values())
        found = gradients['mode_head.3.bias']
        assert found is not None and bool(found.any()) == (some is windows)


def test_an_episode_without_key_poses_is_left_out_and_named(handovers: Dataset) -> None:
    observations, actions = handover()
    actions[:, INTERFACE.action_slices['target_width']] = 0.08
    dataset = dataset_of((MODES[0], handover()), (MODES[1], (observations, actions)))
    config = cloning.new_config(dataset, TRAINING, SMALL)
    assert len(cloning._frames(dataset, 'train', config)) == len(dataset.observations) // 2
    assert 'episode_1' in cloning.left_out(dataset, config)
    assert cloning.left_out(dataset, replace(config, network=NetworkOptions(32, 1))) == ''
    with pytest.raises(DatasetError, match='for the policy plan: .*episode_0'):
        cloning.new_config(dataset_of((MODES[1], (observations, actions))), TRAINING, SMALL)


def test_a_chunk_with_too_little_noise_for_the_modes_is_refused_as_the_run_begins(
        handovers: Dataset) -> None:
    contract = handovers.contract
    for modes, refused in ((5, False), (6, True)):
        many = replace(handovers, contract=replace(
            contract, policy=replace(contract.policy, horizon=1, execute=1),
            interface=replace(contract.interface, modes=dict(contract.interface.modes) | {
                f'more_{i}': True for i in range(modes - len(MODES))})))
        if not refused:
            cloning.new_config(many, TRAINING, SMALL)
            continue
        with pytest.raises(ContractError, match='at least 12 values, .* 6 modes .* got 10'):
            cloning.new_config(many, TRAINING, SMALL)
        cloning.new_config(many, TRAINING, NetworkOptions(32, 1))


def test_an_exported_plan_policy_says_its_intent(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / 'plan.onnx')
    policy = load_policy(tmp_path / 'plan.onnx')
    assert (policy.says_intent, policy.episode_noise) == (True, 4)
    noise = np.random.default_rng(0).standard_normal(policy.chunk_shape, np.float32)
    plan = policy(Observation(run.observations[0].numpy()), noise)
    with torch.no_grad():
        _, expected = run.policy(run.observations[:1], torch.from_numpy(noise[None]))
    assert plan.intent is not None
    assert tuple(plan.intent.probabilities) == MODES
    assert plan.intent.mode == MODES[int(expected[0, 2:4].argmax())]
    np.testing.assert_allclose(np.concatenate([plan.intent.key_poses[k] for k in KEY_POSES]),
                               expected[0, 4:], atol=1e-4)


class TestLock:
    """A lock changes rows of the head and nothing else."""

    @pytest.fixture(scope='class')
    def locked(self, run: Run, handovers: Dataset,
               tmp_path_factory: pytest.TempPathFactory) -> Run:
        folder = tmp_path_factory.mktemp('lock') / 'run'
        report = lock(run, handovers, folder, replace(LOCKED, remove=(MODES[1],)))
        assert (report['steps'], report['kept']) == (0, [MODES[0]])
        return load_run(folder)

    def test_the_removed_mode_is_never_drawn(self, locked: Run) -> None:
        noise = torch.randn(4096, *locked.policy.normaliser.chunk_shape)
        observations = 10 * torch.randn(4096, *locked.observations.shape[1:])
        with torch.no_grad():
            _, intents = locked.policy(observations, noise)
        assert (intents[:, 1] == 0).all() and (intents[:, 3] == 0).all()
        assert (intents[:, 2] == 1).all()

    def test_its_row_alone_changes_and_stays_finite(self, run: Run, locked: Run,
                                                    tmp_path: Path) -> None:
        export(run, tmp_path / 'one.onnx')
        export(locked, tmp_path / 'two.onnx')
        found = compare(tmp_path / 'one.onnx', tmp_path / 'two.onnx')
        assert found.difference is None
        moved = {one.name: one.rows for one in found.changes if one.relative > 0}
        assert moved == {'mode_head.3.weight': (1,), 'mode_head.3.bias': (1,)}
        assert all(torch.isfinite(one).all() for one in locked.policy.state_dict().values())

    def test_the_record_names_the_lock_and_a_second_one_may_not_teach_it_again(
            self, locked: Run, handovers: Dataset, tmp_path: Path) -> None:
        assert locked.config.edit is not None
        assert (locked.config.edit['method'], locked.config.edit['remove']) == (
            'lock', [MODES[1]])
        with pytest.raises(CheckpointError, match=f'earlier edit of this run removed {MODES[1]}'):
            lock(locked, handovers, tmp_path / 'other', replace(LOCKED, remove=(MODES[0],)))

    def test_a_second_lock_of_the_same_mode_says_that_it_was_locked(
            self, locked: Run, handovers: Dataset, tmp_path: Path) -> None:
        report = lock(locked, handovers, tmp_path / 'again', replace(LOCKED, remove=(MODES[1],)))
        assert report['stopped'] == f'0 rows of 2 changed; locked before: {MODES[1]}'

    @pytest.mark.parametrize('method', [FINE_TUNE, REDIRECT])
    def test_the_leak_of_a_chunk_is_edited_by_the_usual_means(
            self, method: str, locked: Run, handovers: Dataset, tmp_path: Path) -> None:
        options = replace(EDIT, method=method, **{**vars(METHODS[method]), 'retarget': 0.0},
                          remove=(MODES[1],), steps=3, batch_size=16, trust_labels=True)
        unclone(locked, handovers, tmp_path / 'edited', options)
        edited = policy_of(load_run(tmp_path / 'edited'))
        noise = torch.randn(256, *edited.normaliser.chunk_shape)
        observations = locked.observations[:1].expand(256, -1, -1)
        with torch.no_grad():
            before, _ = locked.policy(observations, noise)
            chunks, intents = edited(observations, noise)
        assert not torch.equal(chunks, before), 'the chunk is edited'
        assert (intents[:, (1, 3)] == 0).all(), 'the lock holds'

    def test_another_class_has_no_head_to_lock(self, mixed_dir: Path, dataset: Dataset,
                                               tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r'--policy plan, got flow'):
            lock(load_run(mixed_dir), dataset, tmp_path / 'x', replace(LOCKED, remove=('right',)))

    def test_options_of_steps_are_refused_with_it(
            self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
            capsys: pytest.CaptureFixture[str]) -> None:
        for option in (['--steps', '3'], ['--lr', '1'], ['--trust-labels'], ['--gamma', '1']):
            assert main(['unclone', str(mixed_dir), '--data', str(data_dir), '--remove', 'right',
                         '--method', 'lock', '--out', str(tmp_path / 'x'), *option]) == 2
            assert f'{option[0]} goes with a method that takes steps' in capsys.readouterr().err
