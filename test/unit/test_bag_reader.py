# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of any recorder: what was recorded is read, what cannot be read gets a sentence."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
import yaml
from foreign_bags import Message, tf, transform
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.decoding import Decoder
from uncloning_ros.demos.bags.info import FoundBags, find_bags, read_info
from uncloning_ros.demos.bags.messages import RawMessage
from uncloning_ros.demos.bags.pieces import Piece
from uncloning_ros.demos.bags.reader import episode_digest, read_episode, verify_episode
from uncloning_ros.errors import BagError, ContractError, DatasetError, UncloningError

MS = episodes.MS
BEGIN_NS = episodes.BEGIN_NS
CONTRACT = episodes.CONTRACT
SAMPLES = episodes.handover()
MESSAGES = foreign_bags.messages_of(SAMPLES)
# What nobody reads: a type that no message definition explains, and a large image.
STRANGE = [Message(BEGIN_NS + i, '/oddity', 'acme_msgs/msg/Oddity', b'\0\1\0\0' + bytes(8))
           for i in range(3)]


def observed(key: str, **changes: Any) -> Contract:
    """Return the contract with another topic for one observation."""
    deployment = CONTRACT.deployment
    topics = dict(deployment.observations)
    topics[key] = replace(topics[key], **changes)
    return replace(CONTRACT, deployment=replace(deployment, observations=topics))


def require_same(found: dict[str, Any], expected: dict[str, Any], atol: float = 1e-12) -> None:
    assert set(found) == set(expected)
    for key, samples in expected.items():
        assert [s.receive_ns for s in found[key]] == [s.receive_ns for s in samples]
        assert [s.stamp_ns for s in found[key]] == [s.stamp_ns for s in samples]
        np.testing.assert_allclose([s.values for s in found[key]],
                                   [s.values for s in samples], atol=atol)


@pytest.fixture(scope='module')
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One bag of every kind of storage, with the same messages."""
    folder = tmp_path_factory.mktemp('foreign')
    return {how: foreign_bags.write(folder / f'bag{i}', [*MESSAGES, *STRANGE], how)
            for i, how in enumerate(foreign_bags.WRITERS)}


def copy(path: Path, to: Path) -> Path:
    shutil.copytree(path, to)
    return to


def storage_file(path: Path) -> Path:
    return next(file for file in path.iterdir() if file.name != 'metadata.yaml')


# --- storages ---

@pytest.mark.parametrize('how', foreign_bags.WRITERS)
def test_every_storage_holds_the_same_episode(bags: dict[str, Path], how: str) -> None:
    episode = read_episode(bags[how], CONTRACT)
    require_same(dict(episode.samples), dict(SAMPLES))
    assert (episode.metadata.planned_mode, episode.metadata.session) == (None, 'foreign0')
    assert verify_episode(bags[how])['/oddity'] == 3


@pytest.mark.parametrize('how', foreign_bags.WRITERS)
def test_a_bag_that_lost_its_metadata_is_read_all_the_same(bags: dict[str, Path], how: str,
                                                           tmp_path: Path) -> None:
    path = copy(bags[how], tmp_path / bags[how].name)
    (path / 'metadata.yaml').unlink()
    require_same(dict(read_episode(path, CONTRACT).samples), dict(SAMPLES))
    require_same(dict(read_episode(storage_file(path), CONTRACT).samples), dict(SAMPLES))


@pytest.mark.parametrize('how', ['mcap', 'mcap, file zstd', 'sqlite3', 'sqlite3, file zstd'])
def test_a_split_bag_is_read_whole_with_and_without_metadata(how: str, tmp_path: Path) -> None:
    path = foreign_bags.split_in_two(tmp_path / 'long', MESSAGES, how)
    require_same(dict(read_episode(path, CONTRACT).samples), dict(SAMPLES))
    (path / 'metadata.yaml').unlink()
    require_same(dict(read_episode(path, CONTRACT).samples), dict(SAMPLES))


def test_ten_parts_and_more_come_in_their_order(tmp_path: Path) -> None:
    for i in (10, 2, 0, 1):
        (tmp_path / f'long_{i}.mcap').touch()
    assert [file.name for file in read_info(tmp_path).files] == [
        'long_0.mcap', 'long_1.mcap', 'long_2.mcap', 'long_10.mcap']


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    path = foreign_bags.split_in_two(tmp_path / 'long', MESSAGES, 'sqlite3')
    (path / 'long_1.db3').unlink()
    with pytest.raises(BagError, match='expected long_1.db3 by metadata.yaml, got long_0.db3; '
                                       'copy the missing file'):
        read_episode(path, CONTRACT)
    path = foreign_bags.split_in_two(tmp_path / 'wide', MESSAGES, 'mcap')
    shutil.copyfile(path / 'wide_0.mcap', path / 'wide_1.mcap')
    with pytest.raises(BagError, match='expected .* by metadata.yaml, got'):
        read_episode(path, CONTRACT)


def test_one_of_our_own_files_alone_tells_its_contract(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, SAMPLES)
    alone = read_episode(storage_file(path))
    assert (alone.contract, alone.metadata) == (CONTRACT, read_episode(path).metadata)


def test_the_digest_is_of_the_messages_files_alone(bags: dict[str, Path], tmp_path: Path) -> None:
    path = copy(bags['sqlite3'], tmp_path / 'copy')
    (path / 'metadata.yaml').unlink()
    assert episode_digest(storage_file(path)) == episode_digest(bags['sqlite3'])


# --- what lies where ---

def test_bags_are_found_as_directories_as_files_and_by_name(bags: dict[str, Path],
                                                            tmp_path: Path) -> None:
    folder = tmp_path / 'monday'
    folder.mkdir()
    copy(bags['sqlite3'], folder / 'c_bag')
    copy(bags['mcap'], folder / 'b_bag')
    shutil.copyfile(storage_file(bags['mcap']), folder / 'a_file.mcap')
    (folder / 'notes').mkdir()
    (folder / 'readme.txt').touch()
    (folder / 'd.partial').mkdir()
    found = find_bags([folder, folder / 'b_bag', bags['sqlite3 of Foxy']])
    assert [path.name for path in found.bags] == ['a_file.mcap', 'b_bag', 'c_bag',
                                                  bags['sqlite3 of Foxy'].name]
    assert [path.name for path in found.unfinished] == ['d.partial']
    assert found.left_out == ()


def test_loose_files_beside_bags_are_bags_of_their_own(bags: dict[str, Path],
                                                       tmp_path: Path) -> None:
    copy(bags['mcap'], tmp_path / 'bag')
    shutil.copyfile(storage_file(bags['mcap']), tmp_path / 'take_0.mcap')
    assert [path.name for path in find_bags([tmp_path]).bags] == ['bag', 'take_0.mcap']


def test_a_name_that_no_page_could_show_is_left_out(bags: dict[str, Path], tmp_path: Path) -> None:
    odd = copy(bags['sqlite3 of Foxy'], tmp_path / os.fsdecode(b'mon\xffday'))
    copy(bags['mcap'], tmp_path / 'bag')
    found = find_bags([tmp_path])
    assert [path.name for path in found.bags] == ['bag']
    assert [one.name for one in found.left_out] == ['mon\\xffday']
    assert 'has a name that is not UTF-8; rename it' in found.left_out[0].reason
    with pytest.raises(BagError, match='has a name that is not UTF-8; rename it'):
        find_bags([odd])


def test_folders_within_folders_are_not_searched(bags: dict[str, Path], tmp_path: Path) -> None:
    copy(bags['mcap'], tmp_path / 'discarded' / 'bag')
    (tmp_path / 'loop').symlink_to(tmp_path)
    assert find_bags([tmp_path]) == FoundBags((), (), ())


@pytest.mark.parametrize(('make', 'sentence'), [
    (lambda path: None, 'does not exist'),
    (lambda path: path.write_text('hello'), 'is not a bag'),
])
def test_what_is_no_bag_is_refused(make: Callable[[Path], Any], sentence: str,
                                   tmp_path: Path) -> None:
    make(tmp_path / 'thing')
    with pytest.raises(BagError, match=sentence):
        find_bags([tmp_path / 'thing'])


# --- topics ---

def test_topics_may_be_called_otherwise(tmp_path: Path) -> None:
    messages = [one._replace(topic='/tracker/hand') if one.topic == '/hand_pose' else one
                for one in MESSAGES]
    path = foreign_bags.write(tmp_path / 'bag', messages, 'sqlite3')
    episode = read_episode(path, CONTRACT, {'hand_pose': 'tracker/hand'})
    require_same(dict(episode.samples), dict(SAMPLES))
    assert episode.contract.deployment.observations['hand_pose'].topic == 'tracker/hand'
    with pytest.raises(BagError) as refused:
        read_episode(path, CONTRACT)
    assert ('has no topic /hand_pose (hand_pose, geometry_msgs/msg/PoseStamped); the nearest is '
            '/tracker/hand (geometry_msgs/msg/PoseStamped), which --topic '
            'hand_pose=/tracker/hand would read; there are /current_pose (geometry_msgs/msg/Pose'
            in str(refused.value))


def test_an_unknown_key_gets_its_near_miss(bags: dict[str, Path]) -> None:
    with pytest.raises(ContractError, match="unknown key 'hand_pos' .did you mean 'hand_pose'"):
        read_episode(bags['mcap'], CONTRACT, {'hand_pos': '/x'})


def test_an_empty_bag_is_refused(tmp_path: Path) -> None:
    for how in ('mcap', 'sqlite3', 'sqlite3 of Foxy'):
        path = foreign_bags.write(tmp_path / how.replace(' ', '_'), [], how)
        with pytest.raises(BagError, match=r'has no topic /current_pose .*no other topic'):
            read_episode(path, CONTRACT)


def test_a_topic_of_another_type_is_refused_with_both(tmp_path: Path) -> None:
    messages = [one._replace(type='sensor_msgs/msg/JointState') if one.topic == '/hand_pose'
                else one for one in MESSAGES]
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap, chunk lz4')
    with pytest.raises(BagError, match='expected .*PoseStamped on /hand_pose, got .*JointState'):
        read_episode(path, CONTRACT)


# --- stamps ---

def unstamped(key: str) -> list[Message]:
    samples = {**SAMPLES, key: [replace(sample, stamp_ns=0) for sample in SAMPLES[key]]}
    return foreign_bags.messages_of(samples)


def test_a_measurement_without_a_stamp_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'bag', unstamped('hand_pose'))
    with pytest.raises(ContractError, match=r'hand_pose: expected a time stamp, got none; .*set '
                                            r'stamped: false for hand_pose in the contract'):
        read_episode(path, CONTRACT)


def test_arrival_stands_in_where_the_contract_says_so(tmp_path: Path) -> None:
    contract = observed('hand_pose', stamped=False)
    for name, messages in (('none', unstamped('hand_pose')), ('wrong', MESSAGES)):
        path = foreign_bags.write(tmp_path / name, messages)
        hand = read_episode(path, contract).samples['hand_pose']
        assert [s.stamp_ns for s in hand] == [s.receive_ns for s in SAMPLES['hand_pose']]


def test_a_command_needs_no_stamp(tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'bag', unstamped('target_pose'))
    assert len(read_episode(path, CONTRACT).samples['target_pose']) == 60


# --- poses from transforms ---

CAMERA = np.array([0.1, 0.2, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0])  # turned by 90 degrees about z
BY_TF = observed('hand_pose', topic='tf', type=foreign_bags.TF, child_frame='hand')


def in_camera(sample: Sample) -> Any:
    """Return the transform of the hand as a camera sees it that hangs at `CAMERA`."""
    rotation = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    position = rotation.T @ (sample.values[:3] - CAMERA[:3])
    columns = (rotation.T @ sample.values[3:].reshape(2, 3).T).T.ravel()
    return transform('camera', 'hand', np.concatenate([position, columns]), sample.stamp_ns)


def with_transforms(static_ns: int | None = BEGIN_NS - 1000 * MS) -> list[Message]:
    """Return the messages with the hand in the tree of transforms."""
    messages = [one for one in MESSAGES if one.topic != '/hand_pose']
    messages += [tf(one.receive_ns, in_camera(one)) for one in SAMPLES['hand_pose']]
    if static_ns is not None:
        messages.append(tf(static_ns, transform('panda_link0', 'camera', CAMERA, 0),
                           topic='/tf_static'))
    return sorted(messages, key=lambda one: one.receive_ns)


@pytest.mark.parametrize('how', ['mcap', 'sqlite3'])
def test_a_pose_from_transforms_is_the_pose_that_a_topic_would_carry(how: str,
                                                                    tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'bag', with_transforms(), how)
    require_same(dict(read_episode(path, BY_TF).samples), dict(SAMPLES), atol=1e-9)


@pytest.mark.parametrize('how', ['mcap, no chunks', 'sqlite3 of Foxy'])
def test_transforms_count_in_the_order_of_their_arrival_however_they_lie(how: str,
                                                                         tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'bag', with_transforms()[::-1], how)
    require_same(dict(read_episode(path, BY_TF).samples), dict(SAMPLES), atol=1e-9)


def test_the_pose_begins_with_the_last_of_its_links(tmp_path: Path) -> None:
    static_ns = BEGIN_NS + 1000 * MS
    path = foreign_bags.write(tmp_path / 'bag', with_transforms(static_ns))
    hand = read_episode(path, BY_TF).samples['hand_pose']
    assert hand[0].receive_ns == static_ns
    assert hand[0].stamp_ns == max(s.stamp_ns for s in SAMPLES['hand_pose']
                                   if s.receive_ns <= static_ns)
    assert len(hand) == 1 + sum(s.receive_ns > static_ns for s in SAMPLES['hand_pose'])


def test_a_missing_link_is_named(tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'bag', with_transforms(static_ns=None))
    with pytest.raises(BagError, match="hand_pose: no transform names frame 'panda_link0'"):
        read_episode(path, BY_TF)
    with pytest.raises(BagError, match="no transform names frame 'hnd' .did you mean 'hand'"):
        read_episode(path, observed('hand_pose', topic='tf', type=foreign_bags.TF,
                                    child_frame='hnd'))


def test_a_bag_without_transforms_lacks_their_topic(bags: dict[str, Path]) -> None:
    with pytest.raises(BagError, match=r'has no topic /tf .hand_pose, tf2_msgs/msg/TFMessage'):
        read_episode(bags['mcap'], BY_TF)


# --- pieces ---

@pytest.mark.parametrize('how', foreign_bags.WRITERS)
@pytest.mark.parametrize('tree', [False, True])
def test_a_piece_holds_what_arrived_within_it(how: str, tree: bool, tmp_path: Path) -> None:
    contract = BY_TF if tree else CONTRACT
    path = foreign_bags.write(tmp_path / 'bag', with_transforms() if tree else MESSAGES, how)
    whole = read_episode(path, contract)
    piece = Piece(2, BEGIN_NS + 1100 * MS, BEGIN_NS + 1900 * MS)
    part = read_episode(path, contract, piece=piece)
    assert (part.name, part.path.parent) == ('bag#2', path.parent)
    require_same(dict(part.samples), {
        key: [s for s in found if piece.begin_ns <= s.receive_ns <= piece.end_ns]
        for key, found in whole.samples.items()})


def test_a_piece_in_which_a_signal_is_silent_is_refused(bags: dict[str, Path]) -> None:
    with pytest.raises(DatasetError, match='no target_pose arrived in'):
        read_episode(bags['mcap'], CONTRACT,
                     piece=Piece(1, BEGIN_NS + 101 * MS, BEGIN_NS + 149 * MS))


# --- damage ---

@pytest.mark.parametrize('how', foreign_bags.WRITERS)
@pytest.mark.parametrize('keep', [0, 5, 0.5, -1])
def test_a_truncated_bag_gets_a_sentence(bags: dict[str, Path], how: str, keep: float,
                                         tmp_path: Path) -> None:
    path = copy(bags[how], tmp_path / bags[how].name)
    data = storage_file(path).read_bytes()
    storage_file(path).write_bytes(
        data[:int(keep * len(data)) if isinstance(keep, float) else keep])
    for read in (lambda: read_episode(path, CONTRACT), lambda: verify_episode(path)):
        with pytest.raises(BagError, match='truncated|damaged'):
            read()


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, bytes]]:
    """The smallest bag of each storage that is read, in a folder of its own, with its bytes."""
    samples = {key: found[:1] for key, found in SAMPLES.items()}
    folder = tmp_path_factory.mktemp('small')
    paths = {how: foreign_bags.write(folder / f'bag{i}', foreign_bags.messages_of(samples), how)
             for i, how in enumerate(foreign_bags.WRITERS)}
    return {how: (path, storage_file(path).read_bytes()) for how, path in paths.items()}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_give_an_episode_or_a_sentence(
        small: dict[str, tuple[Path, bytes]], data: st.DataObject) -> None:
    path, good = small[data.draw(st.sampled_from(list(small)))]
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        bad[at:at + 1] = data.draw(st.binary(max_size=2))
    storage_file(path).write_bytes(bytes(bad))
    with contextlib.suppress(UncloningError):
        read_episode(path, CONTRACT)


def test_a_damaged_table_whose_name_is_no_text_gets_a_sentence(
        small: dict[str, tuple[Path, bytes]]) -> None:
    path, good = small['sqlite3']
    bad = good.replace(b'tabletopics', b'table\x80opics').replace(b'CREATE TABLE topics',
                                                                  b'CREATE TABXE topics')
    assert bad.count(b'\x80opics') == bad.count(b'TABXE') == 1
    storage_file(path).write_bytes(bad)
    with pytest.raises(BagError, match='is truncated or damaged'):
        read_episode(path, CONTRACT)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_of_nonsense_gives_a_sentence(small: dict[str, tuple[Path, bytes]],
                                             data: st.DataObject) -> None:
    path, good = small[data.draw(st.sampled_from(list(small)))]
    begin = data.draw(st.sampled_from([0, 8, 100]))
    storage_file(path).write_bytes(good[:begin] + data.draw(st.binary(max_size=200)))
    with pytest.raises(UncloningError):
        read_episode(path, CONTRACT)


ONE_OF_EACH = list({one.topic: one for one in reversed(with_transforms())}.values())


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_message_is_decoded_or_refused_with_a_sentence(data: st.DataObject) -> None:
    """What no checksum guards: a length, a name, a number or a stamp may be anything."""
    decoder = Decoder(Path('bag'), BY_TF)
    for one in ONE_OF_EACH:
        raw = bytearray(one.data)
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at:at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        with contextlib.suppress(UncloningError):
            decoder.take(RawMessage(one.topic, one.type, one.receive_ns, bytes(raw)))
    with contextlib.suppress(UncloningError):
        for samples in decoder.finish().values():
            for sample in samples:
                assert np.isfinite(sample.values).all()


def test_a_time_that_no_clock_shows_is_damage(tmp_path: Path) -> None:
    messages = [*MESSAGES, MESSAGES[-1]._replace(receive_ns=2**63)]
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap, chunk zstd')
    with pytest.raises(BagError, match='a message was logged at 9223372036854775808 ns'):
        read_episode(path, CONTRACT)


def test_messages_of_no_topic_are_damage(bags: dict[str, Path], tmp_path: Path) -> None:
    path = copy(bags['sqlite3'], tmp_path / 'bag')
    with sqlite3.connect(storage_file(path)) as database:
        database.execute('UPDATE messages SET topic_id = 99 WHERE id = 7')
    database.close()
    with pytest.raises(BagError, match='1 of its messages belong to no topic'):
        read_episode(path, CONTRACT)


def test_a_database_that_was_never_closed_is_not_read_in_part(bags: dict[str, Path],
                                                              tmp_path: Path) -> None:
    path = copy(bags['sqlite3'], tmp_path / 'bag')
    file = storage_file(path)
    file.with_name(file.name + '-wal').write_bytes(b'newest messages')
    with pytest.raises(BagError, match=r'was not closed: messages lie in .*-wal beside it'):
        read_episode(path, CONTRACT)


def test_messages_that_are_no_cdr_are_refused(bags: dict[str, Path], tmp_path: Path) -> None:
    path = copy(bags['sqlite3'], tmp_path / 'bag')
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE topics SET serialization_format = 'json' WHERE name = "
                         "'/hand_pose'")
    database.close()
    with pytest.raises(BagError, match="on /hand_pose, got 'json'"):
        read_episode(path, CONTRACT)


@pytest.mark.parametrize(('change', 'sentence'), [
    ({'storage_identifier': 'my_plugin'}, "expected storage mcap or sqlite3, got 'my_plugin'"),
    ({'compression_format': 'lz5'}, "expected compression zstd or none, got 'lz5'"),
    ({'storage_identifier': 'sqlite3'}, 'expected a SQLite file, got an MCAP file'),
])
def test_foreign_metadata_gets_a_sentence(bags: dict[str, Path], change: dict[str, str],
                                          sentence: str, tmp_path: Path) -> None:
    path = copy(bags['mcap'], tmp_path / 'bag')
    data = yaml.safe_load((path / 'metadata.yaml').read_text())
    data['rosbag2_bagfile_information'].update(change)
    (path / 'metadata.yaml').write_text(yaml.safe_dump(data))
    with pytest.raises(BagError, match=sentence):
        read_episode(path, CONTRACT)
