# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of people divide a dataset, and the edit removes the episodes that they refuse."""

import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import episodes
import pytest

from uncloning_ros.cli.main import main
from uncloning_ros.demos.bags.answers import Answer, Shown, add_answer, answers_path, now
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.bags.layout import set_aside
from uncloning_ros.demos.bags.reader import episode_digest
from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.errors import DatasetError
from uncloning_ros.preferences import removal
from uncloning_ros.preferences.removal import ACCEPTED, REFUSED, divided
from uncloning_ros.scenario import find_scenario

NOON = '2026-01-31T12:00:00+00:00'
BLADE, HANDLE = range(0, 20, 2), range(1, 20, 2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a dataset, all of whose labels say handle first, and a run of it."""
    found = tmp_path_factory.mktemp('preferences')
    for i in range(20):
        way = episodes.BLADE_FIRST if i in BLADE else episodes.HANDLE_FIRST
        add_label(episodes.write(found / 'demos', episodes.handover(way, seed=i), i),
                  Label('handle_first', 'operator', 1.0, NOON), episodes.CONTRACT.interface)
    assert main(['dataset', str(found / 'demos'), '--out', str(found / 'data'), '--scenario',
                 'knife', '--workers', '1']) == 0
    assert main(['train', str(found / 'data'), '--out', str(found / 'run'), '--steps', '1',
                 '--batch-size', '8', '--threads', '1']) == 0
    return found


@pytest.fixture(scope='module')
def dataset(folder: Path) -> Dataset:
    return load_dataset(folder / 'data')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / 'preferences.json'


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make the standard input a terminal; return the file descriptor to type at."""
    typed, terminal = os.openpty()
    with open(terminal) as stdin:
        monkeypatch.setattr('sys.stdin', stdin)
        yield typed
    os.close(typed)


def answer(file: Path, dataset: Dataset, said: str, *places: int) -> None:
    shown = {one.name: Shown(one.name, one.digest) for one in dataset.episodes}
    add_answer(file, Answer(tuple(shown[f'episode_{i:06d}'] for i in places),
                            said, 'Anna', NOON))  # type: ignore[arg-type]


def live(folder: Path, said: str, index: int, rater: str = 'Ben', **handed: float) -> Path:
    """Record a handover of the policy, and answer on it; return its bag."""
    way = episodes.HANDLE_FIRST if said == 'good' else episodes.BLADE_FIRST
    bag = episodes.write(folder, episodes.handover(way, seed=50 + index, **handed), index)
    add_answer(answers_path(folder), Answer((Shown(bag.name, episode_digest(bag)),),
                                            said, rater, NOON))  # type: ignore[arg-type]
    return bag


def answer_much(file: Path, dataset: Dataset) -> None:
    for handle in HANDLE:
        for blade in (0, 6, 12):
            answer(file, dataset, 'left', handle, blade)
        answer(file, dataset, 'good', handle)
    for blade in BLADE:
        answer(file, dataset, 'bad', blade)


def test_episodes_are_divided_by_answers_whichever_mode_their_label_names(
        dataset: Dataset, file: Path) -> None:
    answer_much(file, dataset)
    found = divided(dataset, episodes.KNIFE, [file])
    blades = {f'episode_{i:06d}' for i in BLADE}
    assert {one.name for one in found.of(REFUSED)} <= blades
    assert {one.name for one in found.of(ACCEPTED)}.isdisjoint(blades)
    assert len(found.of(REFUSED)) > 2 and len(found.of(ACCEPTED)) > 2
    chances = [one.refused for one in found.verdicts]
    assert chances == sorted(chances, reverse=True) and len(chances) == 20
    applied = found.applied(dataset)
    assert applied.contract.interface.mode_names == (ACCEPTED, REFUSED)
    assert {one.name: one.mode for one in applied.episodes} == {
        one.name: one.side for one in found.verdicts}
    assert dataset.contract.interface.mode_names == ('handle_first', 'blade_first')


def test_answers_on_handovers_of_the_policy_teach_what_is_removed_from_the_dataset(
        dataset: Dataset, file: Path, tmp_path: Path) -> None:
    for handle in HANDLE:
        for blade in (0, 6, 12):
            answer(file, dataset, 'left', handle, blade)
    folder = tmp_path / 'live'
    bags = [live(folder, said, i) for i, said in enumerate(10 * ('good', 'bad'))]
    files = [file, answers_path(folder)]
    found = divided(dataset, episodes.KNIFE, files)
    assert found.answers == 50 and found.beside == tuple(map(str, bags))
    blades = {f'episode_{i:06d}' for i in BLADE}
    assert {one.name for one in found.verdicts} == {one.name for one in dataset.episodes}
    assert {one.name for one in found.of(REFUSED)} <= blades and len(found.of(REFUSED)) > 2
    copied = tmp_path / 'copy.json'
    shutil.copy(file, copied)
    assert divided(dataset, episodes.KNIFE, [*files, copied]).verdicts == found.verdicts
    for bag in bags:
        set_aside(bag, 'elsewhere')
    with pytest.raises(DatasetError, match='got 0 good and 0 bad, and 20 answers on other'):
        divided(dataset, episodes.KNIFE, files)


def test_answers_that_do_not_count_are_named_with_the_reason(
        dataset: Dataset, file: Path, tmp_path: Path) -> None:
    answer_much(file, dataset)
    folder = tmp_path / 'live'
    silent, moved, _ = (live(folder, 'bad', i, open_s=open_s)
                        for i, open_s in ((70, 9.0), (71, 2.2), (72, 2.2)))
    set_aside(moved, 'discarded')
    found = divided(dataset, episodes.KNIFE, [file, answers_path(folder)])
    assert found.answers == 51 and found.beside == (str(folder / 'episode_000072'),)
    told = ' '.join(found.warnings)
    assert f'{silent} teaches nothing: it has no exchange' in told
    assert f'{moved} teaches nothing: it is not there' in told
    assert list(found.warnings) == found.report()['warnings']


def test_a_damaged_bag_beside_the_answers_does_not_stop_the_edit(
        dataset: Dataset, file: Path, tmp_path: Path) -> None:
    answer_much(file, dataset)
    folder = tmp_path / 'live'
    emptied, garbled, replaced, whole = (live(folder, 'bad', i, open_s=2.2) for i in range(4))
    for storage in emptied.glob('*.mcap'):
        storage.unlink()
    (garbled / 'metadata.yaml').write_text('x: [')
    shutil.rmtree(replaced)
    shutil.copytree(whole, replaced)
    long = 300 * 'x'
    add_answer(answers_path(folder), Answer((Shown(long, 'f' * 64),), 'bad', 'Ben', NOON))
    found = divided(dataset, episodes.KNIFE, [file, answers_path(folder)])
    assert found.answers == 51 and found.beside == (str(whole),)
    first, second, third, fourth = found.warnings
    assert first.startswith(f'{emptied} teaches nothing: cannot read')
    assert second.startswith(f'{garbled} teaches nothing: ') and 'YAML' in second
    assert third == f'{replaced} teaches nothing: it is another recording now'
    assert fourth.startswith(f'{folder / long} teaches nothing: cannot read')


def test_a_bag_that_is_gone_is_named_with_its_folder_and_not_as_an_episode_of_the_dataset(
        dataset: Dataset, file: Path, tmp_path: Path) -> None:
    answer_much(file, dataset)
    bag = live(tmp_path / 'live', 'bad', 0)
    assert bag.name in {one.name for one in dataset.episodes}
    shutil.rmtree(bag)
    found = divided(dataset, episodes.KNIFE, [file, answers_path(bag.parent)])
    assert found.warnings == (f'{bag} teaches nothing: it is not there',)


def test_an_answer_on_two_copies_of_a_bag_is_left_out_with_a_warning(
        dataset: Dataset, file: Path, tmp_path: Path) -> None:
    answer_much(file, dataset)
    bag = live(tmp_path / 'live', 'bad', 0, open_s=2.2)
    copy = bag.with_name('copy')
    shutil.copytree(bag, copy)
    add_answer(answers_path(bag.parent), Answer(
        tuple(Shown(one.name, episode_digest(one)) for one in (bag, copy)), 'equal', 'Ben', NOON))
    found = divided(dataset, episodes.KNIFE, [file, answers_path(bag.parent)])
    assert found.answers == 51 and found.beside == (str(bag),)
    (warning,) = found.warnings
    assert warning.startswith(f'copy and {bag.name} are copies of one recording: 1 ')


@pytest.mark.parametrize('newest_first', [False, True])
def test_an_older_copy_of_the_answers_brings_none_back_that_was_taken_back(
        dataset: Dataset, file: Path, tmp_path: Path, newest_first: bool) -> None:
    answer_much(file, dataset)
    older = tmp_path / 'older.json'
    shutil.copy(file, older)
    answer(file, dataset, 'withdrawn', BLADE[-1])
    answer(file, dataset, 'good', BLADE[-1])
    answer(older, dataset, 'right', 1, 0)
    files = [file, older] if newest_first else [older, file]
    assert divided(dataset, episodes.KNIFE, [file]).answers == 50
    found = divided(dataset, episodes.KNIFE, files)
    assert found.answers == 51, 'of the new ones both, and not the one that was replaced'


def test_an_answer_given_again_within_the_second_counts(dataset: Dataset, file: Path) -> None:
    answer_much(file, dataset)
    answer(file, dataset, 'withdrawn', BLADE[-1])
    answer(file, dataset, 'bad', BLADE[-1])
    assert divided(dataset, episodes.KNIFE, [file, file]).answers == 50


def test_a_scenario_of_another_tool_is_warned_of(dataset: Dataset, file: Path) -> None:
    answer_much(file, dataset)
    assert not any('another tool' in one for one in divided(
        dataset, episodes.KNIFE, [file]).warnings)
    mug = replace(episodes.KNIFE, name='mug', modes=find_scenario('mug').modes)
    assert any("'mug'" in one and 'another tool' in one for one in divided(
        dataset, mug, [file]).warnings)


def test_an_episode_that_is_not_surely_on_a_side_takes_no_part(
        dataset: Dataset, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_much(file, dataset)
    third = divided(dataset, episodes.KNIFE, [file]).verdicts[2]
    monkeypatch.setattr(removal, 'SURE', third.refused)
    found = divided(dataset, episodes.KNIFE, [file])
    assert len(found.of(REFUSED)) == 3 and found.of(None)
    assert {one.label_source for one in found.applied(dataset).episodes
            if one.mode is None} == {None}


def test_answers_that_do_not_tell_a_limit_are_refused(dataset: Dataset, file: Path) -> None:
    with pytest.raises(DatasetError, match=r'preferences\.json, got no file'):
        divided(dataset, episodes.KNIFE, [file])
    answer(file, dataset, 'left', 1, 0)
    answer(file, dataset, 'good', 1)
    add_answer(file, Answer((Shown('elsewhere', 'f' * 64),), 'bad', 'Anna', now()))
    with pytest.raises(DatasetError, match='1 good and 0 bad, and 1 answer on other'):
        divided(dataset, episodes.KNIFE, [file])
    answer(file, dataset, 'bad', 1)
    with pytest.raises(DatasetError, match='probability of 80%, got none of 20'):
        divided(dataset, episodes.KNIFE, [file])


def run(folder: Path, file: Path, *more: str, beside: tuple[str, ...] = ()) -> int:
    return main(['unclone', str(folder / 'run'), '--data', str(folder / 'data'), '--preferences',
                 str(file), *beside, '--method', 'fine-tune', '--steps', '1', '--batch-size', '8',
                 '--threads', '1', *more])


def test_the_edit_lists_the_episodes_first_and_reports_them(
        folder: Path, dataset: Dataset, file: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    answer_much(file, dataset)
    assert run(folder, file, '--out', str(tmp_path / 'run')) == 2
    shown = capsys.readouterr()
    assert 'nothing was removed; give --yes' in shown.err and not (tmp_path / 'run').exists()
    first = divided(dataset, episodes.KNIFE, [file]).verdicts[0]
    assert f'{first.name}' in shown.out and f'{first.refused:.0%}' in shown.out
    keyboard = request.getfixturevalue('keyboard')
    for said, status in ((b'\n', 2), (b'\4', 2), (b'n\n', 2), (b'y\n', 0)):
        os.write(keyboard, said)
        assert run(folder, file, '--out', str(tmp_path / 'run')) == status
    report = json.loads((tmp_path / 'run' / 'report.json').read_text())
    assert report['edit']['remove'] == [REFUSED] and report['kept'] == [ACCEPTED]
    part = report['preferences']
    assert part['episodes'][0]['name'] == first.name and part['answers'] == 50
    live(tmp_path / 'live', 'bad', 0)
    capsys.readouterr()
    assert run(folder, file, '--yes', '--out', str(tmp_path / 'again'),
               beside=(str(answers_path(tmp_path / 'live')),)) == 0
    assert f'51 answers on episodes of {folder / "data"} and 1 other recording' in (
        capsys.readouterr().out)


def test_a_signal_that_comes_before_the_reading_ends_the_question(
        folder: Path, dataset: Dataset, file: Path, tmp_path: Path, keyboard: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread takes the signal, so it does not interrupt the reading, as one that comes early."""
    answer_much(file, dataset)
    asked, over = threading.Event(), threading.Event()
    noticed: list[bool] = []

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            if '[y/N]' in text:
                asked.set()
            return super().write(text)

    def stop() -> None:
        asked.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        noticed.append(over.wait(10))
        os.write(keyboard, b'n\n')

    thread = threading.Thread(target=stop)
    thread.start()
    monkeypatch.setattr('sys.stdout', Screen())
    assert run(folder, file, '--out', str(tmp_path / 'run')) == 130
    over.set()
    thread.join()
    assert noticed == [True]


@pytest.mark.parametrize(('more', 'said'), [
    (('--remove', 'blade_first'), 'got both'), (('--trust-labels',), 'does not use'),
    (('--scenario', 'spoon'), "'spoon'")])
def test_options_that_do_not_go_together_are_refused(
        folder: Path, dataset: Dataset, file: Path, tmp_path: Path, more: tuple[str, ...],
        said: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer_much(file, dataset)
    assert run(folder, file, '--yes', '--out', str(tmp_path / 'run'), *more) == 2
    assert said in capsys.readouterr().err
    assert main(['unclone', 'run', '--data', 'data', '--remove', 'a', '--yes', '--out',
                 str(tmp_path / 'run')]) == 2
    assert '--yes goes with' in capsys.readouterr().err
