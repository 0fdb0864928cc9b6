# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels are judged by those of episodes that look alike; unlabelled episodes get modes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_toys import FRAMES, toy_contract, toy_dataset

from uncloning_ros.cli import unclone as command
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning import mode_classifier
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.opinions import Opinions, opinions
from uncloning_ros.learning.options import FINE_TUNE, SELF_DISTILLATION, EditOptions
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Looked, tensors_of_frames

MODES = ('left', 'right')
OTHER = {'left': 'right', 'right': 'left'}
OPTIONS = EditOptions(('right',), FINE_TUNE, gamma=0.0, tau=None, retarget=0.0, steps=2,
                      batch_size=64, learning_rate=1e-3, seed=0, threads=1)


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


def judged(mixed: Run, dataset: Dataset, seed: int = 0) -> Opinions:
    return opinions(mixed.policy.normaliser, dataset, MODES, 1, seed)


def relabelled(dataset: Dataset, wrong: Iterable[int]) -> Dataset:
    episodes = [replace(one, mode=OTHER[str(one.mode)]) if i in set(wrong) else one
                for i, one in enumerate(dataset.episodes)]
    return replace(dataset, episodes=tuple(episodes))


def labelled_alone(dataset: Dataset, kept: Iterable[int]) -> Dataset:
    episodes = [one if i in set(kept) else replace(one, mode=None, label_source=None)
                for i, one in enumerate(dataset.episodes)]
    return replace(dataset, episodes=tuple(episodes))


FOUR = ('left_low', 'left_high', 'right_low', 'right_high')


def four_modes(folder: Path) -> Dataset:
    """Write a dataset of four modes with objects at many places.

    The arm goes by the object on the left or on the right, low or high, at a pace of its own.
    """
    contract = toy_contract(modes={mode: {'desired': mode == FOUR[0]} for mode in FOUR})
    data = toy_dataset(folder, FOUR, 160, contract)
    rng = np.random.default_rng(1)
    observations, actions = data.observations.copy(), data.actions.copy()
    for i, one in enumerate(data.episodes):
        frames = slice(data.bounds[i], data.bounds[i + 1])
        place, mode = rng.normal(0, 0.05, 3), str(one.mode)
        beside = (0, 0.08 if 'left' in mode else -0.08, -0.06 if 'low' in mode else 0.06)
        way = np.linspace(0, 1, FRAMES)[:, None] ** rng.choice([0.4, 2.5]) * (place + beside)
        observations[frames, 9:12] = (0.5, 0, 0.1) + place
        observations[frames, :3] = (0.3, 0, 0.2) + way + rng.normal(0, 0.005, (FRAMES, 3))
        actions[frames, :3] = observations[frames, :3] + 0.1 * way[-1]
    return replace(data, observations=observations, actions=actions)


def normaliser_of(dataset: Dataset) -> Normaliser:
    found = Normaliser(dataset.contract.interface, dataset.contract.policy)
    found.fit(*tensors_of_frames(dataset, dataset.window_frames('train')))
    return found


def test_right_labels_are_not_doubted(mixed: Run, dataset: Dataset) -> None:
    found = judged(mixed, dataset)
    assert (found.labelled, found.unlabelled, found.given, found.doubted) == (40, 0, {}, {})
    assert found.judged == 40
    assert found.agreement == 1.0
    assert not found.trusted
    assert found.applied(dataset) == dataset


def test_a_fifth_of_wrong_labels_is_found(mixed: Run, dataset: Dataset) -> None:
    wrong = {1, 6, 11, 16, 21, 26, 31, 36}
    found = judged(mixed, relabelled(dataset, wrong))
    assert set(found.doubted) == wrong
    one = found.doubted[6]
    assert (one.episode, one.label, one.seen) == ('episode_000006', 'right', 'left')
    assert one.share > 2 / 3
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


def test_three_labels_of_each_of_four_modes_tell_the_others(tmp_path: Path) -> None:
    data = four_modes(tmp_path / 'data')
    found = opinions(normaliser_of(data), labelled_alone(data, range(12)), FOUR, 1, 0)
    true = {i: str(data.episodes[i].mode) for i in found.given}
    assert found.agreement == 1.0
    assert len(true) > 110
    assert sum((mode == FOUR[0]) != (found.given[i] == FOUR[0]) for i, mode in true.items()) <= 1
    assert sum(found.given[i] == mode for i, mode in true.items()) > 0.95 * len(true)


def test_an_episode_that_no_labelled_one_is_like_gets_no_mode(
        mixed: Run, dataset: Dataset) -> None:
    left = [i for i, one in enumerate(dataset.episodes) if one.mode == 'left']
    few = labelled_alone(dataset, left[:4])
    found = opinions(mixed.policy.normaliser, few, MODES, 1, 0)
    assert {*found.given} == {*left[4:]}


def test_modes_of_one_side_may_look_alike(tmp_path: Path) -> None:
    data = four_modes(tmp_path / 'data')
    names = np.random.default_rng(2).choice(['right_low', 'right_high'], len(data.episodes))
    mixed_up = replace(data, episodes=tuple(
        one if 'left' in str(one.mode) else replace(one, mode=str(name))
        for one, name in zip(data.episodes, names, strict=True)))
    found = opinions(normaliser_of(data), labelled_alone(mixed_up, range(40)), FOUR, 2, 0)
    sides = {i: 'right' in str(one.mode) for i, one in enumerate(data.episodes)}
    assert found.agreement == 1.0
    assert len(found.given) > 100
    assert {i: 'right' in mode for i, mode in found.given.items()} == {
        i: sides[i] for i in found.given}


def test_few_labels_are_never_doubted(mixed: Run, dataset: Dataset) -> None:
    few = labelled_alone(relabelled(dataset, [0]), range(10))
    found = judged(mixed, few)
    assert (found.doubted, found.trusted) == ({}, 'a mode has fewer than 10')
    assert (found.judged, found.agreement) == (10, 0.9), 'no episode votes for itself'


def test_a_mode_of_one_label_is_learned_and_not_judged(mixed: Run, dataset: Dataset) -> None:
    found = judged(mixed, labelled_alone(dataset, [0, 1, 3, 5]))
    assert found.judged <= 3
    assert {i: dataset.episodes[i].mode for i in found.given} == found.given


def test_one_label_of_each_mode_alone_is_taken_as_it_is(mixed: Run, tmp_path: Path) -> None:
    found = judged(mixed, toy_dataset(tmp_path / 'data', episodes=2))
    assert (found.labelled, found.judged, found.told) == (2, 0, None)
    assert (found.given, found.doubted, found.spans) == ({}, {}, {})


def test_modes_that_look_alike_get_no_opinion(mixed: Run, tmp_path: Path) -> None:
    alike = toy_dataset(tmp_path / 'data', ('left',), 40)
    names = np.random.default_rng(1).choice(MODES, 40).tolist()
    episodes = [replace(one, mode=str(name)) for one, name in
                zip(alike.episodes, names, strict=True)]
    found = judged(mixed, replace(alike, episodes=(*episodes[:30], *(
        replace(one, mode=None, label_source=None) for one in episodes[30:]))))
    assert len(found.given) + len(found.doubted) <= 4


def test_few_labels_that_contradict_each_other_get_no_spans(tmp_path: Path) -> None:
    alike = toy_dataset(tmp_path / 'data', ('left',), 40)
    names = np.random.default_rng(7).choice(MODES, 40).tolist()
    few = labelled_alone(replace(alike, episodes=tuple(
        replace(one, mode=str(name)) for one, name in zip(alike.episodes, names, strict=True))),
        range(12))
    found = opinions(normaliser_of(alike), few, MODES, 1, 0)
    assert found.trusted == 'they contradict each other'
    assert (found.given, found.spans, found.told) == ({}, {}, None)


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
    assert f'{labels["judged"]} compared with like episodes, 87.5 % confirmed' in lines
    given = labels['given']
    count = sum(given.values())
    assert f'without a label     8 episodes, {count} given a mode, {8 - count} left out\n' in lines
    assert f'\n{"":20}{given["left"]} left\n' in lines
    assert warnings_of(report)[0].startswith(
        '4 of 32 labels look wrong, and their episodes took no part: episode_000002 (labelled '
        'right, looks like left), ')
    trusted = unclone(mixed, odd, tmp_path / 'trusted', replace(OPTIONS, trust_labels=True))
    assert trusted['labels'] is None
    assert trusted['retained_loss'] != report['retained_loss']
    assert 'look wrong' not in '\n'.join(command._lines(tmp_path, trusted))


def opinions_with(**changes: Any) -> dict[str, Any]:
    opinion = Opinions({}, {}, unlabelled=0, labelled=40, judged=30, agreement=1.0, trusted='',
                       told=1.0, spans={})
    return replace(opinion, **changes).report()


def report_with(**changes: Any) -> dict[str, Any]:
    return {'edit': {'method': 'fine-tune', 'remove': ['right']}, 'kept': ['left'],
            'stopped': '', 'elapsed_s': 1.0, 'retained_loss': {'before': None, 'after': None},
            'outside_spans': 0, 'retargeted': {'episodes': 0, 'reason': ''}, 'classifier': None,
            'removal': None, 'labels': opinions_with(**changes)}


def test_labels_that_are_not_judged_are_not_called_right(tmp_path: Path) -> None:
    report = report_with(agreement=0.6, trusted='they contradict each other', unlabelled=3)
    lines = '\n'.join(command._lines(tmp_path, report))
    assert 'look wrong' not in lines
    assert '40 episodes, taken as they are: they contradict each other' in lines
    assert '30 compared with like episodes, 60.0 % confirmed' in lines
    assert warnings_of(report) == [
        '40% of 30 labelled episodes look like those of the other side, kept or removed, so the '
        'labels were taken as they are, and episodes without a label took no part; check the '
        'labels of the episodes']


def test_modes_that_were_given_without_a_test_are_warned_of(tmp_path: Path) -> None:
    report = report_with(given={2: 'left'}, unlabelled=38, labelled=2, judged=0, agreement=None,
                         trusted='a mode has fewer than 10')
    warning, = warnings_of(report)
    assert warning.startswith('1 of 38 episodes without a label got the mode of labelled ones '
                              'that look alike, which was not tested')
    assert warning.endswith('label at least two episodes of each mode')
    assert f'\n{"":20}none could be compared\n' in '\n'.join(command._lines(tmp_path, report))
    tested = report_with(given={2: 'left'}, unlabelled=38, agreement=0.8)
    assert 'so may those that got a mode' in warnings_of(tested)[0]
    assert not warnings_of(report_with(unlabelled=38, agreement=0.8)), 'no mode was given'


def test_lines_about_labels_are_short(tmp_path: Path) -> None:
    given = {i: 'handle_first' if i % 2 else 'blade_first' for i in range(1200)}
    report = report_with(given=given, unlabelled=1201, labelled=1)
    lines = command._lines(tmp_path, report)
    assert 'labels              1 episode, 0 look wrong' in lines
    assert 'without a label     1201 episodes, 1200 given a mode, 1 left out' in lines
    assert max(map(len, lines[1:])) <= 80


def test_a_mode_whose_labels_all_look_wrong_is_named(mixed: Run, tmp_path: Path) -> None:
    contract = toy_contract(modes={'left': {'desired': True}, 'right': {'desired': False},
                                   'up': {'desired': True}})
    run = replace(mixed, config=replace(mixed.config, contract=contract))
    data = toy_dataset(tmp_path / 'data', MODES, 80, contract)
    odd = replace(data, episodes=tuple(replace(one, mode='up') if i < 12 else one
                                       for i, one in enumerate(data.episodes)))
    with pytest.raises(DatasetError, match=r'of all training episodes of up look wrong: '
                                           r'episode_000000, .* looks like left.*--trust-labels'):
        unclone(run, odd, tmp_path / 'run', OPTIONS)


def test_a_mode_that_an_earlier_edit_removed_does_not_come_back_without_a_label(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    contract = toy_contract(modes={'left': {'desired': True}, 'right': {'desired': False},
                                   'up': {'desired': False}})
    edited = replace(mixed, config=replace(mixed.config, contract=contract,
                                           edit={'remove': ['up']}))
    few = replace(labelled_alone(dataset, range(6)), contract=contract)
    with pytest.raises(CheckpointError, match=r'removed up, .* 34 episodes without a label'):
        unclone(edited, few, tmp_path / 'run', OPTIONS)


def test_episodes_without_a_label_are_named_where_a_mode_lacks(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    for there in ([0], [1]):
        with pytest.raises(DatasetError, match='label some of the 39 episodes without a label'):
            unclone(mixed, labelled_alone(dataset, there), tmp_path / 'run', OPTIONS)


def test_right_labels_change_nothing(mixed: Run, dataset: Dataset, tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 50)
    options = replace(OPTIONS, method=SELF_DISTILLATION, gamma=0.5)
    judging, trusting = (unclone(mixed, dataset, tmp_path / str(trust),
                                 replace(options, trust_labels=trust)) for trust in (False, True))
    assert judging['labels']['agreement'] == 1.0
    assert judging['retained_loss'] == trusting['retained_loss']
    assert judging['removal'] == trusting['removal']


def test_without_a_window_of_a_labelled_episode_there_is_no_opinion(
        mixed: Run, dataset: Dataset) -> None:
    few = labelled_alone(dataset, range(6))
    frames = np.arange(6 * 12, 40 * 12)  # the unlabelled episodes alone were looked at
    found = opinions(mixed.policy.normaliser, few, MODES, 1, 0,
                     Looked(frames, torch.zeros(len(frames), 0)))
    assert (found.given, found.doubted, found.judged) == ({}, {}, 0)


def undecided_from(dataset: Dataset, frame: int) -> Dataset:
    """Return the toy dataset where episodes of right go left from a frame on, as those of left.

    Its arm moves ahead, so that an observation tells the frame. In the toy itself none does: there
    the begin of left and the rest of right are alike, and a part of the span is found.
    """
    actions, observations = dataset.actions.copy(), dataset.observations.copy()
    observations[:, 0] += 0.02 * np.tile(np.arange(12), len(dataset.episodes))
    for i, one in enumerate(dataset.episodes):
        if one.mode == 'right':
            actions[dataset.bounds[i] + frame:dataset.bounds[i + 1], 1] += 0.2
    return replace(dataset, actions=actions, observations=observations)


def test_spans_are_found_where_labels_hold_for_the_begin_alone(mixed: Run,
                                                               dataset: Dataset) -> None:
    begin = undecided_from(dataset, 4)
    found = judged(mixed, begin)
    assert found.told is not None
    assert 0.5 < found.told < 0.8
    assert found.report()['spans'] == 40
    assert {one.span for one in found.applied(begin).episodes} == {(0, 4)}


def test_no_label_is_doubted_where_labels_hold_for_the_begin_alone(dataset: Dataset) -> None:
    begin = undecided_from(dataset, 6)
    found = opinions(normaliser_of(begin), relabelled(begin, [6]), MODES, 1, 0)
    assert found.spans
    assert not found.trusted
    assert not found.doubted


def test_spans_are_not_found_where_labels_hold_or_people_gave_spans(mixed: Run,
                                                                    dataset: Dataset) -> None:
    assert judged(mixed, dataset).told == 1.0
    assert not judged(mixed, dataset).spans
    given = undecided_from(dataset, 4)
    given = replace(given, episodes=(replace(given.episodes[0], span=(0, 12)),
                                     *given.episodes[1:]))
    assert not judged(mixed, given).spans


def test_an_edit_holds_the_policy_outside_of_found_spans(mixed: Run, dataset: Dataset,
                                                         tmp_path: Path) -> None:
    report = unclone(mixed, undecided_from(dataset, 4), tmp_path / 'run', OPTIONS)
    assert report['outside_spans'] > 0
    lines = '\n'.join(command._lines(tmp_path, report))
    assert f'spans found in {report["labels"]["spans"]} episodes' in lines
    assert max(map(len, lines.splitlines()[1:])) <= 80
