# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags to a dataset: split, labels, provenance, what is left out and what is refused."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import NOON

from uncloning_ros.cli.dataset import summary
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.labels import Label, add_label, labels_path
from uncloning_ros.demos.bags.reader import episode_digest, read_episode
from uncloning_ros.demos.dataset import building
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.building import BuildReport, build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import (
    ContractError,
    DatasetError,
    OutputExistsError,
)

MS = episodes.MS
CONTRACT = episodes.CONTRACT
INTERFACE = CONTRACT.interface
GRIPPER = INTERFACE.observation_slices['gripper_width']
WIDTH = INTERFACE.action_slices['target_width']


def with_timing(**changes: Any) -> Contract:
    return replace(CONTRACT, policy=replace(CONTRACT.policy, **changes))


@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six handle-first and four blade-first episodes."""
    folder = tmp_path_factory.mktemp('demos')
    for i in range(10):
        kind = episodes.HANDLE_FIRST if i < 6 else episodes.BLADE_FIRST
        mode = 'handle_first' if i < 6 else 'blade_first'
        episodes.write(folder, episodes.handover(kind, i), i, planned_mode=mode)
    return folder


@pytest.fixture(scope='module')
def report(demos: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    return build_dataset([demos], tmp_path_factory.mktemp('made') / 'data',
                         Recipe(episodes.KNIFE), Split(0.25))


@pytest.fixture
def some(demos: Path, tmp_path: Path) -> Path:
    """Two good episodes of each mode, in a folder that a test may change."""
    folder = tmp_path / 'some'
    folder.mkdir()
    for i in (0, 1, 6, 7):
        shutil.copytree(demos / f'episode_{i:06d}', folder / f'episode_{i:06d}')
    return folder


def build(folder: Path, contract: Contract | None = None, labels: str = 'auto',
          **more: Any) -> BuildReport:
    return build_dataset([folder], more.pop('out', folder.parent / 'data'),
                         Recipe(episodes.KNIFE, Reading(contract), labels), Split(), **more)


# --- building ---

def test_a_dataset_holds_every_episode_with_its_provenance(
        demos: Path, report: BuildReport) -> None:
    dataset = report.dataset
    assert Counter((e.mode, e.split) for e in dataset.episodes) == {
        ('handle_first', 'train'): 4, ('handle_first', 'validation'): 2,
        ('blade_first', 'train'): 3, ('blade_first', 'validation'): 1}
    for i, one in enumerate(dataset.episodes):
        assert one.name == f'episode_{i:06d}'
        assert one.digest == episode_digest(demos / one.name)
        assert (one.label_source, one.seed) == ('rule', 100 + i)
    assert dataset.seeds == tuple(range(100, 110))
    assert (dataset.scenario, dataset.left_out) == ('knife', ())
    assert dataset.contract == CONTRACT
    assert not any('planned' in warning for warning in report.warnings)


def test_frames_of_a_dataset_are_those_of_its_episodes(
        demos: Path, report: BuildReport) -> None:
    dataset = report.dataset
    for i, one in enumerate(dataset.episodes):
        observations, actions, _, _ = align(read_episode(demos / one.name), CONTRACT)
        rows = slice(dataset.bounds[i], dataset.bounds[i + 1])
        np.testing.assert_array_equal(dataset.observations[rows], observations)
        np.testing.assert_array_equal(dataset.actions[rows], actions)


def test_the_result_does_not_depend_on_the_number_of_workers(demos: Path,
                                                             tmp_path: Path) -> None:
    for workers in (1, 3):
        build_dataset([demos], tmp_path / str(workers), Recipe(episodes.KNIFE), Split(), workers)
    for name in ('dataset.json', 'dataset.safetensors'):
        assert (tmp_path / '1' / name).read_bytes() == (tmp_path / '3' / name).read_bytes()


def test_the_split_depends_on_its_seed(demos: Path, tmp_path: Path) -> None:
    splits = {tuple(one.split for one in build_dataset(
        [demos], tmp_path / str(seed), Recipe(episodes.KNIFE), Split(0.5, seed)).dataset.episodes)
        for seed in range(4)}
    assert len(splits) > 1


@given(st.lists(st.sampled_from([*INTERFACE.mode_names, None]), min_size=1, max_size=60),
       st.floats(0.0, 0.99), st.integers(0, 2**32 - 1))
def test_every_mode_and_none_is_split_alike(modes: list[str | None], validation: float,
                                            seed: int) -> None:
    found = building._held_out(modes, INTERFACE.mode_names, Split(validation, seed))
    labelled = [mode for mode in modes if mode is not None]
    assert len(found) - sum(modes[i] is None for i in found) == len(
        building._held_out(labelled, INTERFACE.mode_names, Split(validation, seed)))
    for mode in (*INTERFACE.mode_names, None):
        mine = [i for i, one in enumerate(modes) if one == mode]
        held = len(found.intersection(mine))
        assert not mine or held < len(mine)
        assert abs(held - validation * len(mine)) <= 1
        assert held >= (len(mine) > 1 and validation > 0)


def test_progress_is_told_after_each_episode(some: Path) -> None:
    told: list[tuple[int, int]] = []
    build(some, on_done=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# --- labels ---

def test_what_an_operator_said_wins_over_the_rule(some: Path) -> None:
    add_label(some / 'episode_000000', Label('blade_first', 'operator', 1.0, NOON), INTERFACE)
    report = build(some)
    assert (report.dataset.episodes[0].mode, report.dataset.episodes[0].label_source) == (
        'blade_first', 'operator')
    assert 'another mode than planned: episode_000000' in ' '.join(summary(report).split())


def test_a_label_in_the_sidecar_spares_the_rule(some: Path) -> None:
    add_label(some / 'episode_000000', Label('blade_first', 'rule', 1.0, NOON), INTERFACE)
    assert build(some).dataset.episodes[0].mode == 'blade_first'


def test_an_episode_on_which_the_rule_abstains_is_left_out_and_named(some: Path) -> None:
    episodes.write(some, episodes.handover(episodes.CROSSWISE), 9)
    report = build(some)
    (one,) = report.dataset.left_out
    assert one.name == 'episode_000009'
    assert 'angle of 90 degrees' in one.reason
    assert 'episode_000009: the rule abstains' in ' '.join(summary(report).split())


def test_truth_is_asked_where_the_rule_abstains(some: Path) -> None:
    path = episodes.write(some, episodes.handover(episodes.CROSSWISE), 9)
    add_label(path, Label('blade_first', 'truth', 1.0, NOON), INTERFACE)
    assert build(some).dataset.episodes[-1].label_source == 'truth'


def test_only_the_source_that_was_asked_for_counts(some: Path) -> None:
    add_label(some / 'episode_000006', Label('handle_first', 'operator', 1.0, NOON), INTERFACE)
    dataset = build(some, labels='operator').dataset
    assert [one.name for one in dataset.episodes] == ['episode_000006']
    assert [one.reason for one in dataset.left_out] == ['it has no operator label'] * 3


def test_the_planned_mode_counts_only_if_asked_for(some: Path) -> None:
    path = episodes.write(some, episodes.handover(episodes.CROSSWISE), 9,
                          planned_mode='blade_first')
    dataset = build(some, labels='planned').dataset
    assert (dataset.episodes[-1].name, dataset.episodes[-1].mode) == (path.name, 'blade_first')


@pytest.mark.parametrize(('from_s', 'to_s'), [(0.5, 2.0), (None, 1.0), (1.0, None), (0.0, 3.0)])
def test_a_label_with_a_span_gives_its_windows_a_mode_and_the_others_none(
        some: Path, from_s: float | None, to_s: float | None) -> None:
    path = some / 'episode_000000'
    add_label(path, Label('blade_first', 'operator', 1.0, NOON, from_s=from_s, to_s=to_s),
              INTERFACE)
    report = build(some)
    one = report.dataset.episodes[0]
    ticks_s = (align(read_episode(path), CONTRACT).ticks_ns - episodes.BEGIN_NS) * 1e-9
    inside = (ticks_s >= (from_s or 0.0)) & (ticks_s <= (3.0 if to_s is None else to_s))
    assert one.span is not None and one.mode == 'blade_first'
    assert list(range(*one.span)) == np.flatnonzero(inside).tolist()
    outside, frames = np.count_nonzero(~inside), len(report.dataset.observations)
    assert (f'1 label with a span; {outside} of {frames} windows lie outside and have no mode'
            in summary(report))


def test_an_episode_begins_with_its_first_message_but_not_before_its_piece() -> None:
    one = episodes.episode(episodes.handover())
    begin_ns, end_ns = episodes.BEGIN_NS, episodes.BEGIN_NS + 3025 * MS
    assert one.bounds_ns == (begin_ns, end_ns)
    # A static transform from before a piece holds in it.
    piece = replace(one, span_ns=(begin_ns + 500 * MS, end_ns))
    assert piece.bounds_ns == (begin_ns + 500 * MS, end_ns)


def test_a_rule_may_say_more_than_a_person_but_the_person_counts(some: Path) -> None:
    path = some / 'episode_000000'
    add_label(path, Label('handle_first', 'operator', 1.0, NOON, to_s=1.0), INTERFACE)
    add_label(path, Label('handle_first', 'rule', 1.0, NOON), INTERFACE)
    assert build(some).dataset.episodes[0].span is not None
    again = build(some, labels='rule', out=some.parent / 'again')
    assert again.dataset.episodes[0].span is None


@pytest.mark.parametrize(('from_s', 'to_s', 'reason'), [
    (None, 3.2, 'to 3.2 s, goes past the end of the episode at 3.025 s'),
    (4.0, None, 'from 4 s, goes past the end'), (1.01, 1.02, 'covers no window')])
def test_an_episode_whose_label_has_a_span_without_a_window_is_left_out_and_named(
        some: Path, from_s: float | None, to_s: float | None, reason: str) -> None:
    add_label(some / 'episode_000000', Label('blade_first', 'operator', 1.0, NOON, from_s=from_s,
                                             to_s=to_s), INTERFACE)
    (one,) = build(some).dataset.left_out
    assert one.name == 'episode_000000' and reason in one.reason


def test_without_spans_and_unlabelled_episodes_the_description_has_no_key_for_them(
        demos: Path, report: BuildReport, tmp_path: Path) -> None:
    build_dataset([demos], tmp_path / 'data', Recipe(episodes.KNIFE, keep_unlabelled=True),
                  Split(0.25))
    text = (tmp_path / 'data' / 'dataset.json').read_bytes()
    assert hashlib.sha256(text).hexdigest() == report.dataset.sha256
    assert {frozenset(one) for one in json.loads(text)['episodes']} == {frozenset(
        ('name', 'mode', 'label_source', 'digest', 'split', 'frames', 'seed'))}


@pytest.mark.parametrize('labels', ['auto', 'operator', 'planned'])
def test_unlabelled_episodes_stay_if_asked_for(some: Path, labels: str) -> None:
    for i in (10, 11, 12):
        episodes.write(some, episodes.handover(episodes.CROSSWISE, i), i, planned_mode=None)
    add_label(some / 'episode_000000', Label('handle_first', 'operator', 1.0, NOON), INTERFACE)
    short = {key: found[:8] for key, found in episodes.handover().items()}
    episodes.write(some, short, 13, planned_mode=None)
    report = build_dataset([some], some.parent / 'data', Recipe(
        episodes.KNIFE, labels=labels, keep_unlabelled=True), Split(0.3))
    dataset = report.dataset
    assert [one.name for one in dataset.left_out] == ['episode_000013']
    bare = [one for one in dataset.episodes if one.mode is None]
    assert len(dataset.episodes) == 7 and {one.name for one in bare} >= {
        'episode_000010', 'episode_000011', 'episode_000012'}
    assert len(bare) == (6 if labels == 'operator' else 3)
    assert {one.label_source for one in bare} == {None}
    assert sum(one.split == 'validation' for one in bare) == (2 if labels == 'operator' else 1)
    assert not any('another mode' in warning for warning in report.warnings)
    assert f'without a label      {len(bare):>8}' in summary(report)
    assert load_dataset(some.parent / 'data').episodes == dataset.episodes


def test_damaged_labels_are_no_missing_label(some: Path) -> None:
    labels_path(some / 'episode_000000').write_text('{')
    report = build_dataset([some], some.parent / 'data', Recipe(
        episodes.KNIFE, keep_unlabelled=True), Split())
    (one,) = report.dataset.left_out
    assert one.name == 'episode_000000' and 'is not JSON' in one.reason


# --- left out and named ---

def test_short_broken_off_and_repeated_episodes_are_left_out_and_named(some: Path) -> None:
    episodes.write(some, {key: found[:8 if key.startswith('target') else 24]
                          for key, found in episodes.handover().items()}, 8)
    shutil.copytree(some / 'episode_000000', some / 'episode_000009')
    (some / 'episode_000010.partial').mkdir()
    (some / 'episode_000010.partial' / 'episode_000010_0.mcap').touch()
    report = build(some, labels='planned')
    reasons = {one.name: one.reason for one in report.dataset.left_out}
    assert 'expected at least 10 frames' in reasons['episode_000008']
    assert reasons['episode_000009'] == 'it is the same recording as episode_000000'
    assert reasons['episode_000010.partial'] == 'it was never finished'
    assert len(report.dataset.episodes) == 4


def test_a_mode_with_few_episodes_gets_a_warning(report: BuildReport) -> None:
    assert '6 episodes of mode handle_first; 20 or more are better' in report.warnings
    assert max(map(len, summary(report).splitlines())) <= 80


# --- refused ---

def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'demos').mkdir()
    with pytest.raises(DatasetError, match='holds no episode; record some'):
        build(tmp_path / 'demos')


def test_nothing_usable_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    episodes.write(tmp_path / 'demos', episodes.handover(episodes.CROSSWISE))
    with pytest.raises(DatasetError, match='demos .*episode_000000: the rule abstains'):
        build(tmp_path / 'demos')
    assert [path.name for path in tmp_path.iterdir()] == ['demos']


def test_an_output_that_exists_is_never_overwritten(some: Path) -> None:
    (some.parent / 'data').mkdir()
    with pytest.raises(OutputExistsError, match='data exists already'):
        build(some)
    assert list((some.parent / 'data').iterdir()) == []


def test_a_damaged_bag_is_left_out_by_name(some: Path) -> None:
    file = next((some / 'episode_000006').glob('*.mcap'))
    file.write_bytes(file.read_bytes()[:-100])
    for workers in (1, 2):
        report = build(some, out=some.parent / f'data_{workers}', workers=workers)
        assert len(report.dataset.episodes) == 3
        (one,) = report.dataset.left_out
        assert one.name == 'episode_000006'
        assert 'truncated' in one.reason


def test_a_message_that_cannot_be_decoded_leaves_out_its_bag(some: Path) -> None:
    messages = foreign_bags.messages_of(episodes.handover(seed=3))
    nameless = foreign_bags.build(
        'sensor_msgs/msg/JointState', header=foreign_bags.header(messages[0].receive_ns), name=[],
        position=np.zeros(0), velocity=np.zeros(0), effort=np.zeros(0))
    at = next(i for i, one in enumerate(messages) if one.type == 'sensor_msgs/msg/JointState')
    messages[at] = messages[at]._replace(
        data=foreign_bags.serialised(nameless, 'sensor_msgs/msg/JointState')[:-3])
    foreign_bags.write(some / 'monday', messages)
    report = build(some, contract=CONTRACT)
    assert len(report.dataset.episodes) == 4
    assert [one.name for one in report.dataset.left_out] == ['monday']
    assert 'is not a sensor_msgs/msg/JointState' in report.dataset.left_out[0].reason


def test_a_bag_of_another_interface_is_left_out_by_name(some: Path) -> None:
    interface = replace(INTERFACE, modes={'handle_first': True, 'blade_first': True})
    episodes.write(some, episodes.handover(), 9, replace(CONTRACT, interface=interface))
    report = build(some)
    assert len(report.dataset.episodes) == 4
    assert [one.name for one in report.dataset.left_out] == ['episode_000009']
    assert 'interface: expected modes' in report.dataset.left_out[0].reason


def test_a_contract_that_fits_no_bag_stops_the_build(some: Path) -> None:
    interface = replace(INTERFACE, modes={'handle_first': True, 'blade_first': True})
    with pytest.raises(DatasetError, match='episode_000000: .* interface: expected modes'):
        build(some, contract=replace(CONTRACT, interface=interface))
    with pytest.raises(ContractError, match="unknown key 'hand'"):
        build_dataset([some], some.parent / 'data',
                      Recipe(episodes.KNIFE, Reading(topics={'hand': '/hand'})), Split())
    assert [path.name for path in some.parent.iterdir()] == ['some']


def test_bags_of_two_policy_rates_need_a_choice(some: Path) -> None:
    slow = with_timing(rate_hz=10.0)
    episodes.write(some, episodes.handover(seed=9), 9, slow)
    with pytest.raises(ContractError, match='episode_000009: .*=20.*=10.*--contract'):
        build(some)
    assert build(some, contract=slow).dataset.contract == slow


def test_an_interrupt_leaves_nothing(some: Path) -> None:
    def stop(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(some, on_done=stop, workers=2)
    assert [path.name for path in some.parent.iterdir()] == ['some']


def test_a_full_disk_leaves_nothing(some: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: Any, **__: Any) -> int:
        path.touch()
        raise OSError(28, 'No space left on device', str(path))

    monkeypatch.setattr(Path, 'write_text', full)
    with pytest.raises(OSError, match='No space left'):
        build(some)
    assert [path.name for path in some.parent.iterdir()] == ['some']
