# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finished episodes survive whatever stops an audit, and nothing else is taken for them."""

import json
from pathlib import Path

import pytest
from audit_models import result

from uncloning_ros.audit.record.finished_episodes import finished_episodes, finished_path
from uncloning_ros.errors import AuditError

SETTING = {'models': ['a' * 64], 'seed': 1000, 'episodes': 5, 'inference_latency_s': 0.005}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return finished_path(tmp_path / 'audit.json')


def kept(path: Path, setting=None) -> dict:
    with finished_episodes(path, setting or SETTING, resume=True) as partial:
        return dict(partial.done)


def write(path: Path, *seeds: int) -> None:
    with finished_episodes(path, SETTING, resume=False) as partial:
        for seed in seeds:
            partial.add('a' * 64, result(seed, offer=(1 / 3, 0.1, 0.3)))


def test_it_lies_beside_the_output(path, tmp_path) -> None:
    assert path == tmp_path / 'audit.json.partial'


def test_what_was_added_is_there_again_exactly(path) -> None:
    write(path, 1001, 1000)
    assert kept(path) == {('a' * 64, 1001): result(1001, offer=(1 / 3, 0.1, 0.3)),
                          ('a' * 64, 1000): result(1000, offer=(1 / 3, 0.1, 0.3))}


def test_what_was_added_is_on_disk_at_once(path) -> None:
    with finished_episodes(path, SETTING, resume=False) as partial:
        partial.add('a' * 64, result(1000))
        assert len(path.read_bytes().splitlines()) == 2


def test_a_line_that_a_crash_cut_off_is_left_out(path) -> None:
    write(path, 1000, 1001)
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    assert set(kept(path)) == {('a' * 64, 1000)}
    with finished_episodes(path, SETTING, resume=True) as partial:
        partial.add('a' * 64, result(1001))
    assert len(kept(path)) == 2


@pytest.mark.parametrize('cut', [0, 10])
def test_a_file_that_was_cut_off_in_its_first_line_starts_anew(path, cut) -> None:
    write(path, 1000)
    path.write_bytes(path.read_bytes()[:cut])
    with finished_episodes(path, SETTING, resume=True) as partial:
        assert partial.done == {}
        partial.add('a' * 64, result(1000))
    assert len(kept(path)) == 1


def test_without_one_there_is_nothing_to_resume(path) -> None:
    with pytest.raises(AuditError, match=f'{path}, got nothing; .*leave --resume out'):
        kept(path)
    assert not path.exists()


def test_it_is_not_taken_for_another_audit(path) -> None:
    write(path, 1000)
    with pytest.raises(AuditError, match='its seed is 1000, not 2000'):
        kept(path, {**SETTING, 'seed': 2000})
    assert len(kept(path)) == 1


def test_it_is_not_gone_on_with_unasked(path) -> None:
    write(path, 1000)
    with pytest.raises(AuditError, match='with the same command and --resume'):
        write(path, 1001)
    assert len(kept(path)) == 1


def test_two_audits_do_not_write_into_one_file(path) -> None:
    with finished_episodes(path, SETTING, resume=False) as partial:
        partial.add('a' * 64, result(1000))
        with pytest.raises(AuditError, match='another audit writes to'):
            kept(path)
    assert len(kept(path)) == 1


@pytest.mark.parametrize('line', ['garbage', '{"model_sha256": "a"}', '3',
                                  '{"model_sha256": "a", "episode": {"seed": 1}}'])
def test_a_damaged_line_is_named(path, line) -> None:
    write(path, 1000)
    path.write_text(path.read_text() + line + '\n')
    with pytest.raises(AuditError, match='line 3'):
        kept(path)
    assert line in path.read_text()


def test_a_file_of_something_else_is_refused(path) -> None:
    path.write_text(json.dumps(['not', 'this']) + '\n')
    with pytest.raises(AuditError, match='belongs to another audit'):
        kept(path)


def test_nothing_is_left_of_an_audit_without_a_finished_episode(path) -> None:
    write(path)
    assert not path.exists()


def test_nothing_is_left_of_an_audit_that_was_written_out(path) -> None:
    with finished_episodes(path, SETTING, resume=False) as partial:
        partial.add('a' * 64, result(1000))
        partial.finish()
    assert not path.exists()
