# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels are judged by classifiers that have not seen them; unlabelled episodes get modes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_toys import toy_dataset

from uncloning_ros.cli import unclone as command
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.opinions import Opinions, opinions
from uncloning_ros.learning.options import FINE_TUNE, EditOptions
from uncloning_ros.learning.uncloning import unclone

MODES = ('left', 'right')
OTHER = {'left': 'right', 'right': 'left'}
OPTIONS = EditOptions(('right',), FINE_TUNE, gamma=0.0, tau=None, retarget=0.0, steps=2,
                      batch_size=64, learning_rate=1e-3, seed=0, threads=1)


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


def judged(mixed: Run, dataset: Dataset, seed: int = 0) -> Opinions:
    return opinions(mixed.policy.normaliser, dataset, MODES, seed)


def relabelled(dataset: Dataset, wrong: Iterable[int]) -> Dataset:
    episodes = [replace(one, mode=OTHER[str(one.mode)]) if i in set(wrong) else one
                for i, one in enumerate(dataset.episodes)]
    return replace(dataset, episodes=tuple(episodes))


def labelled_alone(dataset: Dataset, kept: Iterable[int]) -> Dataset:
    episodes = [one if i in set(kept) else replace(one, mode=None, label_source=None)
                for i, one in enumerate(dataset.episodes)]
    return replace(dataset, episodes=tuple(episodes))


def test_right_labels_are_not_doubted(mixed: Run, dataset: Dataset) -> None:
    found = judged(mixed, dataset)
    assert (found.labelled, found.unlabelled, found.given, found.doubted) == (40, 0, {}, {})
    assert found.judged == 40
    assert found.agreement == 1.0
    assert found.applied(dataset) == dataset


def test_a_fifth_of_wrong_labels_is_found(mixed: Run, dataset: Dataset) -> None:
    wrong = {1, 6, 11, 16, 21, 26, 31, 36}
    found = judged(mixed, relabelled(dataset, wrong))
    assert set(found.doubted) == wrong
    one = found.doubted[6]
    assert (one.episode, one.label, one.seen) == ('episode_000006', 'right', 'left')
    assert one.probability >= 0.8
    left = found.applied(relabelled(dataset, wrong))
    assert [i for i, one in enumerate(left.episodes) if one.mode is None] == sorted(wrong)
    assert not set(left.window_frames('train', MODES)) & set(range(12, 24)), 'of episode 1'


def test_unlabelled_episodes_get_the_mode_that_three_labels_of_each_teach(
        mixed: Run, dataset: Dataset) -> None:
    few = labelled_alone(dataset, range(6))
    found = judged(mixed, few)
    assert (found.labelled, found.unlabelled) == (6, 34)
    assert len(found.given) > 25
    assert {i: dataset.episodes[i].mode for i in found.given} == found.given
    taught = found.applied(few)
    assert {taught.episodes[i].label_source for i in found.given} == {'classifier'}
    assert [one.mode for one in taught.episodes[:6]] == [one.mode for one in few.episodes[:6]]


def test_few_labels_are_never_doubted(mixed: Run, dataset: Dataset) -> None:
    few = labelled_alone(relabelled(dataset, [0]), range(10))
    assert not judged(mixed, few).doubted


def test_a_mode_of_one_label_is_learned_and_not_judged(mixed: Run, dataset: Dataset) -> None:
    found = judged(mixed, labelled_alone(dataset, [0, 1, 3, 5]))
    assert found.judged <= 3
    assert {i: dataset.episodes[i].mode for i in found.given} == found.given


def test_modes_that_look_alike_get_no_opinion(mixed: Run, tmp_path: Path) -> None:
    alike = toy_dataset(tmp_path / 'data', ('left',), 40)
    names = np.random.default_rng(1).choice(MODES, 40).tolist()
    episodes = [replace(one, mode=str(name)) for one, name in
                zip(alike.episodes, names, strict=True)]
    found = judged(mixed, replace(alike, episodes=(*episodes[:30], *(
        replace(one, mode=None, label_source=None) for one in episodes[30:]))))
    assert len(found.given) + len(found.doubted) <= 4


def test_opinions_repeat_and_follow_the_seed(mixed: Run, dataset: Dataset) -> None:
    few = labelled_alone(dataset, range(6))
    assert judged(mixed, few) == judged(mixed, few)
    assert judged(mixed, few, seed=1).labelled == 6


def test_an_edit_learns_from_unlabelled_episodes_and_leaves_wrong_labels_out(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    wrong = {2, 9, 15, 28}
    odd = replace(relabelled(dataset, wrong), episodes=tuple(
        one if i < 32 else replace(one, mode=None, label_source=None)
        for i, one in enumerate(relabelled(dataset, wrong).episodes)))
    report = unclone(mixed, odd, tmp_path / 'run', OPTIONS)
    labels: dict[str, Any] = report['labels']
    assert sum(labels['given'].values()) >= 6
    assert {one['episode'] for one in labels['doubted']} == {f'episode_{i:06d}' for i in wrong}
    lines = '\n'.join(command._lines(tmp_path, report))
    assert 'labels              32 episodes, 4 look wrong' in lines
    assert 'without a label     8 episodes,' in lines
    assert warnings_of(report)[0].startswith(
        '4 of 32 labels look wrong, and their episodes took no part: episode_000002 (labelled '
        'right, looks like left), ')
    trusted = unclone(mixed, odd, tmp_path / 'trusted', replace(OPTIONS, trust_labels=True))
    assert trusted['labels'] is None
    assert trusted['retained_loss'] != report['retained_loss']
    assert 'look wrong' not in '\n'.join(command._lines(tmp_path, trusted))
