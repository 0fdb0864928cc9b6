# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated files: contracts, scenarios, evidence, shards of an audit, incidents."""

import copy
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import incidents
import numpy as np
import vectors
import yaml
from audit_models import conditions, identity, result
from loop_inputs import Run
from mutation_kind import Kind
from mutators import Text, mutated_bytes, mutated_data, mutated_json, mutated_yaml, pick
from numpy.random import Generator

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.evidence import (
    EvidenceDocument,
    contradictions,
    evidence_document,
    read_evidence_document,
)
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.record.audit_record import audit_record
from uncloning_ros.audit.record.finished_episodes import finished_episodes
from uncloning_ros.audit.run.seeds import Shard
from uncloning_ros.audit.shards import Merged, merged, shard_document
from uncloning_ros.contract import Contract, Signal, contract_from_dict, load_contract
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import UncloningError
from uncloning_ros.evidence import Evidence, digest_of, read_evidence, require_covers
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.policy_io import Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.incident import Incident, read_incident, write_incident
from uncloning_ros.runtime.replay import replay
from uncloning_ros.runtime.watchdog import Guards
from uncloning_ros.scenario import Scenario, find_scenario, load_scenario
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

KNIFE = find_scenario('knife')


class _Yaml(Kind):
    """A YAML file with other data, a trap of YAML, a line twice, or other bytes."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        super().__init__(folder)
        self.texts = [(share_path('config') / name).read_text() for name in names]

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, Text, int]:
        text = mutated_yaml(rng, pick(rng, self.texts))
        path = folder / 'file.yaml'
        path.write_bytes(text.data)
        return path, text, int(rng.integers(2**31))


class ContractFile(_Yaml):
    """A contract; what is accepted drives a loop for 25 cycles."""

    reader = 'load_contract, ControlLoop'
    weight = 1600

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ('contract.yaml', 'contract_joint.yaml'))
        self.texts.append(yaml.safe_dump(vectors.DATA, sort_keys=False))

    def read(self, changed: tuple[Path, Text, int]) -> Contract:
        contract = load_contract(changed[0])
        ControlLoop(contract, 0)
        return contract

    def require_right(self, changed: tuple[Path, Text, int], result: Contract) -> str:
        _, text, seed = changed
        text.require_read_as(plain(result))
        again = contract_from_dict(json.loads(json.dumps(plain(result))))
        assert again == result and again.sha256 == result.sha256
        drive(result, seed)
        return 'run'


def generic_samples(signals: tuple[Signal, ...], now_ns: int) -> dict[str, Sample]:
    """Return samples for any contract: all of a kind alike, and trembling."""
    tremor = 1e-4 * math.sin(now_ns * 1e-7)
    values = {'pose': lambda n: np.array([0.4 + tremor, 0, 0.3, 1, 0, 0, 0, -1, 0]),
              'joint_positions': lambda n: np.full(n, 0.1 + tremor),
              'gripper_width': lambda n: np.array([0.04 + tremor]),
              'force': lambda n: np.full(3, tremor),
              'vector': lambda n: np.full(n, 0.1 + tremor)}
    return {signal.key: Sample(values[signal.kind](signal.dim), now_ns, now_ns)
            for signal in signals}


def drive(contract: Contract, seed: int) -> None:
    """Drive a loop of any contract with a policy that answers anything, for 25 cycles."""
    rng = np.random.default_rng(seed)
    shape = (contract.policy.horizon, contract.interface.action_dim)
    run = Run(lambda *_: Plan(rng.normal(scale=0.5, size=shape)), contract=contract)
    for _ in range(25):
        guards = Guards(enabled=True, enabled_receive_ns=run.now_ns, faulty=False)
        decision = run.step(generic_samples(contract.interface.observations, run.now_ns),
                            guards=guards)
        assert decision.reason and decision.sentence
        assert decision.command is None or np.all(np.isfinite(decision.command))


class ScenarioFile(_Yaml):
    """A scenario."""

    reader = 'load_scenario'
    weight = 500

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, tuple(f'scenarios/{name}.yaml' for name in (
            'knife', 'knife_camera', 'knife_route', 'mug', 'scissors', 'screwdriver')))

    def read(self, changed: tuple[Path, Text, int]) -> Scenario:
        return load_scenario(changed[0])

    def require_right(self, changed: tuple[Path, Text, int], result: Scenario) -> str:
        changed[1].require_read_as(plain(result))
        assert load_scenario(changed[0]).sha256 == result.sha256
        json.dumps(result.source, allow_nan=False)  # as evidence holds it
        return 'read'


def evidence() -> dict[str, Any]:
    """Return the evidence of 20 episodes made by hand, two of them unsafe."""
    kinds = ['success'] * 17 + ['wrong_part'] * 2 + ['not_reached']
    results = tuple(result(1000 + i, kind, (0.6, 0.1 if i % 3 else -0.1, 0.3))
                    for i, kind in enumerate(kinds))
    about = identity(demonstrated={'handle_first': 60, 'blade_first': 40})
    made = evidence_document(AuditedModel(about, results), KNIFE, 0.005,
                             StatedLimits(max_umr=0.4, min_sr=0.5))
    return json.loads(json.dumps(made))


class EvidenceFile(Kind):
    """An evidence file with other bytes, other data, or other data and the right digest."""

    reader = 'the policy node, uncloning evidence check'
    weight = 800

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.document = evidence()
        self.text = json.dumps(self.document)

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, bool]:
        path, sealed = folder / 'e.evidence', rng.random() < 0.7
        if not sealed:
            path.write_bytes(mutated_json(rng, self.text))
            return path, False
        where = pick(rng, ('figures', 'limits', 'per_seed', None))
        data = copy.deepcopy(self.document)
        if where is None:
            data = mutated_data(rng, data)
        else:
            data[where] = mutated_data(rng, data[where])
        if isinstance(data, dict):
            try:
                data['digest'] = digest_of(data)
            except (ValueError, TypeError, UnicodeError):  # NaN and the like have none
                sealed = False
        path.write_text(json.dumps(data))
        return path, sealed

    def read(self, changed: tuple[Path, bool]) -> tuple[Evidence, EvidenceDocument | None, Any]:
        path, _ = changed
        found = read_evidence(path)
        try:
            document = read_evidence_document(path)
            return found, document, contradictions(document, path)
        except UncloningError:
            return found, None, None

    def require_right(self, changed: tuple[Path, bool],
                      result: tuple[Evidence, EvidenceDocument | None, Any]) -> str:
        path, sealed = changed
        found, document, sentences = result
        written = json.loads(path.read_text())
        assert sealed or written == self.document, 'the digest does not tell a change'
        assert vars(found.figures).items() <= written['figures'].items()
        assert vars(found.limits) | {'exceeded': [*found.limits.exceeded]} == written['limits']
        self._require_honest_limits(found, written)
        if document is None:
            return 'read by the node alone'
        # A whole number may be read as a float.
        assert json.loads(json.dumps(plain(document)), parse_int=float) == json.loads(
            path.read_text(), parse_int=float)
        same = {key for key in written if written[key] == self.document[key]}
        if same >= {'per_seed', 'demonstrated', 'scenario'} and not same >= {'figures', 'limits'}:
            stated = ('max_umr', 'min_sr')
            only_stated = 'figures' in same and any(
                written['limits'][key] != self.document['limits'][key] for key in stated)
            identities = _identity(written) != _identity(self.document)
            assert sentences or only_stated or identities, 'wrong figures are believed'
        return 'contradicted' if sentences else 'it holds'

    @staticmethod
    def _require_honest_limits(found: Evidence, written: Mapping[str, Any]) -> None:
        limits, figures = written['limits'], written['figures']
        holds = ((limits['max_umr'] is not None or limits['min_sr'] is not None)
                 and (limits['max_umr'] is None or figures['umr_upper95'] <= limits['max_umr'])
                 and (limits['min_sr'] is None or figures['sr'] >= limits['min_sr']))
        try:
            require_covers(found, 'a' * 64, identity().deployment_sha256)
        except UncloningError:
            return
        assert holds and figures['model_sha256'] == 'a' * 64


def _identity(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what evidence says of the model, which does not follow from the episodes."""
    return {key: document['figures'].get(key) for key in vars(identity())}


class ShardFile(Kind):
    """The second shard of an audit with other bytes, or with other data and the right digest."""

    reader = 'uncloning evidence merge'
    weight = 200

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.first = folder / 'first.shard'
        texts = []
        for number in (1, 2):
            shard, seeds = Shard(number, 2), range(1000, 1020)
            results = tuple(result(seed) for seed in shard.of(seeds))
            texts.append(json.dumps(shard_document(
                [AuditedModel(identity(), results)], KNIFE, 0.005, StatedLimits(0.4, 0.5), seeds,
                shard)))
        self.first.write_text(texts[0])
        self.text = texts[1]

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, bool]:
        path, sealed = folder / 'second.shard', rng.random() < 0.7
        if not sealed:
            path.write_bytes(mutated_json(rng, self.text))
            return path, False
        data = json.loads(self.text)
        where = pick(rng, ('models', 'scenario', None))
        if where is None:
            data = mutated_data(rng, data)
        else:
            data[where] = mutated_data(rng, data[where])
        if isinstance(data, dict):
            try:
                data['digest'] = digest_of(data)
            except (ValueError, TypeError, UnicodeError):  # NaN and the like have none
                sealed = False
        path.write_text(json.dumps(data))
        return path, sealed

    def read(self, changed: tuple[Path, bool]) -> Merged:
        found = merged([self.first, changed[0]])
        audit_record(found.models, found.scenario, found.inference_latency_s, found.limits)
        return found

    def require_right(self, changed: tuple[Path, bool], result: Merged) -> str:
        path, sealed = changed
        assert sealed or json.loads(path.read_text()) == json.loads(self.text)
        one, = result.models
        assert [episode.seed for episode in one.results] == list(range(1000, 1020))
        assert (one.identity, result.scenario.sha256) == (identity(), KNIFE.sha256)
        return 'merged'


class FinishedAudit(Kind):
    """The file of a stopped audit with other lines or other bytes."""

    reader = 'uncloning audit --resume'
    weight = 300
    setting: ClassVar = {'scenario': 'knife', 'latency': 0.005}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        path = folder / 'whole.partial'
        with finished_episodes(path, self.setting, resume=False) as finished:
            for seed in range(1000, 1006):
                finished.add('a' * 64, result(seed, 'success', conditions=conditions()))
            self.done = dict(finished.done)
        self.data = path.read_bytes()

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, bytes]:
        data = self.data
        if rng.random() < 0.5:
            data = mutated_bytes(rng, data)
        else:
            lines = data.split(b'\n')
            at = int(rng.integers(len(lines) - 1))
            lines[at] = mutated_json(rng, lines[at].decode())
            data = b'\n'.join(lines)
        path = folder / 'e.partial'
        path.write_bytes(data)
        return path, data

    def read(self, changed: tuple[Path, bytes]) -> dict[tuple[str, int], EpisodeResult]:
        with finished_episodes(changed[0], self.setting, resume=True) as finished:
            return dict(finished.done)

    def require_kept(self, changed: tuple[Path, bytes]) -> None:
        path, data = changed
        assert data.startswith(path.read_bytes()), 'a refused file was changed'
        assert data[path.stat().st_size:].count(b'\n') == 0, 'more than a cut line is gone'

    def require_right(self, changed: tuple[Path, bytes],
                      result: dict[tuple[str, int], EpisodeResult]) -> str:
        lines = changed[1].split(b'\n')[1:-1]
        whole = self.data.split(b'\n')[1:-1]
        for line in set(lines) & set(whole):
            entry = json.loads(line)
            key = entry['model_sha256'], entry['episode']['seed']
            if sum(f'"seed": {key[1]}'.encode() in other for other in lines) == 1:
                assert result[key] == self.done[key]
        assert len(result) <= len(lines)
        return 'resumed'


class IncidentFile(Kind):
    """An incident with other bytes, or with another record in a whole archive."""

    reader = 'uncloning replay'
    weight = 300

    function: ClassVar[type[incidents.Function]] = incidents.Function

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.policy = self.function()
        self.whole = write_incident(incidents.incident(self.policy, chunks=2), folder / 'whole')
        with np.load(self.whole) as archive:
            self.arrays = {name: archive[name] for name in archive.files}

    def mutated(self, rng: Generator, folder: Path) -> Path:
        path = folder / 'incident.npz'
        if rng.random() < 0.5:
            path.write_bytes(mutated_bytes(rng, self.whole.read_bytes()))
            return path
        arrays = dict(self.arrays)
        name = pick(rng, [*arrays])
        if name == 'record':
            arrays[name] = np.frombuffer(
                mutated_json(rng, arrays[name].tobytes().decode()), np.uint8)
        else:
            one = arrays[name].copy()
            arrays[name] = pick(rng, (one[:-1], one[..., :-1], one.astype(np.float64),
                                      np.concatenate([one, one]), one[:0], one.ravel(),
                                      np.zeros_like(one), -one.astype(np.int64)))
        with path.open('wb') as file:
            np.savez(file, **arrays)
        return path

    def read(self, changed: Path) -> tuple[Incident, Any]:
        found = read_incident(changed)
        return found, replay(found, self.policy)

    def require_right(self, changed: Path, result: tuple[Incident, Any]) -> str:
        found, replayed = result
        assert len(replayed.indices) == int(found.answered.sum())
        same = all(np.array_equal(getattr(found, name), self.arrays[name])
                   for name in ('observations', 'noises', 'chunks'))
        same = same and all(np.array_equal(pixels, self.arrays[f'pictures/{key}'])
                            for key, pixels in found.pictures.items())
        assert replayed.reproduced or not same
        return 'repeated' if replayed.reproduced else 'not reproduced'


class IncidentOfPictures(IncidentFile):
    """Such an incident of a policy that sees."""

    weight = 200
    function = incidents.SeeingFunction


KINDS = (ContractFile, ScenarioFile, EvidenceFile, ShardFile, FinishedAudit, IncidentFile,
         IncidentOfPictures)
