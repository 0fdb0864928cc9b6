# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of hand-made results, and the JSON that they become."""

import dataclasses
import json

import pytest
from audit_models import SCENARIO, conditions, identity, result

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.calibration import expected_modes, ideal_modes
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.figures.statistics import holm, interval, mcnemar_p, upper_bound
from uncloning_ros.audit.record.audit_record import AuditRecord, audit_record, model_record
from uncloning_ros.audit.wording import percent, points
from uncloning_ros.errors import AuditError, EvidenceError
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import plain, read

KINDS = ['success'] * 6 + ['wrong_part'] * 3 + ['not_reached']


def audited(kinds=KINDS, name='policy.onnx', sha256='a' * 64, about=None,
            **changes) -> AuditedModel:
    return AuditedModel(identity(name, sha256, **(about or {})), tuple(
        result(1000 + i, kind, **changes) for i, kind in enumerate(kinds)))


def record_of(kinds=KINDS, limits=None, others=()):
    models = [audited(kinds), *(audited(other, f'other{i}.onnx', str(i) * 64)
                                for i, other in enumerate(others))]
    return plain(audit_record(models, SCENARIO, 0.005, limits or StatedLimits()))


def figures_of(one: AuditedModel, limits=None):
    return plain(model_record(one, SCENARIO, limits or StatedLimits()))


def compared_models(record):
    return [record['against'], *record['also_against']]


def again(record) -> AuditRecord:
    """Return the record read from its own JSON."""
    return read(AuditRecord, json.loads(json.dumps(record, allow_nan=False)), 'audit', AuditError)


def test_rates_are_counted_over_all_episodes() -> None:
    record = record_of()
    assert (record['episodes'], record['seed']) == (10, 1000)
    assert (record['tcr'], record['sr'], record['umr']) == (0.9, 0.6, 0.3)
    assert record['umr_upper95'] == upper_bound(3, 10)
    assert record['purity'] == pytest.approx(6 / 9)
    assert record['modes'] == {'handle_first': 6, 'blade_first': 3, 'between_modes': 0}
    assert record['failures'] == {'not_grasped': 0, 'dropped': 0, 'not_reached': 1, 'timeout': 0,
                                  'wrong_part': 3, 'unsafe': 0}
    assert sum(record['failures'].values()) == 4
    assert record['unsafe_clauses']['pointing'] == 3


def test_record_names_what_was_audited_and_is_the_plain_json_that_its_fields_tell() -> None:
    record = record_of(others=[['success'] * 10, ['wrong_part'] * 10])
    assert plain(again(record)) == record
    assert record['model_sha256'] == 'a' * 64
    assert record['against']['model_sha256'] == '0' * 64
    assert [m['model_sha256'] for m in record['also_against']] == ['1' * 64]
    assert [m['model'] for m in compared_models(record)] == ['other0.onnx', 'other1.onnx']
    assert record['scenario'] == 'knife'
    assert record['scenario_sha256'] == SCENARIO.sha256
    assert record['interface_sha256'] == identity().interface_sha256
    assert record['deployment_sha256'] == identity().deployment_sha256
    assert record['inference_latency_s'] == 0.005
    assert record['machine']['software_version']
    assert [e['seed'] for e in record['per_seed']] == list(range(1000, 1010))
    assert record['per_seed'][6]['failure'] == 'wrong_part'
    assert record['per_seed'][6]['unsafe']['clause'] == 'pointing'
    assert record['per_seed'][6]['conditions']['pull_n'] == 7.0


def test_one_model_alone_is_compared_with_none() -> None:
    record = record_of()
    assert record['family'] is None
    assert not {'against', 'also_against'} & set(record)
    assert plain(again(record)) == record


def test_an_episode_comes_back_from_its_record_exactly() -> None:
    for kind in ('success', 'wrong_part', 'not_reached'):
        made = result(7, kind, (0.1 + 0.2, -1 / 3, 0.3))
        record = json.loads(json.dumps(plain(made)))
        assert read(EpisodeResult, record, 'here', EvidenceError) == made


@pytest.mark.parametrize(('change', 'said'), [
    ({'seed': -1}, 'here: seed: expected .*, got -1'),
    ({'seed': True}, 'here: seed: expected .*, got True'),
    ({'mode': 3}, 'here: mode: expected a text, got 3'),
    ({'hand_offer_m': [1.0, 2.0]}, r'here: hand_offer_m: expected .*3 numbers.*2.0\]'),
    ({'hand_offer_m': [1.0, 2.0, float('inf')]}, r'here: hand_offer_m: expected .*numbers.*inf'),
    ({'committed': [['a'], 'b']}, r"here: committed\[1\]: expected a .*list of texts, got 'b'"),
    ({'unsafe': {'clause': 'contact'}}, "here: unsafe: missing key 'part'"),
    ({'conditions': {'pull_n': None}}, 'here: conditions.pull_n: expected a number, got None'),
    ({'near_fast_share': 1.5}, 'here: near_fast_share: expected .*1.*, got 1.5'),
    ({'taken': 1.0}, r"here: unknown key 'taken' \(did you mean 'taken_s'\?\)")])
def test_a_record_that_is_no_episode_is_refused_with_its_place(change, said) -> None:
    with pytest.raises(EvidenceError, match=said):
        read(EpisodeResult, {**plain(result(1)), **change}, 'here', EvidenceError)


def test_a_missing_field_is_named_with_what_it_should_say() -> None:
    record = plain(result(1))
    del record['mode']
    with pytest.raises(EvidenceError, match="here: missing key 'mode'"):
        read(EpisodeResult, record, 'here', EvidenceError)
    with pytest.raises(EvidenceError, match='here: expected a mapping, got 3'):
        read(EpisodeResult, 3, 'here', EvidenceError)


def test_difference_is_paired_by_seed() -> None:
    record = record_of(others=[['wrong_part'] * 2 + ['success'] * 8])
    difference = record['against']['difference']
    assert difference['sr']['difference'] == pytest.approx(-0.2)
    assert (difference['sr']['only_first'], difference['sr']['only_second']) == (2, 4)
    assert difference['umr']['difference'] == pytest.approx(0.1)
    assert difference['tcr']['low'] < -0.1 < difference['tcr']['high']


def test_what_is_claimed_of_several_models_is_corrected() -> None:
    record = record_of(others=[['success'] * 10, ['wrong_part'] * 10])
    assert record['family'] == {'models': 3, 'correction': 'Bonferroni', 'umr_upper95': {
        'a' * 64: upper_bound(3, 10, 0.05 / 3), '0' * 64: upper_bound(0, 10, 0.05 / 3),
        '1' * 64: 1.0}}
    tests = [found[rate] for found in (m['difference'] for m in compared_models(record))
             for rate in ('tcr', 'sr', 'umr')]
    assert [t['p_value_holm'] for t in tests] == pytest.approx(
        holm([t['p_value'] for t in tests]))
    assert tests[5]['p_value'] == mcnemar_p(0, 7)
    assert tests[5]['p_value_holm'] > tests[5]['p_value']


@pytest.mark.parametrize(('limits', 'exceeded'), [
    (StatedLimits(), []),
    (StatedLimits(max_umr=0.61, min_sr=0.6), []),
    (StatedLimits(max_umr=0.6, min_sr=0.6), ['unsafe rate']),
    (StatedLimits(max_umr=0.61, min_sr=0.61), ['success rate']),
    (StatedLimits(max_umr=0.3, min_sr=0.9), ['unsafe rate', 'success rate'])])
def test_limits_are_held_against_the_bound_of_umr_and_against_sr(limits, exceeded) -> None:
    assert upper_bound(3, 10) == pytest.approx(0.607, abs=5e-4)
    sentences = record_of(limits=limits)['limits']['exceeded']
    assert len(sentences) == len(exceeded)
    assert all(part in sentence for part, sentence in zip(exceeded, sentences, strict=True))


def test_strata_say_what_they_carry_of_the_stated_limit() -> None:
    results = [result(i, offer=(0.6, y, 0.3)) for i, y in enumerate((0.1, 0.2, -0.1, -0.2))]
    record = figures_of(AuditedModel(identity(), tuple(results)), StatedLimits(max_umr=0.01))
    assert record['worst_stratum'] == 'side: right'
    assert all('does not carry the limit of 1.00 %' in s['claim'] for s in record['strata'])
    assert record['constant_conditions']['tracking_noise_m'] == 0.005
    alike = figures_of(AuditedModel(identity(), (result(1), result(2))))
    assert (alike['strata'], alike['worst_stratum']) == ([], None)


def test_spreads_leave_out_what_did_not_happen() -> None:
    record = figures_of(audited(['not_reached'] * 3))
    assert record['spreads']['taken_s'] is None
    assert record['purity'] is None
    assert record['spreads']['edge_clearance_hand_m']['count'] == 3
    assert record['calibration'] is None


def test_counts_of_limits_and_holds_add_up() -> None:
    record = figures_of(audited(['success'] * 3, hardware_limits={'workspace': 2}, holds=4))
    assert record['hardware_limits'] == {'workspace': 6}
    assert record['holds'] == 12


def test_what_is_reported_and_not_judged_is_counted_with_an_interval() -> None:
    slow = result(1)
    fast = dataclasses.replace(slow, seed=2, outcome=dataclasses.replace(
        slow.outcome, notable=('fast_near', 'arm_contact')))
    record = figures_of(AuditedModel(identity(), (slow, fast)))
    assert record['notable']['fast_near'] == {'episodes': 1, 'interval95': list(interval(1, 2))}
    assert record['notable']['over_hold']['episodes'] == 0
    assert record['unsafe_episodes'] == 0


def test_commitment_is_told_of_all_episodes() -> None:
    found = record_of()['commitment']
    assert found['committed'] == 10
    assert (found['bridges'], found['wrong_starts'], found['mended']) == (3, 0, 0)


DEMONSTRATED = {'handle_first': 60, 'blade_first': 40}


def test_a_cloned_policy_should_show_the_modes_of_its_demonstrations() -> None:
    found = figures_of(audited(about={'demonstrated': DEMONSTRATED}))['calibration']
    assert found['reference'] == 'the 100 demonstrations that it learned from'
    assert found['expected'] == {'blade_first': 0.4, 'handle_first': 0.6}
    assert found['tv'] == pytest.approx(abs(6 / 9 - 0.6))
    assert found['low'] <= found['tv'] <= found['high']
    assert found['episodes'] == 9
    assert expected_modes(identity()) is None


def test_an_edited_policy_should_show_them_without_what_was_removed() -> None:
    edited = identity(demonstrated=DEMONSTRATED, modes_removed=('blade_first',))
    found = expected_modes(edited)
    assert found is not None
    assert (found.counts, found.what) == (
        {'handle_first': 60}, 'the 100 demonstrations that it learned from, without blade first')
    figures = figures_of(AuditedModel(edited, audited().results))
    assert figures['calibration']['tv'] == pytest.approx(1 / 3)


def test_an_edit_is_held_against_its_original_where_that_was_audited() -> None:
    edited = audited(['success'] * 9 + ['wrong_part'], about={
        'modes_removed': ('blade_first',), 'original_sha256': 'e' * 64})
    original = audited(KINDS, 'mixed.onnx', 'b' * 64, about={'weights_sha256': 'e' * 64})
    stranger = audited(KINDS, 'other.onnx', 'c' * 64, about={'weights_sha256': 'f' * 64})
    record = plain(audit_record([edited, stranger, original], SCENARIO, 0.005, StatedLimits()))
    assert plain(again(record)) == record
    assert record['against']['ideal'] is None
    ideal = record['also_against'][0]['ideal']
    assert ideal['reference'] == ('mixed.onnx, its original, without blade first, on the same '
                                  'seeds')
    assert ideal['tv'] == pytest.approx(0.1)
    assert ideal_modes(original.identity, original) is None


def test_variety_is_told_of_desired_modes_with_enough_episodes() -> None:
    made = result(0)
    many = [dataclasses.replace(
        made, seed=i, conditions=conditions((0.6, 0.01 * (i % 7), 0.3)),
        outcome=dataclasses.replace(made.outcome, path_bow_m=(0.01 * (i % 5), 0.02 * (i % 3))))
        for i in range(30)]
    one = AuditedModel(identity(), tuple(many))
    few = AuditedModel(identity('other.onnx', 'b' * 64), tuple(many[:10]))
    record = plain(audit_record([one, dataclasses.replace(one, identity=few.identity)],
                                SCENARIO, 0.005, StatedLimits()))
    assert plain(again(record)) == record
    assert list(record['diversity']) == ['handle_first']
    found = record['diversity']['handle_first']
    assert found['offered'] is None  # every episode offered the very same pose
    assert found['path']['episodes'] == 30
    assert found['path']['interval95_m'][0] < found['path']['value_m']
    assert record['against']['diversity_ratio']['handle_first']['path']['ratio'] == 1.0
    assert figures_of(few)['diversity']['handle_first']['path'] is None


@pytest.mark.parametrize(('rate', 'text'), [
    (0.0, '0.0 %'), (0.00994, '0.99 %'), (0.0099999, '1.00 %'), (0.5, '50.0 %'), (1.0, '100.0 %')])
def test_small_rates_keep_their_digits(rate, text) -> None:
    assert percent(rate) == text


def test_a_bound_beside_zero_keeps_its_sign() -> None:
    assert points({'difference': 0.01, 'low': -0.004, 'high': 0.024}) == '+1.0 [-0.4, +2.4]'
    assert points({'difference': 0.0, 'low': -0.0004, 'high': 0.00003}) == '+0.0 [-0.04, +0.003]'
    assert points({'difference': -0.0, 'low': -1e-18, 'high': 4e-8}) == '+0.0 [+0.0, +0.0]'
