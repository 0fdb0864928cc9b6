# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognise recordings that are not rosbag2 bags by first bytes or layout, with the remedy."""

import contextlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.files import LFS_POINTER


@dataclass(frozen=True)
class Foreign:
    """A kind of file or folder that is not a rosbag2 bag, and how its data become one.

    A `recording` is named where it lies in a folder of bags; other files may lie there.
    """

    kind: str
    remedy: str
    recording: bool = True

    def of(self, path: Path) -> str:
        """Return kind and remedy for a path of this kind, as the end of a sentence."""
        return f'{self.kind}; ' + self.remedy.format(path=shlex.quote(str(path)),
                                                     stem=shlex.quote(path.stem))


_WRITE_A_BAG = ('write its episodes as bags, as with rosbags.rosbag2.Writer, or replay them on '
                'the topics of the contract while ros2 bag record runs')
_UNPACK = 'unpack it and give the bags inside'
_ROS_1 = 'rosbags-convert --src {path} --dst {stem}'
_RENAME = 'let its name end in {}, and metadata.yaml say so if there is one'
_BY_FIRST_BYTES = {
    b'#ROSBAG V': Foreign('a ROS 1 bag', f'convert it with {_ROS_1}'),
    b'#ROSRECORD V': Foreign('a ROS 1 bag of an old version',
                             f'migrate it with rosbag fix, then convert it with {_ROS_1}'),
    LFS_POINTER: Foreign('a Git LFS pointer', 'fetch the file with git lfs pull',
                         recording=False),
    b'\x89HDF\r\n\x1a\n': Foreign('an HDF5 file', _WRITE_A_BAG),
    b'PAR1': Foreign('a Parquet file', _WRITE_A_BAG, recording=False),
    b'PK\x03\x04': Foreign('a ZIP archive', _UNPACK, recording=False),
    b'\x1f\x8b': Foreign('a gzip archive', _UNPACK, recording=False),
    b'BZh': Foreign('a bzip2 archive', _UNPACK, recording=False),
    b'\xfd7zXZ': Foreign('an xz archive', _UNPACK, recording=False),
    b'\x89MCAP0\r\n': Foreign('an MCAP file', _RENAME.format('.mcap')),
    b'SQLite format 3\0': Foreign('a SQLite file', _RENAME.format('.db3'), recording=False),
}
_BY_FILE_INSIDE = {
    'meta/info.json': Foreign('a LeRobot data set', _WRITE_A_BAG),
    'dataset_info.json': Foreign('a TensorFlow (RLDS) data set', _WRITE_A_BAG),
    **dict.fromkeys(('.zgroup', '.zarray', 'zarr.json'), Foreign('a zarr store', _WRITE_A_BAG)),
}
_OPEN_ROS_1 = Foreign('a ROS 1 bag that was never finished',
                      f'repair it with rosbag reindex, then convert it with {_ROS_1}')
_DAMAGED_ROS_1 = Foreign('a .bag file that does not begin as a ROS 1 bag',
                         'repair it with rosbag reindex, or leave it out')
_NO_ROS = ('these are not ROS messages; write them as ROS messages, as with mcap_ros2.writer of '
           'mcap-ros2-support')
# Serialisation of messages -> the remedy.
_BY_ENCODING = {
    'ros1': 'these are ROS 1 messages; convert the .bag that they came from with rosbags-convert, '
            'or this file with kappe',
    **dict.fromkeys(('json', 'protobuf', 'flatbuffer', 'cbor', 'msgpack'), _NO_ROS),
}


def foreign_kind(path: Path) -> Foreign | None:
    """Return the kind of a path that is not a bag, None if it is unknown or cannot be read."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            return _foreign_folder(path)
        if path.is_file():
            with path.open('rb') as file:
                begin = file.read(max(map(len, _BY_FIRST_BYTES)))
            for first_bytes, kind in _BY_FIRST_BYTES.items():
                if begin.startswith(first_bytes):
                    return _OPEN_ROS_1 if path.name.endswith('.bag.active') else kind
            return _DAMAGED_ROS_1 if path.suffix == '.bag' else None
    return None


def remedy_for_encoding(encoding: str) -> str:
    """Return the remedy for messages in another serialisation than CDR."""
    return _BY_ENCODING.get(encoding, 'convert the bag with ros2 bag convert')


def _foreign_folder(path: Path) -> Foreign | None:
    for inside, kind in _BY_FILE_INSIDE.items():
        if (path / inside).is_file():
            return kind
    ros_1 = sorted(file for file in path.iterdir() if file.suffix == '.bag')
    if not ros_1:
        return None
    return Foreign(f'a folder of ROS 1 bags ({ros_1[0].name})',
                   'convert each of them with rosbags-convert --src BAG --dst FOLDER')
