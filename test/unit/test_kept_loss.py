# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss on kept modes sees their demonstrations, and retargeted copies where they are few."""

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from handover_toys import CONTRACT, OTHER_OFFER, OTHER_TABLE, dataset_of, handover
from learning_toys import train_toy
from torch import Tensor

from uncloning_ros.cli import unclone as command
from uncloning_ros.learning import kept_loss
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.kept_loss import KeptLoss
from uncloning_ros.learning.options import EDIT, FINE_TUNE, EditOptions
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Windows

DEMONSTRATED, RETARGETED = 1.0, 2.0
BATCH = 100


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand in for datasets and windows: own clean chunks are 1, retargeted ones 2."""
    found = SimpleNamespace(batches=[], asked=[], reason='')

    def retarget(data: Any, kept: Any, count: int, rng: Any, on_done: Any) -> tuple[Any, str]:
        found.asked.append(count)
        episodes = [None] * (0 if found.reason else count)
        return SimpleNamespace(value=RETARGETED, episodes=episodes), found.reason

    def dataset_windows(normaliser: Any, data: Any, split: str, modes: Any,
                        looked: None = None) -> Windows:
        return windows_of(data, 0 if found.reason and data.value == RETARGETED else 50)

    def windows_of(data: Any, count: int) -> Windows:
        return Windows(torch.zeros(count, 1), torch.full((count, 1), data.value))

    def losses(windows: Windows, picks: Tensor, generator: Any) -> Tensor:
        found.batches.append(windows.clean[picks, 0])
        return torch.zeros(len(picks))

    monkeypatch.setattr(kept_loss, 'retarget', retarget)
    monkeypatch.setattr(kept_loss, 'dataset_windows', dataset_windows)
    monkeypatch.setattr(kept_loss, 'windows_outside_spans',
                        lambda normaliser, data, split, looked: windows_of(data, 0))
    found.policy = SimpleNamespace(normaliser=None, losses=losses)
    return found


def kept_loss_of(kept: int, removed: int, most: float) -> KeptLoss:
    episodes = [SimpleNamespace(mode=mode, split='train')
                for mode, count in (('kept', kept), ('removed', removed)) for _ in range(count)]
    data: Any = SimpleNamespace(value=DEMONSTRATED, episodes=episodes)
    policy: Any = SimpleNamespace(normaliser=None)
    return KeptLoss(policy, data, ['kept'], most, BATCH, 0)


@pytest.mark.parametrize(('kept', 'removed', 'most', 'share'), [
    (200, 200, 0.75, 0.0), (4, 4, 0.75, 0.0), (31, 200, 0.75, 0.0), (3, 200, 0.5, 0.5),
    (5, 200, 0.75, 0.5), (8, 200, 0.75, 0.31), (10, 200, 0.75, 0.3), (30, 200, 0.75, 0.3),
    (25, 200, 0.1, 0.1), (3, 200, 0.0, 0.0), (3, 200, 0.75, 0.75)])
def test_the_fewer_demonstrations_the_more_are_retargeted_up_to_the_most(
        made: SimpleNamespace, kept: int, removed: int, most: float, share: float) -> None:
    loss = kept_loss_of(kept, removed, most)
    loss.loss(made.policy)
    [batch] = made.batches
    assert len(batch) == BATCH
    assert (batch == RETARGETED).sum() == share * BATCH
    assert loss.report['share'] == share
    assert bool(made.asked) == (share > 0)


def test_held_out_episodes_do_not_count(made: SimpleNamespace) -> None:
    loss = kept_loss_of(10, 200, 0.75)
    episodes = [SimpleNamespace(mode='kept', split='train')] * 10
    episodes += [SimpleNamespace(mode='removed', split='validation')] * 900
    data: Any = SimpleNamespace(value=DEMONSTRATED, episodes=episodes)
    other = KeptLoss(made.policy, data, ['kept'], 0.75, BATCH, 0)
    assert loss.report['share'] == 0.3
    assert other.report['share'] == 0.0


def test_episodes_without_a_label_do_not_count(made: SimpleNamespace) -> None:
    episodes = [SimpleNamespace(mode='kept', split='train')] * 10
    episodes += [SimpleNamespace(mode=None, split='train')] * 900
    data: Any = SimpleNamespace(value=DEMONSTRATED, episodes=episodes)
    assert KeptLoss(made.policy, data, ['kept'], 0.75, BATCH, 0).report['share'] == 0.0


def test_what_could_not_be_retargeted_is_told_and_own_ones_fill_the_batch(
        made: SimpleNamespace) -> None:
    made.reason = 'hand_pose is not observed'
    loss = kept_loss_of(3, 200, 0.5)
    loss.loss(made.policy)
    assert (made.batches[0] == DEMONSTRATED).all()
    assert loss.report == {'share': 0.0, 'episodes': 0, 'reason': made.reason}


def test_some_of_a_batch_is_always_as_it_was_demonstrated(made: SimpleNamespace) -> None:
    assert kept_loss_of(1, 200, 0.999).report['share'] == 0.99


def test_without_any_the_batches_are_those_of_the_plain_loss(made: SimpleNamespace) -> None:
    loss = kept_loss_of(200, 200, 0.5)
    loss.demonstrated = replace(loss.demonstrated, clean=torch.arange(50.0)[:, None])
    loss.loss(made.policy)
    picks = torch.randint(50, (BATCH,), generator=torch.Generator().manual_seed(1))
    assert (made.batches[0] == picks).all()


class TestEdit:
    """A whole edit of a policy that has one demonstration of what is to be kept."""

    KEPT, REMOVED = CONTRACT.interface.mode_names[:2]

    @pytest.fixture
    def edit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return what makes an edit: its folder's name and the seed go in."""
        monkeypatch.setattr(kept_loss, '_EPISODES', 5)
        data = dataset_of((self.KEPT, handover()),
                          *[(self.REMOVED, handover(OTHER_TABLE + [x, 0, 0, 0, 0, 0, 0, 0, 0],
                                                    OTHER_OFFER)) for x in (0, 0.02, 0.04, 0.06)])
        train_toy(data, tmp_path / 'mixed', 2)
        mixed = load_run(tmp_path / 'mixed')
        options = EditOptions((self.REMOVED,), FINE_TUNE, 0.0, None, 0.75, steps=2, batch_size=8,
                              learning_rate=1e-3, seed=0, threads=1)

        def made(name: str, seed: int = 0) -> dict[str, Any]:
            return unclone(mixed, data, tmp_path / name, replace(options, seed=seed))

        return made

    def test_tells_what_was_retargeted_and_repeats_exactly(self, edit: Any,
                                                           tmp_path: Path) -> None:
        report = edit('one')
        assert report['retargeted'] == {'share': 0.75, 'episodes': 5, 'reason': ''}
        assert edit('two')['curve'][0]['retain'] == report['curve'][0]['retain']
        assert edit('other', 1)['curve'][0]['retain'] != report['curve'][0]['retain']
        one, two = (load_run(tmp_path / name).sha256 for name in ('one', 'two'))
        assert one == two

    def test_copies_are_whole_though_a_span_is_short(self, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept_loss, '_EPISODES', 5)
        data = dataset_of((self.KEPT, handover()), (self.REMOVED, handover(OTHER_TABLE)),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        short = replace(data, episodes=tuple(replace(one, span=(0, 3)) for one in data.episodes))
        policy: Any = SimpleNamespace(normaliser=SimpleNamespace(
            condition=lambda observations: observations.flatten(1),
            normalise=lambda observations, chunks: chunks.flatten(1)))
        whole, part = (KeptLoss(policy, one, [self.KEPT], 0.5, BATCH, 0) for one in (data, short))
        assert torch.equal(whole._retargeted.clean, part._retargeted.clean)
        frames = data.episodes[0].frames
        assert (len(whole.demonstrated), len(part.demonstrated)) == (frames, 3)
        assert (whole.outside_spans, part.outside_spans) == (0, 3 * (frames - 3))

    def test_ctrl_c_leaves_nothing(self, edit: Any, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
        def stopped(*_: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(kept_loss, 'retarget', stopped)
        with pytest.raises(KeyboardInterrupt):
            edit('one')
        assert [path.name for path in tmp_path.iterdir()] == ['mixed']

    def test_the_command_tells_how_much(self, edit: Any, tmp_path: Path) -> None:
        lines = command._lines(tmp_path / 'one', edit('one'))
        assert 'retargeted          75.0 % of a batch of kept modes, 5 episodes' in lines


@pytest.mark.parametrize(('words', 'share'), [
    ([], 0.75), (['--retarget', '0'], 0.0), (['--method', 'fine-tune'], 0.0),
    (['--method', 'redirect'], 0.0), (['--method', 'fine-tune', '--retarget', '0.5'], 0.5)])
def test_the_default_edit_retargets_and_the_references_do_not(words: list[str],
                                                              share: float) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(['run', '--data', 'data', '--remove', 'x', '--out', 'out', *words])
    run = SimpleNamespace(config=SimpleNamespace(contract=CONTRACT))
    assert command._options(args, run, EDIT).retarget == share
