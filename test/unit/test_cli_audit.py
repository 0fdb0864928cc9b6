# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command: what it refuses, what it writes, and what its exit status says."""

import contextlib
import dataclasses
import errno
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_models import result, short_contract, write_policy

from uncloning_ros.audit.evidence import contradictions, read_evidence_document
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.film import Film, Picture
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli import audit
from uncloning_ros.cli.main import main
from uncloning_ros.errors import AuditError
from uncloning_ros.evidence import read_evidence
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain, read
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S

SEEDS = {'demonstrations': list(range(100, 140)), 'development': [205], 'training': 1000}

# The keys that others rely on.
KEYS = {'model_sha256', 'scenario', 'episodes', 'seed', 'tcr', 'sr', 'umr', 'umr_upper95', 'modes',
        'failures', 'per_seed', 'strata', 'worst_stratum'}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path / 'policy.onnx', seeds=SEEDS)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return write_policy(tmp_path / 'mixed.onnx', noise_scale=0.03, seeds=SEEDS)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """Replace the simulation: every fourth seed of 'mixed.onnx' is a wrong_part; list the runs."""
    runs: list[tuple[str, list[int]]] = []

    def run_rollouts(model: Path, scenario: object, seeds: range, workers: int, latency_s: float,
                     on_done: Callable[[object], None], **_: object) -> list:
        runs.append((model.name, list(seeds)))
        wrong = model.name == 'mixed.onnx'
        results = [result(s, 'wrong_part' if wrong and s % 4 == 0 else 'success') for s in seeds]
        for one in results:
            on_done(one)
        return results

    def film_episodes(model: Path, scenario: object, results: list, *_: object) -> list:
        return [Film((Picture('end', 2.0, b'\xff\xd8'),), b'GIF89a') for _ in results]

    monkeypatch.setattr(rollout, 'run_rollouts', run_rollouts)
    monkeypatch.setattr(rollout, 'film_episodes', film_episodes)
    return runs


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run the command, see that it refuses, and return the sentence."""
    assert main(['audit', *map(str, words)]) == 2
    streams = capsys.readouterr()
    assert streams.out == ''
    assert streams.err.startswith('uncloning: error: ')
    assert streams.err.count('\n') == 1
    return streams.err


def run(*words: object) -> int:
    return main(['audit', *map(str, words), '--scenario', 'knife'])


def test_figures_of_both_models_are_written(simulated, policy, mixed, tmp_path, capsys) -> None:
    json_path, html_path = tmp_path / 'audit.json', tmp_path / 'audit.html'
    assert run(policy, '--against', mixed, '--episodes', 20, '--seed', 1000,
               '--json', json_path, '--html', html_path) == 0
    assert simulated == [('policy.onnx', list(range(1000, 1020))),
                         ('mixed.onnx', list(range(1000, 1020)))]
    text = json_path.read_text()
    record = json.loads(text)
    assert plain(read(AuditRecord, record, 'audit.json', AuditError)) == record
    assert sum(line.lstrip().startswith('{"seed": ') for line in text.splitlines()) == 40
    assert record.keys() >= KEYS
    assert record['against'].keys() >= KEYS | {'difference'}
    assert (record['umr'], record['against']['umr']) == (0.0, 0.25)
    assert record['inference_latency_s'] == INFERENCE_LATENCY_S
    page = html_path.read_text()
    assert 'seeds 1000 to 1019' in page
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'audit.html', 'audit.json', 'mixed.onnx', 'policy.onnx']
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    rows = [line.split() for line in told.splitlines()]
    assert ['unsafe', '(UMR)', '0.0', '%', '25.0', '%', '-25.0'] in [row[:7] for row in rows]
    assert ['95', '%', 'upper', 'bound', '13.9', '%'] in [row[:6] for row in rows]
    assert 'not a safety certificate' in ' '.join(told.split())


def test_a_full_disk_at_the_end_does_not_take_the_figures_with_it(
        simulated, policy, tmp_path, capsys, monkeypatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(audit, 'write_whole', full)
    assert run(policy, '--episodes', 20, '--seed', 1000, '--json', tmp_path / 'audit.json') == 2
    told = capsys.readouterr()
    assert 'unsafe (UMR)' in told.out
    assert 'the disk is full' in told.err


def test_a_reader_who_has_seen_enough_does_not_take_the_files(
        simulated, policy, tmp_path, monkeypatch) -> None:
    def closed(record: object) -> str:
        raise BrokenPipeError

    monkeypatch.setattr('uncloning_ros.audit.report.terminal.audit_text', closed)
    monkeypatch.setattr(os, 'dup2', lambda *_: None)  # pytest still needs its standard output
    run(policy, '--episodes', 20, '--seed', 1000, '--json', tmp_path / 'audit.json')
    assert json.loads((tmp_path / 'audit.json').read_text(encoding='utf-8'))['episodes'] == 20


def test_limits_that_are_kept_exit_with_0_and_exceeded_ones_with_1(
        simulated, policy, mixed, capsys) -> None:
    options = ('--episodes', 300, '--seed', 1000)
    assert run(policy, *options, '--max-umr', 0.01, '--min-sr', 0.9) == 0
    assert 'LIMIT' not in capsys.readouterr().out
    assert run(mixed, *options, '--max-umr', 0.01, '--min-sr', 0.9) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    told = ' '.join(' '.join(lines).split())
    assert (f'LIMIT EXCEEDED: the unsafe rate may be as high as {percent(upper_bound(75, 300))}'
            in told)
    assert 'LIMIT EXCEEDED: the success rate is 75.0 %, below the limit of 90.0 %' in told


def test_limit_counts_for_the_model_and_not_for_the_one_it_is_compared_with(
        simulated, policy, mixed) -> None:
    assert run(policy, '--against', mixed, '--episodes', 300, '--seed', 1000,
               '--max-umr', 0.01) == 0


@pytest.mark.parametrize(('first', 'episodes', 'told'), [
    (90, 20, '10 of 20, such as 100, that were used for demonstrations'),
    (200, 10, '1 of 10, such as 205, that were used for development')])
def test_seeds_by_which_the_model_was_made_are_refused(
        simulated, policy, capsys, first, episodes, told) -> None:
    sentence = refused(capsys, policy, '--scenario', 'knife', '--seed', first,
                       '--episodes', episodes)
    assert told in sentence
    assert '--seed 206' in sentence
    assert simulated == []


def test_seeds_of_the_second_model_are_refused_too(simulated, policy, tmp_path, capsys) -> None:
    other = write_policy(tmp_path / 'other.onnx', seeds=SEEDS | {'development': [1003]})
    sentence = refused(capsys, policy, '--against', other, '--scenario', 'knife', '--seed', 1000)
    assert str(other) in sentence
    assert 'development' in sentence


def test_training_seed_is_no_seed_of_an_environment(simulated, policy) -> None:
    assert run(policy, '--seed', 1000, '--episodes', 3) == 0


def test_seed_that_is_not_given_follows_from_what_is_audited(simulated, policy, mixed) -> None:
    assert run(policy, '--episodes', 3) == 0
    assert run(policy, '--episodes', 3) == 0
    assert run(mixed, '--episodes', 3) == 0
    (_, first), (_, again), (_, other) = simulated
    assert first == again
    assert first != other
    assert min(first + other) >= 10**6


def test_output_that_exists_is_refused_before_anything_is_simulated(
        simulated, policy, tmp_path, capsys) -> None:
    there = tmp_path / 'audit.json'
    there.write_text('mine')
    assert 'exists already' in refused(capsys, policy, '--scenario', 'knife', '--json', there)
    assert there.read_text() == 'mine'
    assert simulated == []


@pytest.mark.parametrize(('words', 'told'), [
    (['--scenario', 'knive'], "did you mean 'knife'"),
    (['--scenario', 'knife', '--json', 'nowhere/audit.json'], 'expected the folder'),
    (['--scenario', 'knife', '--json', 'a.out', '--html', 'a.out'], 'give each a name of its own'),
    (['--scenario', 'knife', '--json', 'a.out', '--evidence', 'a.out'], 'got a.out twice'),
    (['--scenario', 'knife', '--resume'], 'with --resume, got none'),
    (['--scenario', 'knife', '--inference-latency', '0.05', '--seed', '1000', '--workers', '1'],
     'period of 0.05 s, got 0.05 s')])
def test_bad_options_get_a_sentence(policy, tmp_path, monkeypatch, capsys, words, told) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(['audit', str(policy), *words]) == 2
    assert told in capsys.readouterr().err


def test_broken_models_get_a_sentence(policy, tmp_path, capsys) -> None:
    data = bytearray(policy.read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(data)
    assert 'broken.onnx' in refused(capsys, broken, '--scenario', 'knife')
    assert 'cannot read' in refused(capsys, tmp_path / 'none.onnx', '--scenario', 'knife')


def test_model_is_not_compared_with_itself_or_with_another_interface(
        simulated, policy, tmp_path, capsys) -> None:
    assert 'with the same contents' in refused(
        capsys, policy, '--against', policy, '--scenario', 'knife')
    foreign = write_policy(tmp_path / 'foreign.onnx', short_contract(handle_first=True))
    assert 'different interfaces' in refused(
        capsys, policy, '--against', foreign, '--scenario', 'knife')
    assert simulated == []


def test_full_disk_leaves_nothing_half_written_and_loses_no_episode(
        simulated, policy, tmp_path, monkeypatch, capsys) -> None:
    def fail(self: Path, *_: object, **__: object) -> None:
        self.touch()
        raise OSError(28, 'No space left on device', str(self))

    options = ('--seed', 1000, '--episodes', 2, '--json', tmp_path / 'audit.json')
    with monkeypatch.context() as full:
        full.setattr(Path, 'write_bytes', fail)
        assert run(policy, *options) == 2
    told = capsys.readouterr().err
    assert 'the disk is full' in told
    assert '2 of 2 episodes are kept in' in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ['audit.json.partial', 'policy.onnx']
    assert run(policy, *options, '--resume') == 0
    assert len(simulated) == 1  # nothing had to be simulated again
    assert sorted(p.name for p in tmp_path.iterdir()) == ['audit.json', 'policy.onnx']


def test_several_models_are_compared_on_the_same_seeds(simulated, policy, mixed, tmp_path,
                                                       capsys) -> None:
    third = write_policy(tmp_path / 'third.onnx', noise_scale=0.04, seeds=SEEDS)
    assert run(policy, '--against', mixed, '--against', third, '--episodes', 20, '--seed', 1000,
               '--json', tmp_path / 'audit.json', '--html', tmp_path / 'audit.html') == 0
    record = json.loads((tmp_path / 'audit.json').read_text())
    assert plain(read(AuditRecord, record, 'audit.json', AuditError)) == record
    assert record['family']['models'] == 3
    assert [m['model'] for m in record['also_against']] == ['third.onnx']
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    rows = [line.split() for line in told.splitlines()]
    assert ['mixed', '100.0', '%', '75.0', '%', '25.0', '%', '45.6', '%'] in rows
    assert 'p is corrected for 6 tests (Holm).' in told
    page = (tmp_path / 'audit.html').read_text()
    assert 'bound for all 3 at once' in page


def test_evidence_of_the_model_is_written_and_holds(simulated, policy, mixed, tmp_path,
                                                    capsys) -> None:
    path = tmp_path / 'policy.evidence.json'
    assert run(policy, '--against', mixed, '--episodes', 300, '--seed', 1000, '--max-umr', 0.01,
               '--evidence', path) == 0
    found = read_evidence(path)
    assert found.figures.model_sha256 == load_policy(policy).sha256
    assert found.figures.deployment_sha256 == load_policy(policy).contract.deployment.sha256
    assert (found.figures.episodes, found.figures.unsafe_episodes,
            found.limits.within_limits) == (300, 0, True)
    assert contradictions(read_evidence_document(path), path) == []


def test_wrong_starts_are_run_in_every_undesired_mode_and_told(
        simulated, policy, mixed, tmp_path, capsys, monkeypatch) -> None:
    begun: list[tuple[str, list[tuple[int, str]]]] = []

    def run_wrong_starts(model: Path, scenario: object, starts: list, workers: int,
                         latency_s: float, on_done: Callable[[object], None],
                         *_: object) -> list:
        begun.append((model.name, [(start.seed, start.mode) for start in starts]))
        made = result(1000, 'wrong_part')
        outcome = dataclasses.replace(made.outcome, committed=(('blade_first',),))
        results = [dataclasses.replace(made, seed=start.seed, outcome=outcome)
                   for start in starts]
        for one in results:
            on_done(one)
        return results

    monkeypatch.setattr(rollout, 'run_wrong_starts', run_wrong_starts)
    assert run(policy, '--against', mixed, '--episodes', 20, '--seed', 1000, '--wrong-starts', 3,
               '--json', tmp_path / 'audit.json', '--html', tmp_path / 'audit.html') == 0
    starts = [(1000 + i, 'blade_first') for i in range(3)]
    assert begun == [('policy.onnx', starts), ('mixed.onnx', starts)]
    record = json.loads((tmp_path / 'audit.json').read_text())
    assert plain(read(AuditRecord, record, 'audit.json', AuditError)) == record
    found = record['wrong_starts']['blade_first']
    assert (found['begun'], found['continued'], found['unsafe_episodes']) == (3, 3, 3)
    assert (record['episodes'], record['unsafe_episodes']) == (20, 0)  # counted apart
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert 'policy: blade_first, 3 of 3 continued' in ' '.join(told.split())
    assert 'Wrong starts' in (tmp_path / 'audit.html').read_text()


def test_an_audit_that_was_stopped_ends_with_the_same_bytes(simulated, policy, mixed, tmp_path,
                                                            monkeypatch) -> None:
    names = ('audit.json', 'audit.html', 'policy.evidence.json')
    words = (policy, '--against', mixed, '--episodes', 20, '--seed', 1000, '--scenario', 'knife')

    def outputs(folder: str) -> list[object]:
        (tmp_path / folder).mkdir(exist_ok=True)
        flags = ('--json', '--html', '--evidence')
        return [part for flag, name in zip(flags, names, strict=True)
                for part in (flag, tmp_path / folder / name)]

    assert main(['audit', *map(str, (*words, *outputs('straight')))]) == 0
    stopped = rollout.run_rollouts

    def stop(model: Path, scenario: object, seeds: list, workers: int, latency_s: float,
             on_done: Callable[[object], None], **_: object) -> list:
        if model.name == 'mixed.onnx':
            stopped(model, scenario, seeds[:7], workers, latency_s, on_done)
            raise KeyboardInterrupt
        return stopped(model, scenario, seeds, workers, latency_s, on_done)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollout, 'run_rollouts', stop)
        assert main(['audit', *map(str, (*words, *outputs('stopped')))]) == 130
    assert [p.name for p in (tmp_path / 'stopped').iterdir()] == ['audit.json.partial']
    assert main(['audit', *map(str, (*words, *outputs('stopped')))]) == 2  # not unasked
    assert main(['audit', *map(str, (*words, *outputs('stopped'))), '--resume']) == 0
    assert simulated[-1] == ('mixed.onnx', list(range(1007, 1020)))
    for name in names:
        assert ((tmp_path / 'stopped' / name).read_bytes()
                == (tmp_path / 'straight' / name).read_bytes())


def test_what_was_begun_otherwise_is_not_gone_on_with(simulated, policy, tmp_path, monkeypatch,
                                                      capsys) -> None:
    def stop(*arguments: object, **_: object) -> list:
        arguments[-1](result(1000))
        raise KeyboardInterrupt

    output = ('--json', tmp_path / 'audit.json')
    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollout, 'run_rollouts', stop)
        assert run(policy, '--seed', 1000, '--episodes', 5, *output) == 130
    told = capsys.readouterr().err
    assert '1 of 5 episodes are kept in' in told
    assert '--resume' in told
    for change in (('--seed', 2000, '--episodes', 5), ('--seed', 1000, '--episodes', 6),
                   ('--seed', 1000, '--episodes', 5, '--inference-latency', 0.01)):
        assert run(policy, *change, *output, '--resume') == 2
        assert 'belongs to another audit' in capsys.readouterr().err


def test_help_names_the_latency_that_is_used() -> None:
    assert f'(default: {INFERENCE_LATENCY_S:g})' in inspect.getsource(audit.add_arguments)


def test_command_audits_from_start_to_end(policy, tmp_path) -> None:
    outputs = [tmp_path / 'audit.json', tmp_path / 'audit.html']
    done = subprocess.run(
        [sys.executable, '-m', 'uncloning_ros.cli.main', 'audit', str(policy), '--scenario',
         'knife', '--episodes', '2', '--seed', '1000', '--workers', '2', '--min-sr', '0.5',
         '--json', str(outputs[0]), '--html', str(outputs[1])],
        capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    record = json.loads(outputs[0].read_text())
    assert record['failures']['not_grasped'] == 2
    assert outputs[1].read_text().count('data:image/jpeg;base64,') >= 2
    assert outputs[1].read_text().count('data:image/gif;base64,') == 2
    assert len(outputs[1].read_bytes()) < 10 * 2**20
    assert 'pybullet' not in done.stdout + done.stderr


def children(pid: int) -> list[int]:
    """Return the processes that a process has started to work for it."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
            if parent == pid and b'spawn_main' in (folder / 'cmdline').read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize('when', ['as workers are born', 'under way'])
def test_ctrl_c_ends_quietly_and_leaves_what_is_done_at_most(policy, tmp_path, when) -> None:
    process = subprocess.Popen(
        [sys.executable, '-m', 'uncloning_ros.cli.main', 'audit', str(policy), '--scenario',
         'knife', '--episodes', '500', '--seed', '1000', '--workers', '1',
         '--json', str(tmp_path / 'audit.json')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    if when == 'under way':
        kept = tmp_path / 'audit.json.partial'
        while not (kept.exists() and kept.read_bytes().count(b'\n') > 1):  # one of 500 is over
            assert process.poll() is None
            time.sleep(0.01)
    else:
        while not (workers := children(process.pid)):
            assert process.poll() is None
        status = Path(f'/proc/{workers[0]}/status').read_text()
        blocked = int(status.partition('SigBlk:')[2].split()[0], 16)
        assert blocked >> (signal.SIGINT - 1) & 1  # or it would print its own traceback
    os.killpg(process.pid, signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b''
    assert b'Traceback' not in rest
    assert b'stopped' in rest
    left = {p.name for p in tmp_path.iterdir()}
    if when == 'under way':
        assert b'episodes are kept in' in rest
        assert left == {'policy.onnx', 'audit.json.partial'}
    else:
        assert left == {'policy.onnx'}


def test_json_does_not_depend_on_how_many_processes_work(policy, tmp_path, capsys) -> None:
    for workers in (1, 2):
        assert run(policy, '--episodes', 3, '--seed', 1000, '--workers', workers,
                   '--json', tmp_path / f'{workers}.json',
                   '--evidence', tmp_path / f'{workers}.evidence') == 0
    for kind in ('json', 'evidence'):
        assert (tmp_path / f'1.{kind}').read_bytes() == (tmp_path / f'2.{kind}').read_bytes()
    capsys.readouterr()
    assert main(['evidence', 'check', str(tmp_path / '1.evidence'), '--model', str(policy),
                 '--scenario', 'knife', '--episodes', '2', '--workers', '1']) == 0
    assert 'ok: 2 episodes came out the same again' in capsys.readouterr().out
