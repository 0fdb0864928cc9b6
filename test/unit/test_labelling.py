# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""uncloning label: by hand, by rule, by named clusters; nothing is labelled by half."""

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import episodes
import foreign_bags
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import NOON

from uncloning_ros.cli import main
from uncloning_ros.demos.bags.labels import (
    Label,
    add_label,
    labels_path,
    newest_label,
    read_labels,
    standing_label,
)
from uncloning_ros.demos.labelling.cluster_file import read_clustering, write_clustering
from uncloning_ros.errors import OutputExistsError
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.schema import plain

INTERFACE = episodes.CONTRACT.interface

# Six of the desired mode, four of the other, and one that is neither and stays alone.
SHOWN = [episodes.HANDLE_FIRST] * 6 + [episodes.BLADE_FIRST] * 4 + [episodes.CROSSWISE]
MODES = ['handle_first'] * 6 + ['blade_first'] * 4 + [None]


def faced(presented: tuple[float, float], seed: int) -> episodes.Samples:
    """Return a handover to a hand whose palm faces the tool, as people do."""
    samples = episodes.handover(presented, seed)
    to_tool = samples['object_pose'][-1].values - samples['hand_pose'][-1].values
    turn = rotation_about_z(math.atan2(to_tool[1], to_tool[0]))
    samples['hand_pose'] = [replace(one, values=pose_from_parts(one.values[:3], turn))
                            for one in samples['hand_pose']]
    return samples


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('demos')
    for i, presented in enumerate(SHOWN):
        episodes.write(folder, faced(presented, i), i)
    return folder


@pytest.fixture
def demos(made: Path, tmp_path: Path) -> Path:
    """Return a folder of episodes that a test may label."""
    return Path(shutil.copytree(made, tmp_path / 'demos'))


def label(demos: Path, *words: str) -> int:
    return main.main(['label', str(demos), '--workers', '1', *words])


def refused(capsys: pytest.CaptureFixture[str], demos: Path, *words: str) -> str:
    """Return the sentence that a command ends with, once it has left every sidecar as it was."""
    before = sidecars(demos)
    capsys.readouterr()
    try:
        status = label(demos, *words)
    except SystemExit as err:
        status = int(err.code or 0)
    assert status == 2
    assert sidecars(demos) == before
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert ': error: ' in last
    return last


def sidecars(demos: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(demos.glob('*.json'))}


def standing(demos: Path) -> list[str | None]:
    """Return the mode of every episode, by whatever label counts."""
    found = [standing_label(read_labels(demos / f'episode_{i:06d}', INTERFACE))
             for i in range(len(SHOWN))]
    return [one and one.mode for one in found]


def labels_of(demos: Path, index: int) -> tuple[Label, ...]:
    return read_labels(demos / f'episode_{index:06d}', INTERFACE)


# --- by hand ---

def test_a_person_labels_several_episodes_and_is_named(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--episode', 'episode_000001', f'{demos}/episode_000007/', '--mode',
                 'blade_first', '--operator', 'Anna  Berg', '--confidence', '0.8') == 0
    for index in (1, 7):
        (found,) = labels_of(demos, index)
        assert (found.mode, found.source, found.by, found.confidence) == (
            'blade_first', 'operator', 'Anna Berg', 0.8)
    assert capsys.readouterr().out == (
        'episode_000001: added; blade_first counts now, by operator\n'
        'episode_000007: added; blade_first counts now, by operator\n')


def test_a_withdrawn_label_gives_way_to_the_rule(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--rule', '--scenario', 'knife') == 0
    hand = ('--episode', 'episode_000000', '--operator', 'anna')
    assert label(demos, *hand, '--mode', 'blade_first') == 0
    assert standing(demos)[0] == 'blade_first'
    capsys.readouterr()
    assert label(demos, *hand, '--none') == 0
    assert standing(demos)[0] == 'handle_first'
    assert capsys.readouterr().out == (
        'episode_000000: withdrawn; handle_first counts now, by rule\n')
    assert len(labels_of(demos, 0)) == 3
    assert 'no label of an operator that could be withdrawn' in refused(
        capsys, demos, *hand, '--none')


def test_saying_the_same_twice_adds_nothing(demos: Path) -> None:
    for _ in range(2):
        assert label(demos, '--episode', 'episode_000000', '--mode', 'handle_first',
                     '--operator', 'anna') == 0
    assert len(labels_of(demos, 0)) == 1


def test_a_name_that_is_not_there_suggests_the_near_miss_and_labels_nothing(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(capsys, demos, '--episode', 'episode_000001', 'episode_0000010', '--mode',
                       'blade_first', '--operator', 'anna')
    assert "no episode 'episode_0000010' among the 11 (did you mean" in sentence


def test_a_name_like_no_other_lists_the_names(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(capsys, demos, '--episode', 'nope', '--mode', 'blade_first', '--operator',
                       'anna')
    assert "'nope'" in sentence and 'known: episode_000000, ' in sentence


def test_one_damaged_sidecar_keeps_all_of_them_as_they_are(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels_path(demos / 'episode_000004').write_text('{')
    assert 'episode_000004.labels.json is not JSON' in refused(
        capsys, demos, '--rule', '--scenario', 'knife')


# --- by rule ---

def test_the_rule_labels_every_episode_and_lists_where_it_abstains(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--rule', '--scenario', 'knife') == 0
    assert standing(demos) == MODES
    out = capsys.readouterr().out
    assert 'handle_first                6' in out
    assert 'blade_first                 4' in out
    assert '10 labels added, 0 there already' in out
    assert '1 the rule abstains:\n  1: ' in out
    assert '(episode_000010)' in out.replace('\n    ', ' ')
    # Every episode was planned handle first.
    assert '4 of another opinion:\n  episode_000006: planned handle_first, labelled' in out
    (found,) = labels_of(demos, 0)
    assert (found.source, found.by) == ('rule', f'knife@{episodes.KNIFE.sha256[:12]}')


def test_a_rule_that_knows_none_hints_at_the_scenario(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--rule', '--scenario', 'mug') == 0
    out = capsys.readouterr().out
    assert 'warning: the rule of mug' in out and '--scenario' in out
    assert label(demos, '--rule', '--scenario', 'knife') == 0
    assert 'warning' not in capsys.readouterr().out


def test_the_rule_may_be_asked_again_and_withdraws_where_it_now_abstains(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = demos / 'episode_000010'
    add_label(odd, Label('blade_first', 'rule', 1.0, NOON, 'older rule'), INTERFACE)
    for _ in range(2):
        assert label(demos, '--rule', '--scenario', 'knife') == 0
    out = capsys.readouterr().out
    assert '1 withdrawn:\n  episode_000010' in out
    assert '0 labels added, 10 there already' in out
    assert len(labels_of(demos, 0)) == 1
    assert newest_label(labels_of(demos, 10), 'rule') is None
    assert len(labels_of(demos, 10)) == 2


def test_the_rule_tells_where_a_person_was_of_another_opinion(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--episode', 'episode_000000', '--mode', 'blade_first', '--operator',
                 'anna') == 0
    assert label(demos, '--rule', '--scenario', 'knife') == 0
    assert standing(demos)[0] == 'blade_first'
    assert 'operator anna said blade_first, which counts' in ' '.join(
        capsys.readouterr().out.split())


@pytest.mark.parametrize('way', [('--rule', '--scenario', 'knife'), ('--cluster',)])
def test_a_damaged_bag_is_left_out_and_named(
        demos: Path, capsys: pytest.CaptureFixture[str], way: tuple[str, ...]) -> None:
    (bag,) = (demos / 'episode_000003').glob('*.mcap')
    bag.write_bytes(bag.read_bytes()[:2000])
    assert label(demos, *way) == 0
    assert 'left out 1: episode_000003: ' in ' '.join(capsys.readouterr().out.split())
    assert labels_of(demos, 3) == ()


def test_an_episode_of_another_interface_is_left_out_of_the_clusters(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interface = replace(INTERFACE, modes={'handle_first': True, 'blade_first': True})
    episodes.write(demos, episodes.handover(), 90, replace(episodes.CONTRACT, interface=interface))
    assert label(demos, '--cluster') == 0
    assert 'left out 1: episode_000090: it has another interface' in ' '.join(
        capsys.readouterr().out.split())


@pytest.fixture
def mute(demos: Path) -> Path:
    """Return a folder in which nobody commanded in one take, and one recording broke off."""
    samples = faced(episodes.HANDLE_FIRST, 50)
    samples['target_pose'], samples['target_width'] = [], []
    episodes.write(demos, samples, 50)
    path = foreign_bags.write(demos / 'cut', foreign_bags.messages_of(episodes.handover()))
    (path / 'metadata.yaml').unlink()
    (file,) = path.iterdir()
    file.write_bytes(file.read_bytes()[:-50])
    return demos


@pytest.mark.parametrize('way', [('--rule', '--scenario', 'knife'), ('--cluster',)])
def test_a_take_without_commands_and_one_that_broke_off_are_left_out_and_named(
        mute: Path, capsys: pytest.CaptureFixture[str], way: tuple[str, ...]) -> None:
    assert label(mute, *way) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert ('left out 2: cut: it was never finished: ' in out)
    assert 'episode_000050: no message was recorded on /target_pose (target_pose); ' in out
    if way == ('--cluster',):
        assert label(mute, '--name-cluster', '0=handle_first', '1=blade_first') == 0
    assert standing(mute) == MODES
    assert not labels_path(mute / 'episode_000050').exists()


def test_a_take_without_commands_may_be_labelled_by_hand(mute: Path) -> None:
    assert label(mute, '--episode', 'episode_000050', '--mode', 'handle_first', '--operator',
                 'anna') == 0
    assert [one.mode for one in labels_of(mute, 50)] == ['handle_first']


def test_where_every_take_is_left_out_nothing_is_labelled(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = faced(episodes.HANDLE_FIRST, 50)
    samples['target_pose'] = []
    episodes.write(tmp_path, samples)
    assert f'no episode of {tmp_path} can be used, the first because episode_000000: ' in refused(
        capsys, tmp_path, '--rule', '--scenario', 'knife')


def test_a_person_labels_a_part_of_an_episode(demos: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    command = ('--episode', 'episode_000001', '--mode', 'blade_first', '--operator', 'anna')
    assert label(demos, *command, '--from-s', '0.5', '--to-s', '2') == 0
    assert 'added; blade_first counts now from 0.5 s to 2 s, by op' in capsys.readouterr().out
    assert label(demos, *command, '--to-s', '2') == 0
    assert label(demos, *command, '--to-s', '2.0') == 0
    assert 'there already; blade_first counts now to 2 s' in capsys.readouterr().out
    assert [(one.from_s, one.to_s) for one in labels_of(demos, 1)] == [(0.5, 2.0), (None, 2.0)]


@pytest.mark.parametrize(('words', 'sentence'), [
    (('--from-s', '-1'), "expected a number, 0 or above, got '-1'"),
    (('--from-s', '1', '--to-s', '1'), 'end after its begin at 1 s, got an end at 1 s'),
    (('--from-s', '2', '--to-s', '1'), 'end after its begin at 2 s, got an end at 1 s'),
    (('--to-s', '3.1'), 'episode_000000: the span of its label, to 3.1 s, goes past the end of '
                        'the episode at 3.025 s; label it again with a span that ends by then'),
    (('--from-s', '9'), 'from 9 s, goes past the end of the episode at 3.025 s'),
    (('--from-s', '1.01', '--to-s', '1.02'),
     'from 1.01 s to 1.02 s, covers no window of the episode, which has '),
])
def test_a_span_without_a_window_labels_nothing(
        demos: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
        sentence: str) -> None:
    assert sentence in refused(capsys, demos, '--episode', 'episode_000000', 'episode_000001',
                               '--mode', 'blade_first', '--operator', 'anna', *words)


def test_a_take_that_a_dataset_leaves_out_has_no_window_for_a_span(
        mute: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'no message was recorded on /target_pose' in refused(
        capsys, mute, '--episode', 'episode_000050', '--mode', 'handle_first', '--operator',
        'anna', '--to-s', '1')


@pytest.mark.parametrize(('words', 'sentence'), [
    (('--rule', '--scenario', 'knife', '--to-s', '1'),
     '--to-s goes with --episode, not with --rule'),
    (('--episode', 'episode_000001', '--none', '--operator', 'anna', '--from-s', '1'),
     '--from-s goes with --mode, not with --none')])
def test_a_span_goes_with_a_mode_that_a_person_saw(
        demos: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
        sentence: str) -> None:
    assert sentence in refused(capsys, demos, *words)


# --- by clustering ---

def test_clusters_are_found_but_nothing_is_labelled_before_a_person_named_them(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster') == 0
    assert standing(demos) == [None] * len(SHOWN)
    out = capsys.readouterr().out
    assert 'nothing is labelled yet' in out
    assert f'uncloning label {demos} --name-cluster 0=MODE 1=MODE' in out
    assert '1 in no cluster:\n  episode_000010' in out
    page = (demos / 'clusters.html').read_text()
    assert '--name-cluster 0=MODE 1=MODE' in page
    assert page.count('<svg') == 3  # all of them, and one of each cluster
    assert label(demos, '--name-cluster', '0=handle_first', '1=blade_first', '--operator',
                 'anna') == 0
    assert standing(demos) == MODES
    (found,) = labels_of(demos, 0)
    assert found.source == 'cluster'
    assert found.by.startswith('cluster 0 of ')
    assert found.by.endswith(', named by anna')
    assert 0.5 < found.confidence <= 1.0


def test_the_same_episodes_give_the_same_clusters_whatever_the_workers(demos: Path) -> None:
    assert label(demos, '--cluster') == 0
    assert main.main(['label', str(demos), '--cluster', '--workers', '2', '--clusters',
                      str(demos / 'again.json')]) == 0
    one, two = (json.loads((demos / name).read_text()) for name in ('clusters.json', 'again.json'))
    assert one | {'at': ''} == two | {'at': ''}


def test_clusters_may_be_named_one_after_another(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster') == 0
    assert label(demos, '--name-cluster', '0=handle_first') == 0
    assert standing(demos) == ['handle_first'] * 6 + [None] * 5
    assert '4: cluster 1 got no name' in capsys.readouterr().out
    assert label(demos, '--name-cluster', '1=blade_first') == 0
    assert standing(demos) == MODES


def test_a_later_naming_counts_and_the_earlier_one_stays_on_record(demos: Path) -> None:
    assert label(demos, '--cluster') == 0
    assert label(demos, '--name-cluster', '0=blade_first') == 0
    assert label(demos, '--name-cluster', '0=handle_first') == 0
    assert [one.mode for one in labels_of(demos, 0)] == ['blade_first', 'handle_first']
    assert standing(demos)[0] == 'handle_first'


def test_clusters_found_anew_withdraw_what_older_ones_said_of_outliers(demos: Path) -> None:
    odd = demos / 'episode_000010'
    add_label(odd, Label('blade_first', 'cluster', 0.9, NOON, 'cluster 1 of 0123456789ab'),
              INTERFACE)
    assert label(demos, '--cluster') == 0
    assert label(demos, '--name-cluster', '0=handle_first') == 0
    assert standing(demos)[10] is None


def test_episodes_that_came_or_went_since_are_told(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster') == 0
    episodes.write(demos, episodes.handover(seed=99), 99)
    shutil.rmtree(demos / 'episode_000002')
    capsys.readouterr()
    assert label(demos, '--name-cluster', '0=handle_first') == 0
    out = capsys.readouterr().out
    assert '1 were not there when the clusters were found:\n  episode_000099' in out
    assert '1 of the clusters are no longer there:\n  episode_000002' in out


def test_an_episode_that_was_recorded_anew_is_not_labelled_by_old_clusters(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster') == 0
    shutil.rmtree(demos / 'episode_000002')
    episodes.write(demos, episodes.handover(episodes.BLADE_FIRST, seed=77), 2)
    assert 'episode_000002 is another recording than the one that was clustered' in refused(
        capsys, demos, '--name-cluster', '0=handle_first')


def test_clusters_are_never_overwritten(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster') == 0
    assert 'clusters.json exists already' in refused(capsys, demos, '--cluster')
    found, _ = read_clustering(demos / 'clusters.json')
    with pytest.raises(OutputExistsError):
        write_clustering(demos / 'clusters.json', found)
    (demos / 'clusters.json').unlink()
    assert 'clusters.html exists already' in refused(capsys, demos, '--cluster')


def test_a_clustering_that_cannot_be_written_leaves_no_page(
        demos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from uncloning_ros.demos.labelling import cluster_file as clustering

    def full(path: Path, found: object) -> None:
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(clustering, 'write_clustering', full)
    assert 'the disk is full' in refused(capsys, demos, '--cluster')
    assert not (demos / 'clusters.html').exists()


def test_where_nothing_is_alike_the_remedy_is_told(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(demos, '--cluster', '--apart', '0.000001') == 0
    assert 'try more than --apart 1e-06, or label by hand' in capsys.readouterr().out
    page = (demos / 'clusters.html').read_text()
    assert 'with a larger --apart, or label by hand' in page and '--name-cluster' not in page


# --- bags of plain ros2 bag record ---

@pytest.fixture
def monday(tmp_path: Path) -> Path:
    """Return a folder with one foreign bag that holds two handovers, and a contract beside it."""
    parts = [foreign_bags.at_distance(faced(kind, seed), 5.0 * seed)
             for seed, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST])]
    messages = foreign_bags.messages_of(foreign_bags.joined(*parts))
    foreign_bags.write(tmp_path / 'days' / 'monday', sorted(messages))
    (tmp_path / 'contract.yaml').write_text(json.dumps(plain(episodes.CONTRACT)))
    return tmp_path / 'days'


def test_the_pieces_of_a_bag_are_labelled_one_by_one(
        monday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = ('--contract', str(monday.parent / 'contract.yaml'), '--cut', 'gripper')
    assert label(monday, *cut, '--rule', '--scenario', 'knife') == 0
    given = [json.loads((monday / f'monday#{i}.labels.json').read_text()) for i in (1, 2)]
    assert [one['labels'][-1]['mode'] for one in given] == ['handle_first', 'blade_first']
    assert label(monday, *cut, '--episode', 'monday#2', '--mode', 'handle_first', '--operator',
                 'anna') == 0
    assert "no episode 'monday#3' among the 2 (did you mean" in refused(
        capsys, monday, *cut, '--episode', 'monday#3', '--mode', 'handle_first', '--operator',
        'anna')
    assert 'carries no contract' in refused(capsys, monday, '--rule', '--scenario', 'knife')


def test_pieces_that_were_cut_otherwise_are_not_labelled_by_old_clusters(
        monday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = ('--contract', str(monday.parent / 'contract.yaml'))
    assert label(monday, *contract, '--cut', 'gripper', '--cluster', '--apart', '9') == 0
    assert 'no way was shown often enough' in capsys.readouterr().out
    file = monday / 'clusters.json'
    found = json.loads(file.read_text())
    assert len({one['digest'] for one in found['episodes']}) == 2
    found['clusters'] = [{'cluster': 0, 'size': 2, 'medoid': 'monday#1'}]
    found['episodes'] = [one | {'cluster': 0} for one in found['episodes']]
    file.write_text(json.dumps(found))
    name = ('--name-cluster', '0=handle_first')
    assert 'monday#1 is another recording' in refused(
        capsys, monday, *contract, '--cut', 'idle', '--idle', '2', *name)
    assert label(monday, *contract, '--cut', 'gripper', *name) == 0


def test_a_piece_that_was_cut_otherwise_does_not_get_the_labels_of_its_number(
        monday: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = ('--contract', str(monday.parent / 'contract.yaml'))
    by_hand = ('--episode', 'monday#2', '--mode', 'handle_first', '--operator', 'anna')
    assert label(monday, *contract, '--cut', 'gripper', *by_hand) == 0
    before = (monday / 'monday#2.labels.json').read_bytes()
    otherwise = (*contract, '--cut', 'idle', '--idle', '2')
    sentence = refused(capsys, monday, *otherwise, *by_hand)
    assert 'monday#2.labels.json: expected labels of the piece from ' in sentence
    assert 'cut the bag as it was cut for its labels' in sentence
    assert main.main(['dataset', str(monday), *otherwise, '--out', str(tmp_path / 'odd')]) == 0
    assert 'left out 1: monday#2: ' in ' '.join(capsys.readouterr().out.split())
    assert (monday / 'monday#2.labels.json').read_bytes() == before
    assert label(monday, *contract, '--cut', 'gripper', *by_hand) == 0
    assert main.main(['dataset', str(monday), *contract, '--cut', 'gripper', '--out',
                 str(tmp_path / 'data')]) == 0


def test_a_label_of_the_whole_bag_is_told_to_count_for_no_piece(
        monday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = ('--contract', str(monday.parent / 'contract.yaml'), '--cut', 'gripper')
    add_label(monday / 'monday', Label('blade_first', 'operator', 1.0, NOON), INTERFACE)
    assert label(monday, *cut, '--rule', '--scenario', 'knife') == 0
    assert ('warning: monday.labels.json labels all of monday, which holds several episodes; it '
            'counts for none of them') in ' '.join(capsys.readouterr().out.split())


def test_labels_of_pieces_that_are_no_longer_cut_are_told_to_count_for_nothing(
        monday: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = ('--contract', str(monday.parent / 'contract.yaml'))
    assert label(monday, *contract, '--cut', 'gripper', '--rule', '--scenario', 'knife') == 0
    assert 'count for nothing' not in capsys.readouterr().out
    assert main.main(['inspect', str(monday), *contract]) == 0
    assert ('monday has labels of pieces that it is not cut into now (monday#1.labels.json and 1 '
            'more); they count for nothing') in ' '.join(capsys.readouterr().out.split())


def test_an_only_piece_may_be_labelled_otherwise_than_its_bag(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand = ('--operator', 'anna', '--mode')
    assert label(demos, '--episode', 'episode_000000', *hand, 'blade_first') == 0
    for path in sorted(demos.iterdir()):
        if path.is_dir() and path.name != 'episode_000000':
            shutil.rmtree(path)
    cut = ('--cut', 'gripper', '--episode', 'episode_000000#1')
    capsys.readouterr()
    assert label(demos, *cut, *hand, 'blade_first') == 0
    assert 'there already; blade_first counts now' in capsys.readouterr().out
    assert label(demos, *cut, '--operator', 'anna', '--none') == 0
    assert 'withdrawn; no label counts now' in capsys.readouterr().out
    assert label(demos, *cut, *hand, 'handle_first') == 0
    assert 'added; handle_first counts now' in capsys.readouterr().out


def test_clusters_of_a_single_bag_lie_beside_it(monday: Path) -> None:
    bag = monday / 'monday'
    assert label(bag, '--contract', str(monday.parent / 'contract.yaml'), '--cut', 'gripper',
                 '--cluster') == 0
    assert (monday / 'monday.clusters.json').exists()
    assert (monday / 'monday.clusters.html').exists()
    assert {path.suffix for path in bag.iterdir()} == {'.mcap', '.yaml'}


# --- what is refused ---

@pytest.mark.parametrize(('words', 'sentence'), [
    ((), 'one of --episode, --rule, --cluster, --name-cluster, got none'),
    (('--rule', '--cluster'), 'got --rule, --cluster'),
    (('--rule',), '--scenario NAME'),
    (('--rule', '--scenario', 'knive'), "unknown scenario 'knive' (did you mean 'knife'?)"),
    (('--rule', '--scenario', 'knife', '--mode', 'blade_first'),
     '--mode goes with --episode, not with --rule'),
    (('--cluster', '--operator', 'anna'),
     '--operator goes with --episode, --name-cluster, not with --cluster'),
    (('--cluster', '--apart', '0'), "expected a number above 0, got '0'"),
    (('--cluster', '--clusters', 'clusters.yaml'), 'expected a file that ends in .json'),
    (('--episode', 'episode_000000', '--mode', 'blade_first'), '--operator NAME'),
    (('--episode', 'episode_000000', '--operator', 'anna'), 'either --mode MODE'),
    (('--episode', 'episode_000000', '--operator', 'anna', '--none', '--mode', 'blade_first'),
     'one of the two'),
    (('--episode', 'episode_000000', '--operator', 'anna', '--none', '--confidence', '0.5'),
     '--confidence goes with --mode'),
    (('--episode', 'episode_000000', '--operator', ' ', '--mode', 'blade_first'),
     "expected a name, got ' '"),
    (('--episode', 'episode_000000', '--operator', 'anna', '--mode', 'blade_firts'),
     "unknown mode 'blade_firts' (did you mean 'blade_first'?)"),
    (('--episode', 'episode_000000', '--operator', 'anna', '--mode', 'blade_first',
      '--confidence', '1.5'), "expected a number in [0, 1], got '1.5'"),
    (('--name-cluster', '0=handle_first'), 'make it with uncloning label --cluster'),
    (('--name-cluster', 'handle_first'), 'expected NUMBER=MODE, as in 0=handle_first'),
    (('--name-cluster', '0=handle_first', '0=blade_first'), 'cluster 0 more than once'),
])
def test_what_has_no_sense_is_refused(
        made: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
        sentence: str) -> None:
    assert sentence in refused(capsys, made, *words)


@pytest.mark.parametrize(('words', 'sentence'), [
    (('0=sideways',), "unknown mode 'sideways'"), (('2=handle_first',), 'no cluster 2')])
def test_a_wrong_name_for_a_cluster_is_refused(
        demos: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
        sentence: str) -> None:
    assert label(demos, '--cluster') == 0
    assert sentence in refused(capsys, demos, '--name-cluster', *words)


@pytest.mark.parametrize('change', [
    lambda data: data | {'schema': 'uncloning/clusters@9'},
    lambda data: data | {'episodes': data['episodes'][1:]},
    lambda data: data | {'episodes': data['episodes'] + data['episodes'][:1]},
    lambda data: data | {'clusters': []},
    lambda data: data | {'extra': 1},
    lambda data: data | {'episodes': [one | {'cluster': 0} for one in data['episodes']]},
    lambda data: data | {'interface_sha256': '0'},
    lambda data: {key: value for key, value in data.items() if key != 'apart_m'},
    lambda data: [data]])
def test_a_file_of_clusters_that_was_changed_is_refused(
        demos: Path, capsys: pytest.CaptureFixture[str], change: object) -> None:
    assert label(demos, '--cluster') == 0
    file = demos / 'clusters.json'
    assert callable(change)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    refused(capsys, demos, '--name-cluster', '0=handle_first')


_WORDS = st.sampled_from([
    '--episode', '--rule', '--cluster', '--name-cluster', '--mode', '--none', '--operator',
    '--confidence', '--scenario', '--apart', '--clusters', '--cut', '--topic', '--idle',
    '--contract', 'episode_000000', 'handle_first', 'knife', '0=handle_first', '1', '', 'anna',
    'idle', 'gripper', 'hand_pose=/x', '/nowhere', '\x00', 'ä'])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_WORDS, max_size=6))
def test_no_words_give_a_traceback(
        tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str],
        words: list[str]) -> None:
    folder = tmp_path / 'few'
    if not folder.exists():
        folder.mkdir()
        shutil.copytree(made / 'episode_000000', folder / 'episode_000000')
    try:
        status = label(folder, *words)
    except SystemExit as err:
        status = int(err.code or 0)
    assert status in (0, 2)
    assert 'Traceback' not in capsys.readouterr().err
