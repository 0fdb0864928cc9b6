# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shards of an audit, merged, are the bytes of one audit; wrong sets of shards are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_models import result, write_policy

from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.seeds import Shard
from uncloning_ros.cli.main import main
from uncloning_ros.evidence import digest_of

EPISODES = 23


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Replace the simulation by results that follow from the seed; list the seeds of the runs."""
    runs: list[list[int]] = []

    def run_rollouts(model: Path, scenario: object, seeds: list[int], workers: int,
                     latency_s: float, on_done: Callable[[object], None], **_: object) -> list:
        runs.append(list(seeds))
        results = [result(s, 'wrong_part' if s % 5 == 0 else 'success', (0.6, (s % 7) / 3, 0.3))
                   for s in seeds]
        for one in results:
            on_done(one)
        return results

    monkeypatch.setattr(rollout, 'run_rollouts', run_rollouts)
    return runs


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path / 'policy.onnx')


def audit(policy: Path, *words: object, episodes: int = EPISODES) -> int:
    return main(['audit', str(policy), '--scenario', 'knife', '--episodes', str(episodes),
                 '--seed', '1000', '--max-umr', '0.5', *map(str, words)])


def merge(*words: object) -> int:
    return main(['evidence', 'merge', *map(str, words)])


def shards(policy: Path, count: int, folder: Path, *words: object) -> list[Path]:
    folder.mkdir()
    paths = [folder / f'{i}.json' for i in range(1, count + 1)]
    for i, path in enumerate(paths, 1):
        assert audit(policy, '--shard', f'{i}/{count}', '--evidence', path, *words) == 0
    return paths


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert merge(*words) == 2
    told = capsys.readouterr()
    assert told.out == ''
    assert told.err.count('\n') == 1
    return told.err


@pytest.mark.parametrize('count', [1, 4, EPISODES])
def test_shards_share_the_seeds_in_order(count: int) -> None:
    seeds = range(1000, 1000 + EPISODES)
    parts = [Shard(i, count).of(seeds) for i in range(1, count + 1)]
    assert [seed for part in parts for seed in part] == list(seeds)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize('count', [1, 4, EPISODES])
def test_merged_shards_are_the_bytes_of_one_audit(policy, tmp_path, simulated, capsys,
                                                  count) -> None:
    mixed = write_policy(tmp_path / 'mixed.onnx', noise_scale=0.03)
    whole, one = (tmp_path / name for name in ('whole', 'one'))
    whole.mkdir()
    status = audit(policy, '--against', mixed, '--evidence', whole / 'e', '--json', whole / 'j')
    told = capsys.readouterr().out
    simulated.clear()
    parts = shards(policy, count, one, '--against', mixed)
    assert [seed for run in simulated[::2] for seed in run] == list(range(1000, 1000 + EPISODES))
    capsys.readouterr()
    # The order of the files does not matter.
    assert merge(*reversed(parts), '--evidence', one / 'e', '--json', one / 'j') == status == 0
    assert capsys.readouterr().out == told
    for name in ('e', 'j'):
        assert (one / name).read_bytes() == (whole / name).read_bytes()
    assert main(['evidence', 'check', str(one / 'e')]) == 0


def test_a_stated_limit_that_is_exceeded_is_the_status_of_the_merge(policy, tmp_path) -> None:
    assert merge(*shards(policy, 2, tmp_path / 'parts', '--max-umr', '0.01')) == 1


def test_a_stopped_shard_continues_and_another_shard_does_not_take_its_episodes(
        policy, tmp_path, monkeypatch, simulated, capsys) -> None:
    run = rollout.run_rollouts

    def stop(model: Path, scenario: object, seeds: list[int], workers: int, latency_s: float,
             on_done: Callable[[object], None], **_: object) -> list:
        run(model, scenario, seeds[:3], workers, latency_s, on_done)
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollout, 'run_rollouts', stop)
        assert audit(policy, '--shard', '2/4', '--evidence', tmp_path / '2') == 130
    assert '3 of 6 episodes are kept in' in capsys.readouterr().err
    assert audit(policy, '--shard', '3/4', '--evidence', tmp_path / '2', '--resume') == 2
    assert 'its shard is 2/4, not 3/4' in capsys.readouterr().err
    assert audit(policy, '--shard', '2/4', '--evidence', tmp_path / '2', '--resume') == 0
    assert simulated[-1] == [1008, 1009, 1010]
    assert not (tmp_path / '2.partial').exists()


def test_a_missing_and_a_doubled_shard_are_named(policy, tmp_path, capsys) -> None:
    parts = shards(policy, 4, tmp_path / 'parts')
    assert 'all 4 shards, got 3 without shard 3; run uncloning audit with --shard 3/4' in refused(
        capsys, *parts[:2], parts[3])
    again = parts[0].with_name('again.json')
    again.write_bytes(parts[0].read_bytes())
    told = refused(capsys, *parts, again)
    assert f'got shard 1 in {parts[0]} and in {again}' in told


@pytest.mark.parametrize(('words', 'told'), [
    (['--scenario', 'knife_camera'], 'got scenario.name'), (['--seed', '1001'], 'got seed 1000'),
    (['--episodes', '24'], 'got episodes 23'), (['--shard', '2/3'], 'got shards 2'),
    (['--inference-latency', '0.01'], 'got inference_latency_s 0.005'),
    (['--max-umr', '0.6'], 'got max_umr 0.5'), (['--min-sr', '0.5'], 'got min_sr None')])
def test_a_shard_of_another_audit_is_refused(policy, tmp_path, capsys, words, told) -> None:
    parts = shards(policy, 2, tmp_path / 'parts')
    other = tmp_path / 'other'
    assert audit(policy, '--shard', '2/2', '--evidence', other, *words) == 0
    assert told in refused(capsys, parts[0], other)


def test_a_shard_of_another_model_is_refused(policy, tmp_path, capsys) -> None:
    parts = shards(policy, 2, tmp_path / 'parts')
    for name, words in (('policy.onnx', []), ('third.onnx', ['--against', policy])):
        folder = tmp_path / f'of {name}'
        folder.mkdir()
        model = write_policy(folder / name, noise_scale=0.5)
        assert audit(model, '--shard', '2/2', '--evidence', folder / 'e', *words) == 0
        assert 'got models[0].model' in refused(capsys, parts[0], folder / 'e')


def edited(path: Path, change: Callable[[dict[str, Any]], object], seal: bool = True) -> Path:
    document = json.loads(path.read_text())
    change(document)
    other = path.with_name('edited.json')
    other.write_text(json.dumps(document | (
        {'digest': digest_of(document)} if seal else {})))
    return other


@pytest.mark.parametrize(('change', 'told'), [
    (lambda d: d['machine'].update(processor='another'), 'got machine.processor'),
    (lambda d: d['machine'].update(software_version='9'), 'got machine.software_version'),
    (lambda d: d['machine'].update(code_sha256='a' * 64), 'got machine.code_sha256'),
    (lambda d: d.update(shard=1), 'expected the episodes of seeds 1000 to 1010 in order'),
    (lambda d: d.update(shard=3), 'got 3'),
    (lambda d: d['models'][0]['per_seed'].pop(), 'expected the episodes of seeds 1011 to 1022'),
    (lambda d: d['scenario']['data'].update(physics=3), 'scenario.data'),
    (lambda d: d.update(schema='uncloning/evidence@1'), 'uncloning/audit_shard@1')])
def test_a_shard_of_another_machine_or_with_other_contents_is_refused(
        policy, tmp_path, capsys, change, told) -> None:
    parts = shards(policy, 2, tmp_path / 'parts')
    assert told in refused(capsys, parts[0], edited(parts[1], change))


def test_shards_are_merged_on_a_machine_like_theirs(policy, tmp_path, capsys) -> None:
    parts = [edited(path, lambda d: d['machine'].update(processor='another')).rename(
        path.with_suffix('.moved')) for path in shards(policy, 2, tmp_path / 'parts')]
    told = refused(capsys, *parts, '--evidence', tmp_path / 'e')
    assert 'on a machine like that of the shards' in told and 'another' in told
    assert not (tmp_path / 'e').exists()


def test_a_damaged_shard_and_other_files_are_refused(policy, tmp_path, capsys) -> None:
    parts = shards(policy, 2, tmp_path / 'parts')
    worse = edited(parts[1], lambda d: d['models'][0]['per_seed'][0].update(chunks=99), seal=False)
    assert 'is damaged: expected the digest' in refused(capsys, parts[0], worse)
    other = tmp_path / 'other'
    for text in ('', '[]', '{}', 'null', '{"schema": "uncloning/audit_shard@1"}'):
        other.write_text(text)
        assert str(other) in refused(capsys, parts[0], other)
    assert str(policy) in refused(capsys, policy)


@pytest.mark.parametrize(('words', 'told'), [
    (['--shard', '1/24', '--evidence', 'e'], 'at most 23 shards for 23 episodes, got 24'),
    (['--shard', '1/2'], 'got none'),
    (['--shard', '1/2', '--evidence', 'e', '--html', 'h'], 'got --evidence, --html'),
    (['--shard', '1/2', '--evidence', 'e', '--wrong-starts', '2'], 'without --wrong-starts')])
def test_a_shard_asks_for_its_own_options(policy, tmp_path, monkeypatch, capsys, words,
                                          told) -> None:
    monkeypatch.chdir(tmp_path)
    assert audit(policy, *words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize('text', ['0/2', '3/2', '1', '1/', '/2', 'a/b', '1/2/3'])
def test_only_i_of_n_is_a_shard(policy, capsys, text) -> None:
    with pytest.raises(SystemExit):
        audit(policy, '--shard', text)
    assert '--shard' in capsys.readouterr().err


def test_nothing_is_written_over(policy, tmp_path, capsys) -> None:
    parts = shards(policy, 2, tmp_path / 'parts')
    assert 'exists already' in refused(capsys, *parts, '--evidence', parts[0])
