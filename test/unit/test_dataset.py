# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags to training data: alignment, windows, split, provenance, and what is refused."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from uncloning_ros.cli.dataset import summary
from uncloning_ros.cli.main import main
from uncloning_ros.contract import Contract, PolicyTiming
from uncloning_ros.conversions import Sample
from uncloning_ros.demos import building
from uncloning_ros.demos.alignment import align
from uncloning_ros.demos.bag_reader import episode_digest
from uncloning_ros.demos.building import BuildReport, build_dataset
from uncloning_ros.demos.dataset import Dataset, EpisodeRecord, Statistics, load_dataset
from uncloning_ros.demos.labels import Label, add_label
from uncloning_ros.errors import (
    BagError,
    ContractError,
    DatasetError,
    OutputExistsError,
    UncloningError,
)
from uncloning_ros.strict_yaml import canonical_sha256

MS = episodes.MS
NOON = '2026-01-31T12:00:00+00:00'
CONTRACT = episodes.CONTRACT
INTERFACE = CONTRACT.interface
GRIPPER = INTERFACE.observation_slices['gripper_width']
WIDTH = INTERFACE.action_slices['target_width']


def with_timing(**changes: Any) -> Contract:
    return replace(CONTRACT, policy=replace(CONTRACT.policy, **changes))


def numbered(duration_s: float = 2.0) -> episodes.Samples:
    """Return a handover whose gripper width and commanded width tell their own arrival in ms."""
    samples = episodes.handover(duration_s=duration_s)
    for key in ('gripper_width', 'target_width'):
        samples[key] = [moved(sample, 0) for sample in samples[key]]
    return samples


def moved(sample: Sample, by_ms: float) -> Sample:
    """Return the sample, arriving later; a width of it tells when, in ms from the beginning."""
    receive_ns = sample.receive_ns + round(by_ms * MS)
    values = (np.array([(receive_ns - episodes.BEGIN_NS) / MS]) if len(sample.values) == 1
              else sample.values)
    return replace(sample, values=values, receive_ns=receive_ns)


def ms(ticks: Any) -> Any:
    return (ticks - episodes.BEGIN_NS) / MS


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
    return build_dataset([demos], tmp_path_factory.mktemp('made') / 'data', episodes.KNIFE,
                         validation=0.25)


@pytest.fixture
def some(demos: Path, tmp_path: Path) -> Path:
    """Two good episodes of each mode, in a folder that a test may change."""
    folder = tmp_path / 'some'
    folder.mkdir()
    for i in (0, 1, 6, 7):
        shutil.copytree(demos / f'episode_{i:06d}', folder / f'episode_{i:06d}')
    return folder


def build(folder: Path, **more: Any) -> BuildReport:
    return build_dataset([folder], folder.parent / 'data', episodes.KNIFE, **more)


# --- alignment ---

def test_observation_is_the_newest_at_the_tick_and_action_the_first_after_it() -> None:
    samples = numbered()
    observations, actions, ticks = align(episodes.episode(samples), CONTRACT)
    # Tracked poses first arrive at 50 ms; commands fall on the ticks.
    assert ms(ticks[0]) == 50
    assert set(np.diff(ms(ticks))) == {50}
    assert ms(ticks[-1]) == ms(samples['target_width'][-1].receive_ns)
    np.testing.assert_allclose(observations[:, GRIPPER][:, 0], ms(ticks))
    np.testing.assert_allclose(actions[:, WIDTH][:, 0], ms(ticks))


def test_commands_that_lag_behind_their_observation_stay_with_it() -> None:
    """Jitter of the teacher's loop moves the grid, it pairs no command with an older one."""
    rng = np.random.default_rng(1)
    samples = numbered()
    lags = rng.uniform(2.0, 9.0, size=len(samples['target_width']))
    for key in ('target_pose', 'target_width'):
        samples[key] = [moved(s, lag) for s, lag in zip(samples[key], lags, strict=True)]
    observations, actions, _ = align(episodes.episode(samples), CONTRACT)
    answered_ms = actions[:, WIDTH] - observations[:, GRIPPER]
    # All but the few earliest of all commands answer what was seen within this period.
    assert np.mean((answered_ms >= 0) & (answered_ms < 25)) > 0.9
    assert answered_ms.max() < 75


NUMBERED = numbered()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 40.0), st.floats(0.0, 40.0))
def test_no_frame_sees_the_future_or_an_answer_to_the_past(
        seed: int, jitter_ms: float, phase_ms: float) -> None:
    rng = np.random.default_rng(seed)
    samples = dict(NUMBERED)
    samples['gripper_width'] = sorted(
        (moved(s, rng.uniform(0, jitter_ms)) for s in samples['gripper_width']),
        key=lambda s: s.receive_ns)
    for key in ('target_pose', 'target_width'):
        samples[key] = [moved(s, phase_ms) for s in samples[key]]
    observations, actions, ticks = align(episodes.episode(samples), CONTRACT)
    arrivals = np.array([ms(s.receive_ns) for s in samples['gripper_width']])
    commands = np.array([ms(s.receive_ns) for s in samples['target_width']])
    for seen, done, tick in zip(observations[:, GRIPPER][:, 0], actions[:, WIDTH][:, 0],
                                ms(ticks), strict=True):
        assert seen == pytest.approx(arrivals[arrivals <= tick].max(), abs=1e-3)
        assert done == pytest.approx(commands[commands >= tick].min(), abs=1e-3)


def test_an_observation_exactly_as_old_as_allowed_is_used_and_an_older_one_is_not() -> None:
    def without(last: int) -> episodes.Samples:
        samples = numbered()
        del samples['wrist_force'][41:last + 1]
        return samples

    # Number 40 arrives at 1000 ms, number i at 25 i ms; ticks are at 1050, 1100, 1150 ms.
    align(episodes.episode(without(45)), CONTRACT)
    with pytest.raises(DatasetError, match='wrist_force is older than 0.1 s at 1.10 s'):
        align(episodes.episode(without(46)), CONTRACT)


def test_a_measurement_that_is_repeated_with_an_old_stamp_is_stale() -> None:
    samples = numbered()
    frozen = samples['hand_pose'][20]
    samples['hand_pose'] = [
        replace(s, stamp_ns=frozen.stamp_ns, values=frozen.values) if i > 20 else s
        for i, s in enumerate(samples['hand_pose'])]
    with pytest.raises(DatasetError, match=r'hand_pose is stamped 0.350 s before it arrived'):
        align(episodes.episode(samples), CONTRACT)


def test_the_first_frame_is_the_first_with_everything_fresh() -> None:
    samples = numbered()
    samples['hand_pose'] = [samples['hand_pose'][0], *samples['hand_pose'][30:]]
    for key in ('target_pose', 'target_width'):
        samples[key] = samples[key][12:]
    _, _, ticks = align(episodes.episode(samples), CONTRACT)
    # Commands begin at 600 ms; the hand, seen at 50 ms, is seen again at 800 ms.
    assert ms(ticks[0]) == 800


def test_an_observation_that_goes_stale_on_the_way_is_refused() -> None:
    samples = numbered()
    del samples['hand_pose'][20:40]
    with pytest.raises(DatasetError, match=r'hand_pose is older than 0.3 s at 0\.'):
        align(episodes.episode(samples), CONTRACT)


def test_waiting_before_the_first_command_is_left_out() -> None:
    samples = numbered()
    for key in ('target_pose', 'target_width'):
        samples[key] = samples[key][12:]
    _, _, ticks = align(episodes.episode(samples), CONTRACT)
    assert ms(ticks[0]) == 600


def test_a_pause_of_the_commands_is_refused() -> None:
    samples = numbered()
    del samples['target_pose'][10:20]
    with pytest.raises(DatasetError, match='no target_pose for 0.50 s'):
        align(episodes.episode(samples), CONTRACT)


def test_an_episode_shorter_than_history_and_execution_is_refused() -> None:
    with pytest.raises(DatasetError, match=r'at least 10 frames .history . execute., got 9'):
        align(episodes.episode(numbered(0.5)), CONTRACT)
    assert len(align(episodes.episode(numbered(0.55)), CONTRACT)[2]) == 10


def test_a_slower_policy_sees_every_other_tick() -> None:
    episode = episodes.episode(numbered())
    fast = align(episode, CONTRACT)[2]
    slow = align(episode, with_timing(rate_hz=10.0))[2]
    assert set(slow) <= set(fast)
    assert len(slow) == -(-len(fast) // 2)


# --- windows ---

def made_up(lengths: list[int], history: int, horizon: int) -> Dataset:
    """Return a dataset whose values are [episode, frame in it]."""
    contract = replace(CONTRACT, policy=PolicyTiming(20.0, history, horizon, 1))
    records = tuple(EpisodeRecord(f'e{i}', INTERFACE.mode_names[i % 2], 'rule', '', 'train', n,
                                  None) for i, n in enumerate(lengths))
    values = np.array([(i, f) for i, n in enumerate(lengths) for f in range(n)], np.float32)
    return Dataset(contract, 'knife', records, values, values, Statistics((), (), (), ()), (), '')


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 5),
       st.integers(1, 8))
def test_windows_stay_in_their_episode_and_are_padded_with_its_ends(
        lengths: list[int], history: int, horizon: int) -> None:
    dataset = made_up(lengths, history, horizon)
    frames = dataset.window_frames('train')
    assert frames.tolist() == list(range(sum(lengths)))
    histories, chunks = dataset.gather(frames)
    assert histories.shape == (sum(lengths), history, 2)
    assert chunks.shape == (sum(lengths), horizon, 2)
    for (episode, frame), past, ahead in zip(dataset.observations, histories, chunks,
                                             strict=True):
        assert (past[:, 0] == episode).all()
        assert (ahead[:, 0] == episode).all()
        assert past[:, 1].tolist() == [max(0, frame - history + 1 + k) for k in range(history)]
        last = lengths[int(episode)] - 1
        assert ahead[:, 1].tolist() == [min(last, frame + k) for k in range(horizon)]


def test_windows_of_a_mode_come_from_its_episodes_alone() -> None:
    dataset = made_up([3, 4, 2], 2, 4)
    assert dataset.window_frames('train', ['blade_first']).tolist() == [3, 4, 5, 6]
    assert dataset.window_frames('train', ['handle_first']).tolist() == [0, 1, 2, 7, 8]
    assert dataset.window_frames('validation').tolist() == []
    assert dataset.episode_of(np.array([0, 2, 3, 8])).tolist() == [0, 0, 1, 2]


def test_windows_that_do_not_exist_are_refused() -> None:
    dataset = made_up([3], 2, 4)
    with pytest.raises(DatasetError, match=r'expected frames in \[0, 3\), got \[0, 3\]'):
        dataset.gather(np.array([0, 3]))
    with pytest.raises(DatasetError, match="got 'test'"):
        dataset.window_frames('test')
    with pytest.raises(ContractError, match="did you mean 'blade_first'"):
        dataset.window_frames('train', ['blade_frist'])


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
    assert report.disagreeing == ()


def test_frames_of_a_dataset_are_those_of_its_episodes(
        demos: Path, report: BuildReport) -> None:
    from uncloning_ros.demos.bag_reader import read_episode
    dataset = report.dataset
    for i, one in enumerate(dataset.episodes):
        observations, actions, _ = align(read_episode(demos / one.name), CONTRACT)
        rows = slice(dataset.bounds[i], dataset.bounds[i + 1])
        np.testing.assert_array_equal(dataset.observations[rows], observations)
        np.testing.assert_array_equal(dataset.actions[rows], actions)


def test_statistics_are_those_of_the_train_split_alone(report: BuildReport) -> None:
    dataset = report.dataset
    frames = dataset.window_frames('train')
    np.testing.assert_allclose(dataset.statistics.observation_mean,
                               dataset.observations[frames].mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(dataset.statistics.action_std,
                               dataset.actions[frames].std(axis=0, dtype=np.float64))


def test_the_result_does_not_depend_on_the_number_of_workers(demos: Path,
                                                             tmp_path: Path) -> None:
    for workers in (1, 3):
        build_dataset([demos], tmp_path / str(workers), episodes.KNIFE, workers=workers)
    for name in ('dataset.json', 'dataset.safetensors'):
        assert (tmp_path / '1' / name).read_bytes() == (tmp_path / '3' / name).read_bytes()


def test_the_split_depends_on_its_seed(demos: Path, tmp_path: Path) -> None:
    splits = {tuple(one.split for one in build_dataset(
        [demos], tmp_path / str(seed), episodes.KNIFE, validation=0.5,
        seed=seed).dataset.episodes) for seed in range(4)}
    assert len(splits) > 1


@given(st.lists(st.sampled_from(INTERFACE.mode_names), min_size=1, max_size=60),
       st.floats(0.0, 0.99), st.integers(0, 2**32 - 1))
def test_every_mode_is_split_alike(modes: list[str], validation: float, seed: int) -> None:
    splits = building._split(modes, INTERFACE.mode_names, validation, seed)
    for mode in INTERFACE.mode_names:
        mine = [split for one, split in zip(modes, splits, strict=True) if one == mode]
        held = mine.count('validation')
        assert not mine or mine.count('train') >= 1
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
    assert report.disagreeing == ('episode_000000',)
    assert 'another mode than planned: episode_000000' in summary(report)


def test_a_label_in_the_sidecar_spares_the_rule(some: Path) -> None:
    add_label(some / 'episode_000000', Label('blade_first', 'rule', 1.0, NOON), INTERFACE)
    assert build(some).dataset.episodes[0].mode == 'blade_first'


def test_an_episode_on_which_the_rule_abstains_is_left_out_and_named(some: Path) -> None:
    episodes.write(some, episodes.handover(episodes.CROSSWISE), 9)
    report = build(some)
    (one,) = report.dataset.left_out
    assert one.name == 'episode_000009'
    assert 'angle of 90 degrees' in one.reason
    assert 'episode_000009: the rule abstains' in summary(report)


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
    with pytest.raises(DatasetError, match='no episode of .* can be used, the first because '
                                           'episode_000000: the rule abstains'):
        build(tmp_path / 'demos')
    assert [path.name for path in tmp_path.iterdir()] == ['demos']


def test_an_output_that_exists_is_never_overwritten(some: Path) -> None:
    (some.parent / 'data').mkdir()
    with pytest.raises(OutputExistsError, match='data exists already'):
        build(some)
    assert list((some.parent / 'data').iterdir()) == []


def test_a_damaged_bag_stops_the_build_by_name(some: Path) -> None:
    file = next((some / 'episode_000006').glob('*.mcap'))
    file.write_bytes(file.read_bytes()[:-100])
    for workers in (1, 2):
        with pytest.raises(BagError, match='episode_000006.*truncated'):
            build(some, workers=workers)
    assert not (some.parent / 'data').exists()


def test_a_bag_of_another_interface_stops_the_build_by_name(some: Path) -> None:
    interface = replace(INTERFACE, modes={'handle_first': True, 'blade_first': True})
    episodes.write(some, episodes.handover(), 9, replace(CONTRACT, interface=interface))
    with pytest.raises(ContractError, match='episode_000009 was made for another interface: '
                                            'expected modes'):
        build(some)


def test_bags_of_two_policy_rates_need_a_choice(some: Path) -> None:
    slow = with_timing(rate_hz=10.0)
    episodes.write(some, episodes.handover(seed=9), 9, slow)
    with pytest.raises(ContractError, match='episode_000009: expected the policy part .*choose '
                                            'with --contract'):
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


# --- reading a dataset ---

def change_json(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / 'dataset.json'
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def test_a_dataset_is_plain_files_that_others_can_read(some: Path) -> None:
    dataset = build(some).dataset
    folder = some.parent / 'data'
    arrays = load_file(folder / 'dataset.safetensors')
    np.testing.assert_array_equal(arrays['observations'], dataset.observations)
    data = json.loads((folder / 'dataset.json').read_text())
    assert canonical_sha256(data['contract']) == CONTRACT.sha256
    assert data['schema'] == 'uncloning/dataset@1'
    assert load_dataset(folder).sha256 == dataset.sha256


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda d: d.update(schema='uncloning/dataset@2'), "expected 'uncloning/dataset@1'"),
    (lambda d: d.update(colour='red'), "unknown key 'colour'"),
    (lambda d: d['episodes'][0].update(split='test'), 'expected train or validation'),
    (lambda d: d['episodes'][0].update(mode='sideways'), "unknown mode 'sideways'"),
    (lambda d: d['episodes'][0].update(frames=3), 'expected observations float32'),
    (lambda d: d.update(episodes=[]), 'episodes: expected a list'),
    (lambda d: d.update(arrays_sha256='0' * 64), 'is damaged'),
    (lambda d: d['statistics'].pop('action_std'), "missing key 'action_std'"),
    (lambda d: d.pop('contract'), "missing key 'contract'"),
])
def test_a_changed_description_is_refused(
        some: Path, change: Callable[[dict[str, Any]], Any], sentence: str) -> None:
    build(some)
    change_json(some.parent / 'data', change)
    with pytest.raises(UncloningError, match=sentence):
        load_dataset(some.parent / 'data')


def test_damaged_arrays_are_refused(some: Path) -> None:
    build(some)
    file = some.parent / 'data' / 'dataset.safetensors'
    file.write_bytes(file.read_bytes()[:-1] + b'?')
    with pytest.raises(DatasetError, match='is damaged: its sha256'):
        load_dataset(some.parent / 'data')


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='is not a dataset: cannot read .*dataset.json'):
        load_dataset(tmp_path)


# --- the command ---

def test_the_command_prints_a_table_and_ends_with_0(
        some: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = some.parent / 'data'
    assert main(['dataset', str(some), '--out', str(out), '--workers', '1']) == 0
    printed = capsys.readouterr().out
    assert 'handle_first                2       1          1' in printed
    assert f'wrote {out}' in printed


@pytest.mark.parametrize(('words', 'sentence'), [
    (['nowhere', '--out', 'new'], 'nowhere does not exist'),
    (['.', '--out', 'new', '--scenario', 'knive'], "did you mean 'knife'"),
    (['.', '--out', '.'], '. exists already'),
    (['.', '--out', 'new', '--contract', 'none.yaml'], 'cannot read none.yaml'),
])
def test_bad_input_gives_one_sentence_and_2(
        words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(['dataset', *words]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert 'Traceback' not in printed
    assert list(tmp_path.iterdir()) == []
