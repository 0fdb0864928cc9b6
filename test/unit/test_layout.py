# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of episodes: its finished and unfinished ones, names and numbers."""

import errno
from pathlib import Path

import pytest
from bag_files import mcap_of

from uncloning_ros.demos.bags import layout
from uncloning_ros.errors import BagError


def test_episodes_are_listed_by_name_without_the_unfinished(tmp_path: Path) -> None:
    for name in ('episode_000002', 'episode_000010', 'episode_000011.partial', 'other_take'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'metadata.yaml').touch()
    (tmp_path / 'cut').mkdir()
    (tmp_path / 'cut' / 'cut_0.mcap').touch()
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'episode_000002.labels.json').touch()
    assert [p.name for p in layout.list_episodes(tmp_path)] == [
        'episode_000002', 'episode_000010', 'other_take']
    assert [p.name for p in layout.list_unfinished(tmp_path)] == ['cut', 'episode_000011.partial']
    assert layout.next_episode_index(tmp_path) == 12


@pytest.mark.parametrize('left', ['episode_000003.labels.json', 'episode_000003#2.labels.json'])
def test_the_labels_of_an_episode_that_is_gone_are_not_the_next_ones(tmp_path: Path,
                                                                     left: str) -> None:
    (tmp_path / 'episode_000002').mkdir()
    (tmp_path / left).touch()
    assert layout.next_episode_index(tmp_path) == 4


def test_a_folder_without_episodes_starts_at_zero(tmp_path: Path) -> None:
    assert layout.next_episode_index(tmp_path / 'new') == 0
    assert layout.next_episode_index(tmp_path) == 0
    assert layout.episode_name(0) == 'episode_000000'


def test_a_folder_that_cannot_be_listed_is_told_with_a_sentence(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))
    monkeypatch.setattr(Path, 'iterdir', forbidden)
    with pytest.raises(BagError, match='cannot list .*Permission denied'):
        layout.next_episode_index(tmp_path)


def test_a_file_or_a_single_bag_is_no_folder_of_episodes(handover: Path) -> None:
    with pytest.raises(BagError, match='is one episode; give the folder that holds'):
        layout.list_episodes(handover)
    with pytest.raises(BagError, match='is not a directory'):
        layout.list_episodes(mcap_of(handover))
