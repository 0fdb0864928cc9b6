# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of bags do to the files of one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def copy(path: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    for file in path.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def mcap_of(path: Path) -> Path:
    return next(path.glob('*.mcap'))


def edit_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = path / 'metadata.yaml'
    data = yaml.safe_load(file.read_text())
    change(data['rosbag2_bagfile_information'])
    file.write_text(yaml.safe_dump(data))
