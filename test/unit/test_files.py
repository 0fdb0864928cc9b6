# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files are whole or not there, and nothing is overwritten unasked."""

import errno
from pathlib import Path

import pytest

from uncloning_ros.contract import load_contract
from uncloning_ros.demos.bags.labels import labels_path, read_labels
from uncloning_ros.errors import (
    BagError,
    CheckpointError,
    ModelError,
    OutputExistsError,
    UncloningError,
)
from uncloning_ros.files import (
    alone_in,
    read_bytes,
    read_json,
    require_new,
    whole_folder,
    write_whole,
)
from uncloning_ros.learning.tensor_files import load_tensors
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.share import share_path


def test_what_exists_is_refused_a_broken_link_too(tmp_path: Path) -> None:
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'nowhere')
    for path in (tmp_path, link):
        with pytest.raises(OutputExistsError, match=f'{path} exists already'):
            require_new(path)
    assert require_new(tmp_path / 'new') == tmp_path / 'new'


def test_what_could_not_be_made_is_refused(tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'file').write_text('')
    for path in (tmp_path / 'file' / 'x', tmp_path / 'file' / 'x' / 'y', Path('/dev/null/x')):
        with pytest.raises(UncloningError, match=f'cannot write {path}: .* is not a folder; give'):
            require_new(path)
    # The permissions themselves do not hold back a root user.
    monkeypatch.setattr('os.access', lambda path, mode: False)
    with pytest.raises(UncloningError, match=f'{tmp_path} is not writable; .*another path'):
        require_new(tmp_path / 'new' / 'x')


@pytest.mark.parametrize('named', [True, False])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    path = tmp_path / 'record'
    write_whole(path, b'old')

    def full(self: Path, data: bytes) -> int:
        with self.open('wb') as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, 'the disk is full', *([str(self)] if named else []))

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='disk is full') as caught:
        write_whole(path, b'new')
    assert caught.value.filename == str(path)  # not the temporary one
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_two_runs_never_work_in_one_folder(tmp_path: Path) -> None:
    with (alone_in(tmp_path), pytest.raises(UncloningError, match='another run is at work in'),
          alone_in(tmp_path)):
        pass
    with alone_in(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_killed_run_left_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / 'lab.partial').mkdir()
    with pytest.raises(OutputExistsError, match='lab.partial is there: .* remove it'), \
            whole_folder(tmp_path / 'lab'):
        pass
    assert not (tmp_path / 'lab').exists() and (tmp_path / 'lab.partial').exists()


def test_a_missing_folder_is_made_and_the_neighbours_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / 'reports' / 'audit.json'
    write_whole(path, b'one')
    neighbour = path.with_name('audit.json.partial')
    neighbour.write_bytes(b'somebody else wrote this')
    write_whole(path, b'two')
    assert path.read_bytes() == b'two'
    assert neighbour.read_bytes() == b'somebody else wrote this'
    assert path.stat().st_mode == neighbour.stat().st_mode


def test_a_file_is_read_or_refused_with_its_path_the_reason_and_the_remedy(
        tmp_path: Path) -> None:
    path = tmp_path / 'file.json'
    with pytest.raises(BagError, match=f'{path}: No such file.*; make it$'):
        read_bytes(path, BagError, 'make it')
    with pytest.raises(BagError, match=f'{tmp_path}: Is a directory; check the path$'):
        read_json(tmp_path, BagError)
    path.write_text('{"a": [1, null, "\u00e9"]}')
    assert read_json(path, BagError) == {'a': [1, None, '\u00e9']}


def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / 'policy.onnx'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n')
    for refuse in (lambda: read_bytes(path, ModelError), lambda: load_policy(path)):
        with pytest.raises(ModelError, match=f'{path}: .*got a Git LFS pointer.*git lfs pull'):
            refuse()
    with pytest.raises(CheckpointError, match=f'{path}: .*got a Git LFS pointer.*git lfs pull'):
        load_tensors(path)
    labels_path(path).write_bytes(path.read_bytes())
    with pytest.raises(BagError, match='got a Git LFS pointer'):
        read_labels(path, load_contract(share_path('config') / 'contract.yaml').interface)


@pytest.mark.parametrize('text', ['', '{', '{"a": NaN}', '[-Infinity]', '[' * 100000, '\xff',
                                  '{"a": 1, "a": 1}', '[{"b": {"a": 1, "": 2, "a": 3}}]'])
def test_what_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'file.json'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(BagError, match=f'{path} .*; make it again$'):
        read_json(path, BagError, 'make it again')
