# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of other formats, and bags beside the metadata.yaml of another file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import episodes
import foreign_bags
import pytest
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.cli import main
from uncloning_ros.demos.bags.info import find_bags
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.errors import BagError, ForeignBagError

CONTRACT = episodes.CONTRACT
CONFIG = Path(__file__).resolve().parents[2] / 'config'
MESSAGES = foreign_bags.messages_of(episodes.handover())


def ros_1_bag(path: Path) -> Path:
    store = get_typestore(Stores.ROS1_NOETIC)
    name = 'std_msgs/msg/String'
    with Ros1Writer(path) as writer:
        topic = writer.add_connection('/chatter', name, typestore=store)
        writer.write(topic, 1, store.serialize_ros1(store.types[name](data='x'), name))
    return path


def mcap(path: Path, encoding: str, data: bytes = b'{}') -> Path:
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start()
        schema = writer.register_schema('geometry_msgs/PoseStamped', encoding, b'')
        channel = writer.register_channel('/pose', encoding, schema)
        writer.add_message(channel, 1, data, 1)
        writer.finish()
    return path


def lerobot(path: Path) -> Path:
    (path / 'meta').mkdir(parents=True)
    (path / 'meta' / 'info.json').write_text('{"codebase_version": "v3.0"}')
    return path


def written(begin: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(begin + b'more')
        return path
    return write


LFS = written(b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n')


@pytest.mark.parametrize(('make', 'name', 'kind', 'remedy'), [
    (ros_1_bag, 'take.bag', 'a ROS 1 bag', 'rosbags-convert --src {} --dst take'),
    (ros_1_bag, 'my take.bag', 'a ROS 1 bag', "rosbags-convert --src '{}' --dst 'my take'"),
    (ros_1_bag, 'take.bag.active', 'a ROS 1 bag that was never finished', 'rosbag reindex'),
    (written(b'PK'), 'take.bag', 'does not begin as a ROS 1 bag', 'rosbag reindex'),
    (LFS, 'take.bag', 'a Git LFS pointer', 'git lfs pull'),
    (written(b'\x89HDF\r\n\x1a\n'), 'demo.hdf5', 'an HDF5 file', 'rosbags.rosbag2.Writer'),
    (written(b'PAR1'), 'file-000.parquet', 'a Parquet file', 'rosbags.rosbag2.Writer'),
    (written(b'PK\x03\x04'), 'monday.zip', 'a ZIP archive', 'unpack it'),
    (written(b'\x1f\x8b'), 'monday.tar.gz', 'a gzip archive', 'unpack it'),
    (lerobot, 'pick_place', 'a LeRobot data set', 'rosbags.rosbag2.Writer'),
])
def test_a_recording_of_another_format_is_named_with_its_remedy(
        make: Callable[[Path], Path], name: str, kind: str, remedy: str, tmp_path: Path) -> None:
    path = make(tmp_path / name)
    with pytest.raises(BagError) as refused:
        find_bags([path])
    assert kind in str(refused.value)
    assert remedy.format(path) in str(refused.value)


@pytest.mark.parametrize(('make', 'suffix', 'kind', 'remedy'), [
    (LFS, 'mcap', 'a Git LFS pointer', 'git lfs pull'),
    (LFS, 'db3', 'a Git LFS pointer', 'git lfs pull'),
    (written(b'SQLite format 3\0'), 'mcap', 'a SQLite file', 'end in .db3'),
    (written(b'\x89MCAP0\r\n'), 'db3', 'an MCAP file', 'end in .mcap'),
    (ros_1_bag, 'mcap', 'a ROS 1 bag', 'rosbags-convert'),
    (lambda path: mcap(path, 'json'), 'mcap', "got 'json'", 'mcap_ros2.writer'),
    (lambda path: mcap(path, 'protobuf'), 'mcap', "got 'protobuf'", 'mcap_ros2.writer'),
    (lambda path: mcap(path, 'ros1', b'\0' * 80), 'mcap', "got 'ros1'", 'kappe'),
])
def test_a_storage_file_of_another_format_is_named_with_its_remedy(
        make: Callable[[Path], Path], suffix: str, kind: str, remedy: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path / f'take.{suffix}')
    with pytest.raises(ForeignBagError):
        read_episode(path, CONTRACT)
    assert main.main(['dataset', str(path), '--contract', str(CONFIG / 'contract.yaml'), '--out',
                      str(tmp_path / 'data')]) == 2
    sentence = capsys.readouterr().err
    assert kind in sentence
    assert remedy in sentence
    assert 'finished' not in sentence


def test_foreign_recordings_in_a_folder_are_left_out_by_name(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos = tmp_path / 'demos'
    episodes.write(demos, episodes.handover())
    ros_1_bag(demos / 'take.bag')
    (demos / 'old').mkdir()
    ros_1_bag(demos / 'old' / 'older.bag')
    lerobot(demos / 'pick_place')
    LFS(demos / 'fetched.mcap')
    written(b'PK\x03\x04')(demos / 'photos.zip')  # says nothing about a recording
    assert main.main(['dataset', str(demos), '--out', str(tmp_path / 'data')]) == 0
    capsys.readouterr()
    left_out = json.loads((tmp_path / 'data' / 'dataset.json').read_text())['left_out']
    assert [one['name'] for one in left_out] == ['old', 'pick_place', 'take.bag', 'fetched.mcap']
    assert 'older.bag' in left_out[0]['reason']
    assert main.main(['inspect', str(demos)]) == 0
    assert 'take.bag cannot be read' in capsys.readouterr().out
    shutil.rmtree(demos / 'episode_000000')
    (demos / 'fetched.mcap').unlink()
    assert main.main(['inspect', str(demos)]) == 2
    assert 'rosbags-convert' in capsys.readouterr().err


# --- metadata.yaml of another file ---

def test_a_filtered_file_beside_its_old_metadata_is_read_without_it(tmp_path: Path) -> None:
    more = [*MESSAGES, foreign_bags.text(MESSAGES[-1].receive_ns + 1, 'x', '/chatter')]
    old = (foreign_bags.write(tmp_path / 'old', more) / 'metadata.yaml').read_text()
    path = foreign_bags.write(tmp_path / 'take', MESSAGES)
    (file,) = path.glob('*.mcap')
    (path / 'metadata.yaml').write_text(old.replace('old.mcap', file.name))
    with pytest.raises(BagError, match='expected 1 messages on /chatter by metadata.yaml, got 0; '
                                       'metadata.yaml is of another file.* move it away') as told:
        verify_episode(path)
    assert 'damaged' not in str(told.value)
    (path / 'metadata.yaml').unlink()
    assert read_episode(path, CONTRACT).samples


def test_a_renamed_file_is_named_and_can_be_renamed_back(tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'take', MESSAGES)
    (file,) = path.glob('*.mcap')
    moved = file.rename(path / 'monday_take3.mcap')
    with pytest.raises(BagError, match=f'expected {file.name} by metadata.yaml, got '
                                       f'monday_take3.mcap; .*rename monday_take3.mcap to '
                                       f'{file.name}, or give that file'):
        read_episode(path, CONTRACT)
    assert read_episode(moved, CONTRACT).samples
    moved.rename(file)
    assert read_episode(path, CONTRACT).samples


def test_a_bag_with_the_metadata_of_another_file_leaves_out_itself_alone(tmp_path: Path) -> None:
    demos = tmp_path / 'demos'
    episodes.write(demos, episodes.handover(seed=1))
    path = foreign_bags.write(demos / 'monday', MESSAGES)
    next(path.glob('*.mcap')).rename(path / 'take.mcap')
    assert main.main(['dataset', str(demos), '--out', str(tmp_path / 'data')]) == 0
    (one,) = json.loads((tmp_path / 'data' / 'dataset.json').read_text())['left_out']
    assert one['name'] == 'monday'
    assert 'metadata.yaml is of another file' in one['reason']
