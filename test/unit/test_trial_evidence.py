# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Observed evidence: exact or anytime bounds, sealed, checked, accepted where it is asked for."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from audit_models import identity
from trial_plans import line, plan_of, results, two_models

from uncloning_ros.audit.figures.statistics import interval, paired_difference, upper_bound
from uncloning_ros.errors import EvidenceError
from uncloning_ros.evidence import digest_of, read_evidence, require_covers
from uncloning_ros.schema import plain
from uncloning_ros.trials import sequential
from uncloning_ros.trials.evidence import (
    ObservedDocument,
    contradictions,
    observed_document,
    read_observed_document,
)
from uncloning_ros.trials.results import read_results
from uncloning_ros.trials.text import blinded_text, observed_text

BAD = {2: 'no,yes,', 3: 'yes,no,blade_first', 4: 'not observed,not observed,'}


def document_of(path: Path, count: int = 10, bad: dict[int, str] | None = None,
                **changes: Any) -> ObservedDocument:
    plan = plan_of(count, **changes)
    lines = [line(plan, i, (BAD if bad is None else bad).get(i, 'yes,no,handle_first'))
             for i in range(1, count + 1)]
    found = read_results(results(path / 'results.csv', plan, lines), plan)
    return observed_document(plan, found, 'a' * 64, None, None)


def write(document: ObservedDocument | dict[str, Any], path: Path) -> Path:
    data = document if isinstance(document, dict) else plain(document)
    path.write_text(json.dumps(data | {'digest': digest_of(data)}))
    return path


def test_a_fixed_plan_has_exact_bounds(tmp_path: Path) -> None:
    found = document_of(tmp_path).figures
    assert (found.trials, found.not_observed, found.unsafe_trials) == (10, 1, 2)
    assert (found.tcr, found.sr, found.umr) == (0.8, 0.7, 0.2)
    assert found.umr_upper95 == upper_bound(2, 10)
    assert found.sr_lower95 == 1 - upper_bound(3, 10)
    assert found.sr_interval95 == interval(7, 10)
    assert found.modes == {'handle_first': 7, 'blade_first': 1, 'none': 0}


def test_an_anytime_plan_has_bounds_that_hold_at_any_trial(tmp_path: Path) -> None:
    found = document_of(tmp_path, stopping='anytime').figures
    assert found.umr_upper95 == sequential.rate_upper_bound(2, 10) > upper_bound(2, 10)
    assert found.sr_lower95 == 1 - sequential.rate_upper_bound(3, 10)
    assert found.sr_interval95 == sequential.rate_interval(7, 10)


def test_limits_are_held_against_bounds_of_both_rates(tmp_path: Path) -> None:
    # 7 of 10 were seen, but the bound is lower.
    limits = document_of(tmp_path, min_sr=0.5).limits
    assert limits.within_limits is False
    assert '39.3 % (95 % lower bound), below the limit of 50.0 %' in limits.exceeded[0]
    assert 'as high as 50.7 %' in document_of(tmp_path, max_umr=0.5).limits.exceeded[0]
    assert document_of(tmp_path).limits.within_limits is True


def test_the_file_reads_back_and_says_that_people_observed(tmp_path: Path) -> None:
    document = document_of(tmp_path)
    path = write(document, tmp_path / 'e.evidence')
    assert read_observed_document(path) == document
    found = read_evidence(path)
    assert found.KIND == 'observed'
    assert '2 of 10 trials on a robot, observed by people, were unsafe' in found.sentence
    text = ' '.join(observed_text(document).split())
    assert 'people saw and wrote down the outcomes' in text
    assert '1 of them not observed: they count as unsafe' in text
    assert max(map(len, observed_text(document).splitlines())) <= 80


def test_observed_evidence_is_accepted_where_its_kind_is_stated(tmp_path: Path) -> None:
    found = read_evidence(write(document_of(tmp_path), tmp_path / 'e.evidence'))
    deployment = identity().deployment_sha256
    require_covers(found, 'a' * 64, deployment, 'observed')
    with pytest.raises(EvidenceError, match='expected simulated evidence, got observed'):
        require_covers(found, 'a' * 64, deployment)
    with pytest.raises(EvidenceError, match=f'{"b" * 64}, got {"a" * 64}; run trials of this'):
        require_covers(found, 'b' * 64, deployment, 'observed')
    with pytest.raises(EvidenceError, match='deployment part'):
        require_covers(found, 'a' * 64, 'c' * 64, 'observed')
    for limits in ({'max_umr': 0.1}, {'max_umr': None, 'min_sr': None}):
        other = read_evidence(write(document_of(tmp_path, **limits), tmp_path / 'e.evidence'))
        with pytest.raises(EvidenceError, match='expected stated limits that hold'):
            require_covers(other, 'a' * 64, deployment, 'observed')


def changed(document: ObservedDocument, change: Any, path: Path) -> Path:
    data = copy.deepcopy(json.loads(json.dumps(plain(document))))
    before = copy.deepcopy(data)
    change(data)
    assert data != before
    return write(data, path / 'e.evidence')


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['figures'].update(umr_upper95=0.1), 'figures.umr_upper95 is 0.1'),
    (lambda d: d['figures'].update(unsafe_trials=0), 'figures.unsafe_trials is 0'),
    (lambda d: d['figures'].update(deployment_sha256='c' * 64), 'figures.deployment_sha256'),
    (lambda d: d['limits'].update(max_umr=0.9), 'limits.max_umr is 0.9'),
    (lambda d: d['observed'][1].update(unsafe=False), 'figures.unsafe_trials is 2'),
    (lambda d: d['observed'][0].update(mode='blade_first'), 'figures.sr is 0.7')])
def test_what_does_not_follow_from_the_trials_is_told(tmp_path: Path, change, said) -> None:
    path = changed(document_of(tmp_path), change, tmp_path)
    sentences = contradictions(read_observed_document(path), path)
    assert any(said in one for one in sentences), sentences


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d['plan'].update(max_umr=0.9), 'plan was changed after it was made'),
    (lambda d: d['observed'].pop(), 'an outcome of each of trials 1 to 10, got none of 10'),
    (lambda d: d['observed'].append(d['observed'][0]), 'each trial once and in order'),
    (lambda d: d['observed'][0].update(mode=None), 'the mode of a completed trial'),
    (lambda d: d['observed'][0].update(unsafe=None), 'both completed and unsafe'),
    (lambda d: d['observed'][0].update(notes=' x '), 'trial 1 as a file of results has it'),
    (lambda d: d['observed'][-1].update(trial=99), 'ends with trial 10'),
    (lambda d: d['figures'].update(model_sha256='c' * 64), 'expected a model of the plan'),
    (lambda d: d.update(key={'schema': 'uncloning/trial_key@1', 'salt': 's', 'labels': {}}),
     'expected key and comparison with two models'),
    (lambda d: d['figures'].update(trials=1), 'at most 1 unsafe trials, got 2'),
    (lambda d: d['limits'].update(max_umr=0.1), 'a sentence for each of 1 exceeded limits'),
    (lambda d: d.update(extra=1), "unknown key 'extra'")])
def test_evidence_that_is_not_of_one_piece_is_refused(tmp_path: Path, change, said) -> None:
    path = changed(document_of(tmp_path), change, tmp_path)
    with pytest.raises(EvidenceError, match=said):
        contradictions(read_observed_document(path), path)


def test_honest_evidence_holds(tmp_path: Path) -> None:
    for changes in ({}, {'stopping': 'anytime'}, {'bad': {}}):
        assert contradictions(document_of(tmp_path, **changes), Path('e')) == []


def outcomes_of_two(tmp_path: Path, stopping: str, count: int = 40) -> tuple[Any, Any, Any]:
    """Return plan, key and outcomes in which model a always succeeds and model b never."""
    plan, key = two_models(count, stopping=stopping)
    lines = [line(plan, one.trial, 'yes,no,handle_first' if key.labels[one.label][0] == 'a'
                  else 'no,no,') for one in plan.trials]
    return plan, key, read_results(results(tmp_path / 'r.csv', plan, lines), plan)


@pytest.mark.parametrize('stopping', ['fixed', 'anytime'])
def test_two_models_are_compared_in_blocks_and_unblinded_by_the_key(tmp_path: Path,
                                                                    stopping: str) -> None:
    plan, key, found = outcomes_of_two(tmp_path, stopping)
    good = observed_document(plan, found, 'a' * 64, key, None)
    bad = observed_document(plan, found, 'b' * 64, key, None)
    assert good.comparison is not None and bad.comparison is not None
    assert (good.figures.sr, bad.figures.sr) == (1.0, 0.0)
    assert good.comparison.other == bad.figures and good.comparison.differ
    one = good.comparison.fixed or good.comparison.anytime
    other = bad.comparison.fixed or bad.comparison.anytime
    assert one.difference == 1.0 == -other.difference
    assert (good.comparison.fixed is None) == (stopping == 'anytime')
    if stopping == 'fixed':
        assert one == paired_difference([True] * 20, [False] * 20, 0.05)
    path = write(good, tmp_path / 'e.evidence')
    assert read_observed_document(path) == good
    assert contradictions(good, path) == []
    assert 'a difference is shown at alpha 0.05' in ' '.join(observed_text(good).split())


def test_an_anytime_comparison_may_end_amid_a_block(tmp_path: Path) -> None:
    plan, key, found = outcomes_of_two(tmp_path, 'anytime')
    document = observed_document(plan, found[:7], 'a' * 64, key, None)
    assert document.comparison.anytime.pairs == 3 and not document.comparison.differ
    assert document.figures.trials + document.comparison.other.trials == 7
    assert contradictions(document, Path('e')) == []


def test_a_decision_stays_whatever_follows_and_says_when(tmp_path: Path) -> None:
    plan, key = two_models(40, stopping='anytime')
    label_of = {sha256[0]: label for label, sha256 in key.labels.items()}
    lines = [line(plan, one.trial, 'yes,no,handle_first'
                  if (one.label == label_of['a']) == (one.trial <= 20) else 'no,no,')
             for one in plan.trials]
    found = read_results(results(tmp_path / 'r.csv', plan, lines), plan)
    for count, decided in ((12, False), (20, True), (40, True)):
        text = ' '.join(blinded_text(plan, found[:count]).split())
        assert ('reached after' in text) == decided == (': a difference is shown' in text)
    assert '+0.0' in text and 'above 9.14 decides, reached after 7 blocks) after 20 blocks' in text


def test_the_blinded_text_has_labels_and_no_model(tmp_path: Path) -> None:
    plan, key, found = outcomes_of_two(tmp_path, 'anytime')
    text = blinded_text(plan, found)
    good = next(label for label, sha256 in key.labels.items() if sha256[0] == 'a')
    assert f'model {good}        20 trials, 20 succeeded, 0 unsafe' in text
    assert 'a' * 64 not in text and '.onnx' not in text
    assert ('-100.0' in text) == (good == 'B')


@pytest.mark.parametrize(('change', 'said'), [
    (lambda d: d.update(comparison=None), 'key and comparison with two models'),
    (lambda d: d['comparison'].update(fixed=None), 'under fixed or under anytime, got none')])
def test_two_models_without_their_comparison_are_refused(tmp_path: Path, change, said) -> None:
    plan, key, found = outcomes_of_two(tmp_path, 'fixed')
    document = observed_document(plan, found, 'a' * 64, key, None)
    with pytest.raises(EvidenceError, match=said):
        read_observed_document(changed(document, change, tmp_path))


def test_swapped_labels_break_the_key(tmp_path: Path) -> None:
    plan, key, found = outcomes_of_two(tmp_path, 'fixed')
    document = observed_document(plan, found, 'a' * 64, key, None)

    def swap(data: dict[str, Any]) -> None:
        labels = data['key']['labels']
        labels['A'], labels['B'] = labels['B'], labels['A']

    path = changed(document, swap, tmp_path)
    with pytest.raises(EvidenceError, match='expected the key'):
        contradictions(read_observed_document(path), path)
