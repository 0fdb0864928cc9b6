# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the episodes of one shard of an audit, and merge all shards of one.

A shard holds all that the whole audit follows from, but for the episodes of the other shards. The
machine is part of that, as an episode's bits depend on it: shards of one audit come from one kind
of machine, with the same versions. Hosts, processes, times and names of the shards' files are not
in it, so they may differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from uncloning_ros.audit.audited import AuditedModel, ModelIdentity
from uncloning_ros.audit.evidence import StoredScenario, differences, scenario_of
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.record.provenance import AuditMachine, machine
from uncloning_ros.audit.run.seeds import Shard
from uncloning_ros.errors import AuditError, shown
from uncloning_ros.evidence import MOST_BYTES, digest_of, require_digest
from uncloning_ros.files import read_json
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario
from uncloning_ros.schema import Count, Note, Positive, Rate, Sha256, plain, read

_REMEDY = 'make it with uncloning audit and --shard'


@dataclass(frozen=True)
class ShardModel:
    """One model with its episodes; the fields between are those of `ModelIdentity`."""

    identity: Annotated[ModelIdentity, Note.INLINE]
    demonstrated: Mapping[str, Count] | None
    weights_sha256: str | None
    original_sha256: str | None
    per_seed: tuple[EpisodeResult, ...]

    @property
    def audited(self) -> AuditedModel:
        """Return the model as an audit has it."""
        return AuditedModel(replace(
            self.identity, demonstrated=self.demonstrated, weights_sha256=self.weights_sha256,
            original_sha256=self.original_sha256), self.per_seed)


@dataclass(frozen=True)
class ShardDocument:
    """All that the file of a shard holds; `seed` and `episodes` are those of the whole audit."""

    SCHEMAS: ClassVar = ('uncloning/audit_shard@1',)

    digest: Sha256
    machine: AuditMachine
    scenario: StoredScenario
    inference_latency_s: float
    max_umr: Rate | None
    min_sr: Rate | None
    seed: Count
    episodes: Positive
    shard: Positive
    shards: Positive
    models: tuple[ShardModel, ...]

    def as_read(self) -> 'ShardDocument':
        """Return the document; raise `AuditError` unless it has just the shard's episodes."""
        if not self.shard <= self.shards <= self.episodes:
            raise AuditError(f'expected shard at most {self.shards} of at most {self.episodes} '
                             f'shards, got {self.shard}; {_REMEDY}')
        own = Shard(self.shard, self.shards).of(range(self.seed, self.seed + self.episodes))
        for model in self.models:
            if [result.seed for result in model.per_seed] != list(own):
                raise AuditError(f'expected the episodes of seeds {own[0]} to {own[-1]} in order, '
                                 f'got {len(model.per_seed)} others; {_REMEDY}')
        return self


@dataclass(frozen=True)
class Merged:
    """A whole audit: its models with all episodes, and its setting."""

    models: list[AuditedModel]
    scenario: Scenario
    inference_latency_s: float
    limits: StatedLimits


def shard_document(models: Sequence[AuditedModel], scenario: Scenario,
                   inference_latency_s: float, limits: StatedLimits, seeds: range,
                   shard: Shard) -> dict[str, Any]:
    """Return a shard of an audit of `seeds` as plain data, sealed with its digest."""
    document: dict[str, Any] = plain(ShardDocument(
        '', machine(), StoredScenario(scenario.name, scenario.sha256, scenario.source),
        inference_latency_s, limits.max_umr, limits.min_sr, seeds[0], len(seeds), shard.number,
        shard.count, tuple(ShardModel(
            one.identity, one.identity.demonstrated, one.identity.weights_sha256,
            one.identity.original_sha256, one.results) for one in models)))
    return document | {'digest': digest_of(document)}


def merged(paths: Sequence[Path]) -> Merged:
    """Return the audit whose shards are in the files.

    Raise `UncloningError` for a damaged file, for shards of different audits, for a shard that is
    given twice and for one that is missing.
    """
    found: dict[int, tuple[Path, ShardDocument]] = {}
    for path in paths:
        shard = _read_shard(path)
        if shard.shard in found:
            raise AuditError(f'expected each shard once, got shard {shard.shard} in '
                             f'{found[shard.shard][0]} and in {path}; leave one out')
        found[shard.shard] = path, shard
    _require_one_audit(list(found.values()))
    in_order = [found[number] for number in sorted(found)]
    first = in_order[0][1]
    if wrong := differences(plain(first.machine), plain(machine()), 'machine'):
        raise AuditError(f'expected the merge on a machine like that of the shards, which the '
                         f'evidence names, got: {wrong[0]}; merge them on one of their machines')
    missing = [number for number in range(1, first.shards + 1) if number not in found]
    if missing:
        raise AuditError(f'expected all {first.shards} shards, got {len(found)} without shard '
                         f'{missing[0]}; run uncloning audit with --shard '
                         f'{missing[0]}/{first.shards}, or give its file')
    models = [replace(one.audited, results=tuple(
        result for _, shard in in_order for result in shard.models[i].per_seed))
        for i, one in enumerate(first.models)]
    return Merged(models, scenario_of(first.scenario, in_order[0][0]), first.inference_latency_s,
                  StatedLimits(first.max_umr, first.min_sr))


def _read_shard(path: Path) -> ShardDocument:
    document = read_json(path, AuditError, _REMEDY, MOST_BYTES)
    shard = read(ShardDocument, document, str(path), AuditError)
    require_digest(document, path)
    scenario_of(shard.scenario, path)
    return shard


def _require_one_audit(shards: Sequence[tuple[Path, ShardDocument]]) -> None:
    first_path, first = shards[0]
    expected = dict(_setting(plain(first)))
    for path, shard in shards[1:]:
        said = dict(_setting(plain(shard)))
        for key in [*expected, *said]:
            ours, theirs = expected.get(key, 'nothing'), said.get(key, 'nothing')
            if ours != theirs:
                raise AuditError(f'expected shards of one audit, got {key} {shown(ours)} in '
                                 f'{first_path} and {shown(theirs)} in {path}; run all shards '
                                 f'with the same command on the same kind of machine')


def _setting(data: Any, where: str = '') -> Iterator[tuple[str, Any]]:
    """Give the place and value of everything that the shards of one audit have in common."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key not in ('digest', 'shard', 'per_seed', 'data'):
                yield from _setting(value, f'{where}.{key}' if where else key)
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        for i, item in enumerate(data):
            yield from _setting(item, f'{where}[{i}]')
    else:
        yield where, data
