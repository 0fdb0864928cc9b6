# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Audit exported policies: run their episodes, keep the finished ones, make the files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.cluster.handing_out import Cluster, run_on
from uncloning_ros.audit.evidence import evidence_document
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.audit.record.finished_episodes import FinishedEpisodes
from uncloning_ros.audit.record.json_text import json_text
from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.report.episodes import Strip, worth_a_picture
from uncloning_ros.audit.report.page import html_report
from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.seeds import Shard, derived_seed, require_unseen
from uncloning_ros.audit.shards import shard_document
from uncloning_ros.errors import AuditError
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.progress import progress_bar
from uncloning_ros.runtime.doubt import watch_of
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.schema import plain
from uncloning_ros.simulation.wrong_starts import WrongStart


class Audit:
    """An audit of one or several models on the same seeds, over `workers` processes.

    In a scenario with two arms each model gives and `partner` receives. Of the episodes a `shard`
    runs its own alone. With `ignore_doubt` doubt is judged and holds no arm.
    Seeds begin with `seed`, by default with one that follows from the digests of models and
    scenario. Raise `ModelError` for a model that cannot be used, `AuditError` for models that do
    not fit the scenario or each other, and for seeds that a model was made with.
    """

    def __init__(self, paths: Sequence[Path], scenario: Scenario, episodes: int,
                 seed: int | None, inference_latency_s: float, workers: int,
                 partner: Path | None = None, shard: Shard | None = None,
                 ignore_doubt: bool = False) -> None:
        self.scenario = scenario
        self._ignore_doubt = ignore_doubt
        self._latency_s = inference_latency_s
        self._workers = workers
        self._models = [(path, load_policy(path)) for path in paths]
        self._partner = partner
        others = [] if partner is None else [(partner, load_policy(partner))]
        self._partner_sha256 = others[0][1].sha256 if others else None
        _require_comparable(self._models, scenario)
        rollout.require_partner(self._models[0][1], others[0][1] if others else None, scenario)
        every = [*self._models, *others]
        first = derived_seed([policy for _, policy in every], scenario) if seed is None else seed
        self._seeds = range(first, first + episodes)
        self._shard = shard
        self._own_seeds = self._seeds if shard is None else shard.of(self._seeds)
        if shard is not None and shard.count > episodes:
            raise AuditError(f'expected at most {episodes} shards for {episodes} episodes, got '
                             f'{shard.count}; give fewer to --shard')
        for path, policy in every:
            require_unseen(path, policy, self._seeds)
            watch_of(policy.contract, policy.doubt, not ignore_doubt)

    @property
    def setting(self) -> dict[str, Any]:
        """Return all inputs of an episode but its seed, as plain data."""
        return {'models': [policy.sha256 for _, policy in self._models],
                'scenario_sha256': self.scenario.sha256, 'seed': self._seeds[0],
                'episodes': len(self._seeds), 'inference_latency_s': self._latency_s,
                'machine': plain(machine()),
                **({} if self._partner is None else {'partner': self._partner_sha256}),
                **({} if self._shard is None else {
                    'shard': f'{self._shard.number}/{self._shard.count}'}),
                **({'ignore_doubt': True} if self._ignore_doubt else {})}

    @property
    def total(self) -> int:
        """Return the number of episodes to run, of all models."""
        return len(self._models) * len(self._own_seeds)

    def run(self, finished: FinishedEpisodes | None, wrong_starts: int | None,
            cluster: Cluster | None = None) -> list[AuditedModel]:
        """Run episodes that are not `finished`, then `wrong_starts` in each undesired mode.

        A `cluster` runs the episodes, this machine the wrong starts.
        """
        results = [self._results(path, policy, finished, cluster) for path, policy in self._models]
        return [AuditedModel(identity_of(policy, path.name, self._partner_sha256), found,
                             self._wrong_starts(path, policy, self._seeds[:wrong_starts or 0]))
                for (path, policy), found in zip(self._models, results, strict=True)]

    def _results(self, path: Path, policy: OnnxPolicy, finished: FinishedEpisodes | None,
                 cluster: Cluster | None) -> tuple[EpisodeResult, ...]:
        there = {} if finished is None else {seed: result for (sha256, seed), result
                                             in finished.done.items() if sha256 == policy.sha256}
        missing = [seed for seed in self._own_seeds if seed not in there]
        unsafe = sum(result.outcome.unsafe is not None for result in there.values())
        with progress_bar(f'audit of {path.name}', len(self._own_seeds), done=len(there)) as bar:
            def tell(result: EpisodeResult) -> None:
                nonlocal unsafe
                if finished is not None:
                    finished.add(policy.sha256, result)
                unsafe += result.outcome.unsafe is not None
                bar.set_postfix(unsafe=unsafe, refresh=False)
                bar.update()

            if cluster is not None:
                made = run_on(cluster, path, self.scenario, missing, self._latency_s, tell,
                              self._partner, self._ignore_doubt)
            elif missing:
                made = rollout.run_rollouts(path, self.scenario, missing, self._workers,
                                            self._latency_s, tell, partner=self._partner,
                                            ignore_doubt=self._ignore_doubt)
            else:
                made = []
        there |= {result.seed: result for result in made}
        return tuple(there[seed] for seed in self._own_seeds)

    def _wrong_starts(self, path: Path, policy: OnnxPolicy,
                     seeds: Sequence[int]) -> dict[str, tuple[EpisodeResult, ...]]:
        """Return episodes that were begun in each undesired mode of the scenario, by mode."""
        desired = policy.contract.interface.desired_modes
        starts = [WrongStart(seed, mode) for mode in self.scenario.modes
                  if mode not in desired for seed in seeds]
        if not starts:
            return {}
        with progress_bar(f'wrong starts of {path.name}', len(starts)) as bar:
            results = rollout.run_wrong_starts(path, self.scenario, starts, self._workers,
                                               self._latency_s, lambda _: bar.update(),
                                               self._partner, self._ignore_doubt)
        pairs = list(zip(starts, results, strict=True))
        return {mode: tuple(result for start, result in pairs if start.mode == mode)
                for mode in dict.fromkeys(start.mode for start in starts)}

    def files(self, models: Sequence[AuditedModel], record: AuditRecord,
              limits: StatedLimits, outputs: Mapping[str, Path]) -> dict[Path, str]:
        """Return the text of each file in `outputs`, whose keys are json, evidence and html."""
        make = {
            **texts(models, record, self.scenario, limits),
            'html': lambda: html_report(record, self.scenario, self._strips(models))}
        return {path: make[kind]() for kind, path in outputs.items()}

    def shard_text(self, models: Sequence[AuditedModel], limits: StatedLimits,
                   shard: Shard) -> str:
        """Return the text of the file of a shard."""
        return json_text(shard_document(models, self.scenario, self._latency_s, limits,
                                        self._seeds, shard)) + '\n'

    def _strips(self, models: Sequence[AuditedModel]) -> list[Strip]:
        """Return the pictures and films that the report shows."""
        chosen = worth_a_picture(models)
        strips = []
        with progress_bar('films for the report', len(chosen)) as bar:
            for model, (path, _) in zip(models, self._models, strict=True):
                results = [result for sha256, result in chosen
                           if sha256 == model.identity.model_sha256]
                films = rollout.film_episodes(path, self.scenario, results, self._workers,
                                              self._latency_s, lambda _: bar.update(),
                                              self._partner, self._ignore_doubt)
                strips += [Strip(model.identity.model, result, film)
                           for result, film in zip(results, films, strict=True)]
        return strips


def texts(models: Sequence[AuditedModel], record: AuditRecord, scenario: Scenario,
          limits: StatedLimits) -> dict[str, Callable[[], str]]:
    """Return by 'json' and 'evidence' the functions that make the text of these files."""
    return {'json': lambda: json_text(plain(record)) + '\n',
            'evidence': lambda: json_text(evidence_document(
                models[0], scenario, record.inference_latency_s, limits)) + '\n'}


def _require_comparable(models: Sequence[tuple[Path, OnnxPolicy]], scenario: Scenario) -> None:
    first_path, first = models[0]
    seen: dict[str, Path] = {}
    for path, policy in models:
        rollout.require_fit(policy, path, scenario)
        if policy.sha256 in seen:
            raise AuditError(f'expected different models, got {seen[policy.sha256]} and {path} '
                             f'with the same contents; give another one to --against')
        seen[policy.sha256] = path
        if policy.contract.interface.sha256 != first.contract.interface.sha256:
            raise AuditError(f'expected models of one interface, got different interfaces in '
                             f'{first_path} and {path}; audit each in a run of its own')
