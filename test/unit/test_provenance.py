# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an episode's bits depend on is named, the code itself among it."""

import zipfile
from pathlib import Path

import uncloning_ros
from uncloning_ros.audit.record import provenance
from uncloning_ros.errors import AuditError
from uncloning_ros.schema import plain, read


def test_processor_versions_and_code_are_named() -> None:
    found = provenance.machine()
    assert read(provenance.AuditMachine, plain(found), 'machine', AuditError) == found
    assert found.software_version == uncloning_ros.__version__
    assert found == provenance.machine()


def package(folder: Path, **changed: str) -> Path:
    (folder / 'inner').mkdir(parents=True)
    texts = {'a.py': 'a = 1', 'inner/b.py': 'b = 2', 'notes.txt': 'x'} | changed
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def digest(monkeypatch, folder) -> str:
    monkeypatch.setattr(provenance.importlib.resources, 'files', lambda name: folder)
    return provenance.code_sha256.__wrapped__()


def test_any_change_of_the_code_changes_its_digest_and_nothing_else_does(
        tmp_path, monkeypatch) -> None:
    plain = digest(monkeypatch, package(tmp_path / 'plain'))
    assert digest(monkeypatch, package(tmp_path / 'same', **{'notes.txt': 'y'})) == plain
    assert digest(monkeypatch, package(tmp_path / 'edit', **{'inner/b.py': 'b = 3'})) != plain
    assert digest(monkeypatch, package(tmp_path / 'more', **{'c.py': ''})) != plain


def test_code_in_an_archive_has_the_same_digest(tmp_path, monkeypatch) -> None:
    folder = package(tmp_path / 'plain')
    with zipfile.ZipFile(tmp_path / 'code.zip', 'w') as archive:
        for path in folder.rglob('*'):
            archive.write(path, path.relative_to(folder))
    assert digest(monkeypatch, zipfile.Path(tmp_path / 'code.zip')) == digest(monkeypatch, folder)
