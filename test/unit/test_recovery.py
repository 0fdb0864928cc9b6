# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a crash left is finished or put aside with a reason; nothing is deleted or made up."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import episodes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from uncloning_ros.cli.main import main
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, bag_topics
from uncloning_ros.demos.bags.labels import read_labels
from uncloning_ros.demos.bags.layout import list_episodes, next_episode_index
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.recording.recovery import Recovery, leftovers, recover
from uncloning_ros.errors import BagError

TOPICS = tuple(bag_topics(episodes.CONTRACT))
Key = tuple[str, int, bytes]


def cdr(number: int) -> bytes:
    return b'\x00\x01\x00\x00' + number.to_bytes(8, 'little')


def write_until_crash(folder: Path, flushes: int = 3, end: str | None = None,
                      index: int = 0) -> Path:
    """Leave what a recorder that was killed leaves: `flushes` chunks of 70 messages each."""
    metadata = replace(episodes.METADATA, episode=index)
    writer = EpisodeWriter(folder / f'episode_{index:06d}', episodes.CONTRACT, metadata)
    numbers = count(1)
    writer.write_event({'event': 'start', 'episode': index}, 1_000)
    for _ in range(flushes):
        for _ in range(10):
            for topic in TOPICS:
                number = next(numbers)
                writer.write(topic, cdr(number), 1_000 + number, 500 + number)
        writer.flush()
    if end is not None:
        writer.write_event({'event': end, 'episode': index, 'mode': 'blade_first'}, 2_000)
        writer.flush()
    writer._file._file.close()
    return writer.partial_dir


@pytest.fixture(scope='module')
def left(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of the file that a crash left: 211 messages in 3 chunks."""
    return mcap_of(write_until_crash(tmp_path_factory.mktemp('left'))).read_bytes()


@pytest.fixture(scope='module')
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return iter(lambda: tmp_path_factory.mktemp('demos'), None)


def mcap_of(path: Path) -> Path:
    return next(path.glob('*.mcap'))


def left_in(folder: Path, data: bytes) -> Path:
    """Put an unfinished episode of these bytes into a folder."""
    path = folder / 'episode_000000.partial'
    path.mkdir(parents=True)
    (path / 'episode_000000_0.mcap').write_bytes(data)
    return path


def messages(path: Path) -> list[Key]:
    """Return the messages of a finished bag, events left out."""
    with mcap_of(path).open('rb') as stream:
        return [(channel.topic, message.log_time, message.data) for _, channel, message
                in make_reader(stream, validate_crcs=True).iter_messages(log_time_order=False)
                if channel.topic != EVENT_TOPIC]


def recorded(until: int) -> list[Key]:
    """Return the first messages that `write_until_crash` writes."""
    return [(TOPICS[(number - 1) % len(TOPICS)], 1_000 + number, cdr(number))
            for number in range(1, until + 1)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def only(outcomes: Iterator[Recovery]) -> Recovery:
    [outcome] = outcomes
    return outcome


def test_everything_that_was_flushed_is_recovered_and_the_bag_says_so(tmp_path: Path) -> None:
    partial = write_until_crash(tmp_path)
    before = files(partial)
    outcome = only(recover(tmp_path))
    assert (outcome.name, outcome.kind) == ('episode_000000', 'finished')
    path = tmp_path / 'episode_000000'
    assert messages(path) == recorded(210)
    with mcap_of(path).open('rb') as stream:
        *_, (_, _, last) = make_reader(stream).iter_messages(EVENT_TOPIC)
    event = json.loads(last.data[8:].rstrip(b'\0'))
    assert (event['event'], event['episode'], event['mode']) == ('recovered', 0, 'handle_first')
    health = recorded_health([(0, event)])
    assert health is not None and health.findings[0].kind == 'recovered'
    assert '211 messages' in health.findings[0].text
    assert 'the last 1 s are missing' in health.findings[0].text
    assert files(tmp_path / 'recovered_from' / partial.name) == before


def test_who_recorded_what_is_still_known(tmp_path: Path) -> None:
    samples = episodes.handover()
    with EpisodeWriter(tmp_path / 'episode_000000', episodes.CONTRACT,
                       episodes.METADATA) as writer:
        for key, found in samples.items():
            for sample in found:
                writer.write_values(key, sample.values, sample.stamp_ns, sample.receive_ns)
        writer.flush()
    assert only(recover(tmp_path)).kind == 'finished'
    read = read_episode(tmp_path / 'episode_000000', episodes.CONTRACT)
    assert read.metadata == episodes.METADATA
    assert {key: len(found) for key, found in read.samples.items()} == {
        key: len(found) for key, found in samples.items()}


@settings(max_examples=25)
@given(data=st.data())
def test_a_file_cut_off_anywhere_gives_its_whole_chunks_or_a_reason(
        left: bytes, folders: Iterator[Path], data: st.DataObject) -> None:
    folder = next(folders)
    keep = data.draw(st.integers(0, len(left)))
    before = files(left_in(folder, left[:keep]))
    outcome = only(recover(folder))
    assert not list(folder.glob('*.partial'))
    if outcome.kind == 'finished':
        found = messages(folder / 'episode_000000')
        assert len(found) in (70, 140, 210)
        assert found == recorded(len(found))
        assert files(folder / 'recovered_from' / 'episode_000000.partial') == before
    else:
        aside = folder / 'quarantine' / 'episode_000000.partial'
        assert files(aside) == before
        assert aside.with_name(f'{aside.name}.reason.txt').read_text().endswith('\n')


@settings(max_examples=25)
@given(data=st.data())
def test_damaged_bytes_never_become_messages(left: bytes, folders: Iterator[Path],
                                             data: st.DataObject) -> None:
    folder = next(folders)
    bad = bytearray(left)
    at = data.draw(st.integers(0, len(bad) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=50))
    bad[at:at + len(noise)] = noise
    left_in(folder, bytes(bad))
    outcome = only(recover(folder))
    if outcome.kind == 'finished':
        assert set(messages(folder / 'episode_000000')) <= set(recorded(210))
        verify_episode(folder / 'episode_000000')


def test_messages_in_a_chunk_that_was_cut_off_are_counted(tmp_path: Path, left: bytes) -> None:
    left_in(tmp_path, left[:left.rindex(cdr(170)) + 12])
    outcome = only(recover(tmp_path))
    assert '141 messages' in outcome.sentence
    assert '30 messages in' in outcome.sentence
    assert 'were cut off while they were written' in outcome.sentence


def test_a_damaged_chunk_in_the_middle_costs_itself_alone(tmp_path: Path, left: bytes) -> None:
    left_in(tmp_path, left.replace(cdr(100), cdr(101), 1))
    assert 'damaged chunks that are left out: 1' in only(recover(tmp_path)).sentence
    assert messages(tmp_path / 'episode_000000') == [
        one for one in recorded(210) if not 1_070 < one[1] <= 1_140]


@pytest.mark.parametrize('word', ['stop', 'discard'])
def test_an_episode_that_was_over_is_finished_without_a_loss(tmp_path: Path, word: str) -> None:
    write_until_crash(tmp_path, end=word)
    assert 'nothing was lost' in only(recover(tmp_path)).sentence
    place = tmp_path / ('discarded' if word == 'discard' else '.') / 'episode_000000'
    assert messages(place) == recorded(210)
    assert verify_episode(place)[EVENT_TOPIC] == 2


@pytest.mark.parametrize('metadata', [True, False])
def test_a_crash_just_before_the_renaming_loses_nothing(tmp_path: Path, metadata: bool) -> None:
    path = episodes.write(tmp_path, episodes.handover())
    before = files(path)
    if not metadata:
        (path / 'metadata.yaml').unlink()
    path.rename(path.with_name(path.name + '.partial'))
    outcome = only(recover(tmp_path))
    assert outcome.kind == 'finished'
    assert len(read_episode(path).samples['hand_pose']) == 120
    if metadata:
        assert files(path) == before


def test_a_label_that_was_given_during_the_take_is_not_lost(tmp_path: Path) -> None:
    write_until_crash(tmp_path, end='label')
    only(recover(tmp_path))
    [label] = read_labels(tmp_path / 'episode_000000', episodes.CONTRACT.interface)
    assert (label.mode, label.source, label.by) == ('blade_first', 'operator', 'Ada')


def test_a_label_outlives_a_crash_just_before_the_renaming(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / 'episode_000000', episodes.CONTRACT, episodes.METADATA)
    for number, event in enumerate(('start', 'label', 'stop'), start=1):
        writer.write_event({'event': event, 'episode': 0, 'mode': 'blade_first'}, number)
    writer.commit().rename(writer.partial_dir)
    assert 'it would be' in only(recover(tmp_path, dry_run=True)).sentence
    assert 'nothing was lost; it is' in only(recover(tmp_path)).sentence
    [label] = read_labels(tmp_path / 'episode_000000', episodes.CONTRACT.interface)
    assert (label.mode, label.source, label.by) == ('blade_first', 'operator', 'Ada')


def test_topics_beside_the_contract_keep_their_description(tmp_path: Path) -> None:
    from uncloning_ros.demos.bags.writer import RecordedTopic
    qos = [{'history': 'keep_last', 'reliability': 'best_effort'}]
    with EpisodeWriter(tmp_path / 'episode_000000', episodes.CONTRACT,
                       episodes.METADATA) as writer:
        writer.add_topic(RecordedTopic('/odd', 'my/msg/Odd', b'float64 x\n', 'RIHS01_a', qos))
        writer.write('/odd', cdr(1), 1, 1)
    only(recover(tmp_path))
    with mcap_of(tmp_path / 'episode_000000').open('rb') as stream:
        [(schema, channel, _)] = make_reader(stream).iter_messages('/odd')
    assert (schema.name, schema.data) == ('my/msg/Odd', b'float64 x\n')
    assert channel.metadata['topic_type_hash'] == 'RIHS01_a'
    assert 'best_effort' in channel.metadata['offered_qos_profiles']


def test_an_episode_that_is_being_recorded_is_left_alone(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / 'episode_000000', episodes.CONTRACT,
                       episodes.METADATA) as writer:
        writer.write_event({'event': 'start'}, 1)
        writer.flush()
        outcome = only(recover(tmp_path))
        assert (outcome.kind, 'is being recorded now' in outcome.sentence) == ('left alone', True)
        assert writer.commit().is_dir()


@pytest.mark.parametrize(('spoil', 'reason'), [
    (lambda path: shutil.rmtree(path) or path.mkdir(), 'expected 1 MCAP file in it, got 0'),
    (lambda path: mcap_of(path).write_bytes(b''), 'its metadata cannot be read'),
    (lambda path: (path.parent / 'episode_000000').mkdir(), 'episode of its name exists'),
    (lambda path: mcap_of(path).write_bytes(mcap_of(path).read_bytes()[:2_500]),
     'no whole chunk of messages was on the disk'),
])
def test_what_cannot_become_an_episode_is_put_aside_with_a_reason(
        tmp_path: Path, spoil: object, reason: str) -> None:
    partial = write_until_crash(tmp_path)
    spoil(partial)  # type: ignore[operator]
    before = files(partial)
    outcome = only(recover(tmp_path))
    assert (outcome.kind, reason in outcome.sentence) == ('quarantined', True), outcome.sentence
    aside = tmp_path / 'quarantine' / partial.name
    assert files(aside) == before
    assert reason in aside.with_name(f'{aside.name}.reason.txt').read_text()


def test_the_bag_of_another_recorder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'rosbag2').mkdir()
    (tmp_path / 'rosbag2' / 'rosbag2_0.mcap').write_bytes(b'\x89MCAP0\r\n')
    before = files(tmp_path)
    assert only(recover(tmp_path)).kind == 'left alone'
    assert files(tmp_path) == before


def test_a_recovery_that_was_cut_off_itself_is_made_again(tmp_path: Path) -> None:
    partial = write_until_crash(tmp_path)
    shutil.copytree(partial, tmp_path / 'episode_000000.recovering.partial')
    kinds = {outcome.name: outcome.kind for outcome in recover(tmp_path)}
    assert kinds == {'episode_000000': 'finished',
                     'episode_000000.recovering.partial': 'quarantined'}
    assert messages(tmp_path / 'episode_000000') == recorded(210)


def test_a_dry_run_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    write_until_crash(tmp_path, index=0)
    write_until_crash(tmp_path, flushes=0, index=1)
    before = files(tmp_path)
    told = [(one.name, one.kind) for one in recover(tmp_path, dry_run=True)]
    assert files(tmp_path) == before
    assert [(one.name, one.kind) for one in recover(tmp_path)] == told
    assert told == [('episode_000000', 'finished'), ('episode_000001.partial', 'quarantined')]


def test_numbers_go_on_above_what_was_left(tmp_path: Path) -> None:
    episodes.write(tmp_path, episodes.handover())
    write_until_crash(tmp_path, index=1)
    assert next_episode_index(tmp_path) == 2
    episodes.write(tmp_path, episodes.handover(), index=2)
    only(recover(tmp_path))
    assert [path.name for path in list_episodes(tmp_path)] == [
        f'episode_{n:06d}' for n in range(3)]


# --- the command ---

def test_the_command_tells_what_became_of_each(tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    write_until_crash(tmp_path)
    assert main(['recover', str(tmp_path), '--dry-run']) == 0
    assert 'episode_000000 finished: ' in capsys.readouterr().out
    assert main(['recover', str(tmp_path)]) == 0
    assert 'episode_000000 finished: ' in capsys.readouterr().out
    assert main(['recover', str(tmp_path)]) == 0
    assert capsys.readouterr().out == f'every episode of {tmp_path} is finished\n'
    (tmp_path / 'empty').mkdir()
    assert main(['recover', str(tmp_path / 'empty')]) == 0
    assert capsys.readouterr().out == (f'{tmp_path}/empty holds no take, finished or not; '
                                       f'give the folder in which takes lie\n')


def test_links_that_lead_in_circles_keep_no_other_take_from_being_recovered(
        tmp_path: Path) -> None:
    write_until_crash(tmp_path, index=1)
    (tmp_path / 'around').symlink_to('around')
    (tmp_path / 'here').symlink_to('.')
    (tmp_path / 'around.partial').symlink_to('around.partial')
    odd = tmp_path / 'episode_000000.partial'
    odd.mkdir()
    (odd / 'episode_000000_0.mcap').symlink_to('episode_000000_0.mcap')
    found = {one.name: one for one in recover(tmp_path)}
    assert found['episode_000001'].kind == 'finished'
    assert found['episode_000000.partial'].kind == 'left alone'
    assert 'cannot read' in found['episode_000000.partial'].sentence
    assert odd.is_dir()


def test_what_another_recorder_has_open_is_no_leftover(tmp_path: Path) -> None:
    left = write_until_crash(tmp_path)
    with EpisodeWriter(tmp_path / 'episode_000001', episodes.CONTRACT,
                       episodes.METADATA) as writer:
        assert leftovers(tmp_path) == ([left], [writer.partial_dir])
    assert leftovers(tmp_path) == ([left, writer.partial_dir], [])


@pytest.mark.parametrize('folder', ['nowhere', 'episode_000000'])
def test_what_is_no_folder_of_episodes_gets_a_sentence(
        tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    episodes.write(tmp_path, episodes.handover())
    assert main(['recover', str(tmp_path / folder)]) == 2
    assert 'give the folder that holds the episodes' in capsys.readouterr().err


def test_a_disk_that_refuses_gets_a_sentence(tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    write_until_crash(tmp_path)
    monkeypatch.setattr(Path, 'rename', lambda *_: (_ for _ in ()).throw(OSError(30, 'frozen')))
    with pytest.raises(BagError, match='frozen'):
        list(recover(tmp_path))
