# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the episodes of an audit on a cluster: small shards, handed out one after another.

Only bytes and text travel: the model's file and the setting there, the records as JSON back. A
shard whose worker is lost runs again. Every worker has to be a machine like that of the command,
as an episode's bits depend on it.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.run.rollout import Setting, episode_runner, setting_of
from uncloning_ros.errors import AuditError, UncloningError
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario, scenario_from_dict
from uncloning_ros.schema import plain, read

# Episodes of a shard: seconds of work, so that workers end at about the same time.
_EPISODES = 4
_SHARDS_PER_CORE = 2  # shards started: a worker that ends one finds the next there
_MOST_LOSSES = 3  # of the workers of one shard; more come from the shard


class Cluster(Protocol):
    """Workers that call `episodes_text`; each core runs one call at a time."""

    cores: int

    def give(self, data: bytes) -> Any:
        """Send bytes to the workers once; return them as `start` takes them."""

    def start(self, setting: str, model: Any, partner: Any, seeds: Sequence[int]) -> Any:
        """Let a worker call `episodes_text`; return a handle of the call."""

    def finished(self, started: Sequence[Any]) -> tuple[Any, str | None]:
        """Wait for one of the calls; return its handle and text, None if its worker was lost."""


def run_on(cluster: Cluster, model: Path, scenario: Scenario, seeds: Sequence[int],
           inference_latency_s: float, on_done: Callable[[EpisodeResult], object],
           partner: Path | None, ignore_doubt: bool = False) -> list[EpisodeResult]:
    """Run one episode for each seed on a cluster; all else as `rollout.run_rollouts`."""
    there = setting_of(model, scenario, inference_latency_s, partner=partner,
                       ignore_doubt=ignore_doubt)
    setting = json.dumps({
        'model': there.sha256, 'partner': None if there.partner is None else there.partner[1],
        'scenario': scenario.source, 'inference_latency_s': inference_latency_s,
        'ignore_doubt': ignore_doubt})
    ours, theirs = (None if path is None else cluster.give(path.read_bytes())
                    for path in (model, partner))
    waiting = deque(tuple(seeds[i:i + _EPISODES]) for i in range(0, len(seeds), _EPISODES))
    under_way: dict[Any, tuple[int, ...]] = {}
    losses: Counter[tuple[int, ...]] = Counter()
    found: dict[int, EpisodeResult] = {}
    while waiting or under_way:
        while waiting and len(under_way) < _SHARDS_PER_CORE * cluster.cores:
            shard = waiting.popleft()
            under_way[cluster.start(setting, ours, theirs, shard)] = shard
        handle, text = cluster.finished(list(under_way))
        shard = under_way.pop(handle)
        if text is None:
            losses[shard] += 1
            if losses[shard] > _MOST_LOSSES:
                raise AuditError(f'expected episodes {shard[0]} to {shard[-1]} from a worker, got '
                                 f'{losses[shard]} workers that were lost amid them, possibly for '
                                 f'lack of memory; give the workers more, then audit again')
            waiting.append(shard)
            continue
        for result in _results(text):
            found[result.seed] = result
            on_done(result)
    return [found[seed] for seed in seeds]


def episodes_text(setting: str, model: bytes, partner: bytes | None, seeds: Sequence[int]) -> str:
    """Run episodes in a worker; return as JSON its machine and their records, or an error."""
    try:
        run = _runner(setting, model, partner)
        episodes = [plain(run(seed)) for seed in seeds]
    except UncloningError as err:
        return json.dumps({'error': str(err)})
    return json.dumps({'machine': plain(machine()), 'episodes': episodes}, allow_nan=False)


@lru_cache(maxsize=1)
def _runner(setting: str, model: bytes, partner: bytes | None) -> Callable[[int], EpisodeResult]:
    """Return the runner of a worker, made once for all its shards of an audit."""
    said = json.loads(setting)
    scenario = scenario_from_dict(said['scenario'], 'the scenario of the audit')
    with TemporaryDirectory(prefix='uncloning_') as folder:
        paths = [Path(folder) / name for name in ('model.onnx', 'partner.onnx')]
        for path, data in zip(paths, (model, partner), strict=True):
            path.write_bytes(data or b'')
        return episode_runner(Setting(
            paths[0], said['model'], scenario, said['inference_latency_s'], None,
            None if partner is None else (paths[1], said['partner']), said['ignore_doubt']))


def _results(text: str) -> list[EpisodeResult]:
    answer = json.loads(text)
    if 'error' in answer:
        raise AuditError(answer['error'])
    for key, here in plain(machine()).items():
        if answer['machine'][key] != here:
            raise AuditError(f'expected workers on machines like this one, got {key} '
                             f'{answer["machine"][key]!r} instead of {here!r}; start the command '
                             f'on a machine of that kind with the same installation')
    return [read(EpisodeResult, one, 'a worker', AuditError) for one in answer['episodes']]
