# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated files of trials: plans, results, observed evidence."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

from mutated_files import evidence
from mutation_kind import Kind
from mutators import mutated_bytes, mutated_data, mutated_json, pick
from numpy.random import Generator
from trial_plans import line, plan_of, results, two_models

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.errors import EvidenceError, UncloningError
from uncloning_ros.evidence import (
    ObservedEvidence,
    digest_of,
    read_evidence,
    require_covers,
)
from uncloning_ros.page_server import Request
from uncloning_ros.schema import plain, read
from uncloning_ros.trials.evidence import (
    ObservedDocument,
    contradictions,
    observed_document,
    read_observed_document,
)
from uncloning_ros.trials.phone import TrialPages
from uncloning_ros.trials.plan import TrialPlan, read_plan
from uncloning_ros.trials.results import Observed, observed, read_results, require_ended
from uncloning_ros.trials.sheet import sheet
from uncloning_ros.trials.side_by_side import simulated_side
from uncloning_ros.trials.text import observed_text

OUTCOMES = ('yes,no,handle_first', 'no,no,', 'no,yes,', 'yes,no,blade_first', 'yes,yes,none',
            'not observed,not observed,')
CELLS = ('', ' ', 'yes', 'NO', '1', '0', 'true', 'maybe', 'ja', 'not observed', 'none',
         'handle_first', 'Blade_First', '7', '007', '-1', '1.0', '1e3', '²', '9' * 5000, '"',
         'a;b', 'a,b', '\x00', 'ü', '\ufeff', '=1+1', 'x' * 200_000)


def _sealed(data: Any) -> Any:
    """Return data with the right digest, as far as it has one."""
    try:
        return data | {'digest': digest_of(data)}
    except (TypeError, ValueError, AttributeError):
        return data


class TrialPlanFile(Kind):
    """A plan with other bytes, or other data and the right digest; its sheet and page are made."""

    reader = 'read_plan, sheet, pages'
    weight = 200

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plans = [json.loads(json.dumps(plain(plan))) for plan in (
            plan_of(), two_models(stopping='anytime')[0])]

    def mutated(self, rng: Generator, folder: Path) -> Path:
        path, plan = folder / 'plan.json', pick(rng, self.plans)
        if rng.random() < 0.4:
            path.write_bytes(mutated_json(rng, json.dumps(plan)))
        else:
            path.write_text(json.dumps(_sealed(mutated_data(rng, plan))))
        return path

    def read(self, changed: Path) -> TrialPlan:
        return read_plan(changed)

    def require_right(self, changed: Path, result: TrialPlan) -> str:
        assert digest_of(json.loads(changed.read_text())) == result.digest or (
            digest_of(plain(result)) == result.digest)
        assert sheet(result).count('<tr><td><b>') == len(result.trials)
        pages = TrialPages(result, changed.parent / 'results.csv')
        assert pages(Request('')).go_to == 'trial/1'
        assert 'Save trial 1' in pages(Request('trial/1')).text
        return 'read'


class TrialResults(Kind):
    """Results with other cells, lines or bytes."""

    reader = 'read_results'
    weight = 400

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plan = plan_of(12, stopping='anytime')

    def mutated(self, rng: Generator, folder: Path) -> Path:
        lines = [line(self.plan, i, pick(rng, OUTCOMES)) for i in range(1, 13)]
        path = results(folder / 'results.csv', self.plan, lines)
        rows = [text.split(',') for text in path.read_text().splitlines()]
        for _ in range(int(rng.integers(0, 3))):
            row = pick(rng, rows)
            choice = rng.random()
            if choice < 0.6:
                row[int(rng.integers(len(row)))] = pick(rng, CELLS)
            elif choice < 0.7:
                row.append(pick(rng, CELLS))
            elif choice < 0.8:
                rows.append(list(row))
            elif choice < 0.9:
                rows.remove(row)
            rows = rows or [['trial']]
        data = pick(rng, ('\n', '\r\n', '\n\n')).join(map(','.join, rows)).encode()
        path.write_bytes(mutated_bytes(rng, data) if rng.random() < 0.2 and data else data)
        return path

    def read(self, changed: Path) -> tuple[Observed, ...]:
        found = read_results(changed, self.plan)
        require_ended(found, self.plan, changed)
        return found

    def require_right(self, changed: Path, result: tuple[Observed, ...]) -> str:
        with changed.open(encoding='utf-8-sig', newline='') as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
        assert [one.trial for one in result] == list(range(1, len(rows)))
        for one in result:
            assert observed(one.cells, self.plan, 'again') == one
            assert (one.completed is None) == (one.unsafe is None)
        said = [row[2].strip().casefold() for row in rows[1:]]
        assert sum(one.unsafe is False for one in result) == sum(
            word in ('no', '0', 'n', 'false') for word in said)
        return 'read'


class ObservedFile(Kind):
    """Observed evidence with other bytes, or other data and the right digest."""

    reader = 'the policy node, uncloning evidence check'
    weight = 400

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.documents = [json.loads(json.dumps(plain(one))) for one in (
            self._of_one(folder), self._of_two(folder))]

    @staticmethod
    def _of_one(folder: Path) -> ObservedDocument:
        audit = read(EvidenceDocument, evidence(), 'audit', EvidenceError)
        starts = [{'seed': str(one.seed)} for one in audit.per_seed[:8]]
        plan = plan_of(simulated_digest=audit.digest, trials=tuple(
            type(plan_of().trials[0])(i, start) for i, start in enumerate(starts, 1)))
        found = read_results(results(folder / 'one.csv', plan), plan)
        side = simulated_side(audit, Path('audit'), 'a' * 64, plan)
        return observed_document(plan, found, 'a' * 64, None, side)

    @staticmethod
    def _of_two(folder: Path) -> ObservedDocument:
        plan, key = two_models(12, stopping='anytime')
        found = read_results(results(folder / 'two.csv', plan), plan)
        return observed_document(plan, found[:9], 'b' * 64, key, None)

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, Any]:
        path, document = folder / 'e.evidence', pick(rng, self.documents)
        if rng.random() < 0.3:
            path.write_bytes(mutated_json(rng, json.dumps(document)))
            return path, document
        data = copy.deepcopy(document)
        where = pick(rng, ('figures', 'limits', 'observed', 'comparison', 'simulated', 'plan',
                           'key', None))
        if where is None or data[where] is None:
            data = mutated_data(rng, data)
        else:
            data[where] = mutated_data(rng, data[where])
            if where == 'plan':
                data[where] = _sealed(data[where])
        path.write_text(json.dumps(_sealed(data)))
        return path, document

    def read(self, changed: tuple[Path, Any]) -> tuple[Any, list[str] | None]:
        path, _ = changed
        found = read_evidence(path)
        try:
            document = read_observed_document(path)
            assert document.figures.model_sha256 in observed_text(document)
            return found, contradictions(document, path)
        except UncloningError:
            return found, None

    def require_right(self, changed: tuple[Path, Any],
                      result: tuple[Any, list[str] | None]) -> str:
        path, before = changed
        found, sentences = result
        written = json.loads(path.read_text())
        assert isinstance(found, ObservedEvidence)
        try:
            require_covers(found, 'a' * 64, before['figures']['deployment_sha256'], 'observed')
        except UncloningError:
            pass
        else:
            assert not written['limits']['exceeded']
        if sentences is None:
            return 'read by the node alone'
        same = {key for key in written if written[key] == before[key]}
        if same >= {'observed', 'plan', 'key'}:
            assert sentences or same >= {'figures', 'limits', 'comparison'}, 'wrong figures'
        return 'contradicted' if sentences else 'it holds'


KINDS = (TrialPlanFile, TrialResults, ObservedFile)
