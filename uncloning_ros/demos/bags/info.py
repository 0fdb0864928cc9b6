# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find rosbag2 bags and read their metadata: files in order, message counts, custom data.

A bag is a directory with metadata.yaml (versions 1 to 9), a directory that lost or never got
one, or a single storage file. Storage is MCAP or SQLite; a file may be compressed as a whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from uncloning_ros.demos.bags.foreign import Foreign, foreign_kind
from uncloning_ros.demos.bags.layout import METADATA_FILE, PARTIAL, SYSTEM_FOLDER
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.errors import BagError, shown
from uncloning_ros.files import disk_errors, read_bytes

# Storage identifier -> suffix of its files.
STORAGES = {'mcap': '.mcap', 'sqlite3': '.db3'}
COMPRESSED = '.zstd'  # of a file that rosbag2 compressed as a whole
ROOT_KEY = 'rosbag2_bagfile_information'  # the one key at the top of metadata.yaml

_NEWEST_VERSION = 9
# The C version is ten times as fast where PyYAML was built with it.
_Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


@dataclass(frozen=True)
class BagInfo:
    """One bag: its path, its storage files in order, and its metadata.

    `counts` are messages by topic, None without metadata.yaml; `custom` is its custom_data.
    """

    path: Path
    storage: str
    files: tuple[Path, ...]
    counts: Mapping[str, int] | None
    custom: Mapping[str, Any]


def read_info(path: Path) -> BagInfo:
    """Return the metadata of a bag; `path` is its directory or its one storage file.

    Raise `BagError` if it is not a bag, or if its metadata.yaml is damaged or of a later version.
    """
    if path.is_file():
        return BagInfo(path, _storage_of(path, [path]), (path,), None, {})
    if not (path / METADATA_FILE).is_file():
        return _info_without_metadata(path)
    file = path / METADATA_FILE
    data = _load_yaml(file)
    try:
        info = data[ROOT_KEY]
        version, storage = info['version'], info['storage_identifier']
        names, custom = info['relative_file_paths'], info.get('custom_data') or {}
        counts = {topic['topic_metadata']['name']: topic['message_count']
                  for topic in info['topics_with_message_count']}
        compression = info.get('compression_format') or ''
    except KeyError as err:
        raise BagError(f'{file} is not the metadata of a rosbag2 bag: it has no {err}') from err
    except (TypeError, AttributeError) as err:
        why = ('it is empty; move it away, then the bag is read without it' if data is None
               else 'a field has another type')
        raise BagError(f'{file} is not the metadata of a rosbag2 bag: {why}') from err
    if not (isinstance(version, int) and isinstance(storage, str) and isinstance(names, list)
            and names and all(isinstance(name, str) for name in names)
            and isinstance(custom, dict) and isinstance(compression, str)
            and all(isinstance(name, str) and isinstance(count, int)
                    for name, count in counts.items())):
        raise BagError(f'{file} is not the metadata of a rosbag2 bag: a field has another type')
    if version > _NEWEST_VERSION:
        raise BagError(f'{file}: expected rosbag2 version {_NEWEST_VERSION} or older, got '
                       f'{version}; convert the bag with ros2 bag convert')
    if storage not in STORAGES:
        raise BagError(f'{file}: expected storage {" or ".join(STORAGES)}, got {shown(storage)}; '
                       f'convert the bag with ros2 bag convert')
    if compression not in ('', 'zstd'):
        raise BagError(f'{file}: expected compression zstd or none, got {shown(compression)}; '
                       f'convert the bag with ros2 bag convert')
    # Only the last part of a path counts, as in rosbag2: a bag never points out of its directory.
    return BagInfo(path, storage, tuple(path / Path(name).name for name in names), counts, custom)


@dataclass(frozen=True)
class FoundBags:
    """The bags at some paths, those never finished, and entries of folders left out by name."""

    bags: tuple[Path, ...]
    unfinished: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def find_bags(paths: Sequence[Path]) -> FoundBags:
    """Find the bags at `paths`.

    A path is a bag, or a folder of bags: of bag directories, of storage files, or of both. The
    bags of a folder come sorted by name. A bag of this package's own that has no final name is
    unfinished; others without metadata.yaml may still be whole. Recordings of other formats that
    lie in a folder, and entries that cannot be read or shown, are left out. Raise `BagError` for
    a path that is neither a bag nor a folder.
    """
    bags: list[Path] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if is_bag(path):
            _require_text(path)
            bags.append(path)
            continue
        if not path.exists():
            raise BagError(f'{path} does not exist; give bags or folders of bags')
        inside, others = _look_into(path) if path.is_dir() else ([], [])
        kind = None if inside or others else foreign_kind(path)
        if kind is not None:
            raise BagError(_not_a_bag(path, kind))
        if not path.is_dir():
            raise BagError(f'{path} is not a bag; give bags (directories, .mcap or .db3 files) or '
                           f'folders of bags')
        bags += inside
        left_out += others
    bags = list({bag.resolve(): bag for bag in bags}.values())  # each once
    unfinished = [bag for bag in bags if bag.name.endswith(PARTIAL)]
    return FoundBags(tuple(bag for bag in bags if bag not in unfinished), tuple(unfinished),
                     tuple(dict.fromkeys(left_out)))


def _look_into(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """Return the bags in a folder, and its entries that are left out, sorted by name."""
    bags, left_out = [], []
    with disk_errors(f'cannot list {folder}', BagError):
        entries = sorted(path for path in folder.iterdir() if path.name != SYSTEM_FOLDER)
    for path in entries:
        try:
            with disk_errors(f'cannot list {path}', BagError):
                if is_bag(path):
                    _require_text(path)
                    bags.append(path)
                elif (kind := foreign_kind(path)) is not None and kind.recording:
                    raise BagError(_not_a_bag(path, kind))
        except BagError as err:
            left_out.append(LeftOut(_shown(path.name), str(err)))
    return bags, left_out


def _not_a_bag(path: Path, kind: Foreign) -> str:
    return f'{path}: expected a rosbag2 bag, got {kind.of(path)}'


def _require_text(path: Path) -> None:
    """Raise `BagError` for a path that is not text, as pages, labels and datasets are."""
    shown = _shown(str(path.resolve()))
    if shown != str(path.resolve()):
        raise BagError(f'{shown} has a name that is not UTF-8; rename it')


def _shown(name: str) -> str:
    return name.encode(errors='surrogateescape').decode(errors='backslashreplace')


def is_bag(path: Path) -> bool:
    """Tell whether a path is a storage file, or the directory of one bag."""
    if path.is_file():
        return _suffix(path) in STORAGES.values()
    if not path.is_dir():
        return False
    if (path / METADATA_FILE).is_file() or path.name.endswith(PARTIAL):
        return True
    return _parts(path) is not None


def storage_files(directory: Path) -> list[Path]:
    """Return the storage files in a directory, sorted by name."""
    return sorted(path for path in directory.iterdir()
                  if path.is_file() and _suffix(path) in STORAGES.values())


def _info_without_metadata(path: Path) -> BagInfo:
    files = _parts(path) if path.is_dir() else None
    if files is None:
        raise BagError(f'{path} is not a finished rosbag2 directory: it has neither '
                       f'{METADATA_FILE} nor the files of one recording, as in NAME_0.mcap, '
                       f'NAME_1.mcap; give a bag')
    return BagInfo(path, _storage_of(path, files), tuple(files), None, {})


def _parts(directory: Path) -> list[Path] | None:
    """Return the files of one recording in order, None if a directory holds anything else.

    rosbag2 names them NAME_0, NAME_1 and so on, and rosbags one as its directory. Files of other
    names, or beside directories of bags, are bags of their own.
    """
    files = storage_files(directory)
    if not files or any(path.is_dir() and is_bag(path) for path in directory.iterdir()):
        return None
    if len(files) == 1 and files[0].name.partition('.')[0] == directory.name:
        return files
    found = [re.fullmatch(r'(.+)_(\d+)\.(mcap|db3)(\.zstd)?', file.name) for file in files]
    if len({None if match is None else match[1] for match in found}) != 1 or None in found:
        return None
    return sorted(files, key=lambda file: int(file.name.rpartition('_')[2].partition('.')[0]))


def _storage_of(path: Path, files: list[Path]) -> str:
    found = {name for name, suffix in STORAGES.items()
             if any(_suffix(file) == suffix for file in files)}
    if len(found) != 1:
        raise BagError(f'{path}: expected files of one storage, {" or ".join(STORAGES.values())}, '
                       f'got {", ".join(file.name for file in files)}; give them as bags of '
                       f'their own')
    return found.pop()


def _suffix(path: Path) -> str:
    """Return the suffix of a storage file, without that of compression."""
    return Path(path.name.removesuffix(COMPRESSED)).suffix


@lru_cache(maxsize=1)
def _parsed(data: bytes) -> Any:
    """Return the data of a YAML file; that of one bag is read several times in a row."""
    return _Loader(data).get_single_data()


def _load_yaml(file: Path) -> Any:
    data = read_bytes(file, BagError)
    try:
        return _parsed(data)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as err:
        raise BagError(f'{file} is not valid YAML: {" ".join(str(err).split())}') from err
