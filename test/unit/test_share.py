# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shipped files are found in a checkout, in a ROS 2 workspace and under a Python prefix."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uncloning_ros.errors import UncloningError
from uncloning_ros.share import share_path

PACKAGE = Path(__file__).resolve().parents[2] / 'uncloning_ros'


def test_checkout_has_the_folder_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    assert share_path('config') == PACKAGE.parent / 'config'


def test_checkout_goes_before_a_sourced_workspace(tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'share/uncloning_ros/config').mkdir(parents=True)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert share_path('config') == PACKAGE.parent / 'config'


def test_unknown_folder_is_refused_with_the_places_and_the_remedy(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere')
    with pytest.raises(UncloningError, match="'none' .*/nowhere/share.*; source the workspace"):
        share_path('none')


def installed_share(prefix: Path, ament_prefix_path: str) -> str:
    """Install the modules below `prefix` as colcon and pip do; return what share_path finds."""
    site = prefix / 'lib/python3.11/site-packages'
    (site / 'uncloning_ros').mkdir(parents=True)
    for name in ('__init__.py', 'errors.py', 'share.py'):
        shutil.copy(PACKAGE / name, site / 'uncloning_ros')
    script = 'from uncloning_ros.share import share_path; print(share_path("config"))'
    done = subprocess.run(
        [sys.executable, '-c', script], cwd=prefix, capture_output=True, text=True, check=False,
        env={'PYTHONPATH': str(site), 'AMENT_PREFIX_PATH': ament_prefix_path})
    return done.stdout.strip() or done.stderr


def test_workspace_is_searched_in_the_order_of_ament_prefix_path(tmp_path: Path) -> None:
    for name in ('one', 'two', 'three'):
        (tmp_path / name).mkdir()
    for name in ('two', 'three'):
        (tmp_path / name / 'share/uncloning_ros/config').mkdir(parents=True)
    path = ':'.join(str(tmp_path / name) for name in ('one', 'two', 'three'))
    found = installed_share(tmp_path / 'one', path)
    assert found == str(tmp_path / 'two/share/uncloning_ros/config')


def test_python_prefix_is_searched_where_no_workspace_is_sourced(tmp_path: Path) -> None:
    (tmp_path / 'share/uncloning_ros/config').mkdir(parents=True)
    assert installed_share(tmp_path, '') == str(tmp_path / 'share/uncloning_ros/config')
