# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of hand-made results, and a page that stands on its own."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from audit_models import SCENARIO, result, short_contract

from uncloning_ros.audit.report import Strip, html_report, worth_a_picture
from uncloning_ros.audit.rollout import Picture
from uncloning_ros.audit.statistics import upper_bound
from uncloning_ros.audit.summary import Audited, StatedLimits, audit_record, model_record, percent

CONTRACT = short_contract()
KINDS = ['success'] * 6 + ['wrong_part'] * 3 + ['not_reached']


def audited(kinds, name='policy.onnx', sha256='a' * 64, **changes) -> Audited:
    return Audited(name, sha256, CONTRACT, tuple(
        result(1000 + i, kind, **changes) for i, kind in enumerate(kinds)))


def record_of(kinds=KINDS, limits=None, against=None):
    return audit_record(audited(kinds), SCENARIO, 0.005, limits or StatedLimits(),
                        None if against is None else audited(against, 'mixed.onnx', 'b' * 64))


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


def test_record_names_what_was_audited_and_is_plain_json() -> None:
    record = record_of(against=['success'] * 10)
    assert record['model_sha256'] == 'a' * 64
    assert record['against']['model_sha256'] == 'b' * 64
    assert record['scenario'] == 'knife'
    assert record['interface_sha256'] == CONTRACT.interface.sha256
    assert record['deployment_sha256'] == CONTRACT.deployment.sha256
    assert record['inference_latency_s'] == 0.005
    again = json.loads(json.dumps(record, allow_nan=False))
    assert [e['seed'] for e in again['per_seed']] == list(range(1000, 1010))
    assert again['per_seed'][6]['failure'] == 'wrong_part'
    assert again['per_seed'][6]['unsafe']['clause'] == 'pointing'
    assert set(record) - {'schema', 'software_version', 'scenario_sha256', 'inference_latency_s',
                          'limits', 'against'} == set(record['against']) - {'difference'}


def test_difference_is_paired_by_seed() -> None:
    difference = record_of(against=['wrong_part'] * 2 + ['success'] * 8)['against']['difference']
    assert difference['sr']['difference'] == pytest.approx(-0.2)
    assert (difference['sr']['only_first'], difference['sr']['only_second']) == (2, 4)
    assert difference['umr']['difference'] == pytest.approx(0.1)
    assert difference['tcr']['low'] < -0.1 < difference['tcr']['high']


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


def test_worst_stratum_is_the_one_with_most_unsafe() -> None:
    results = [result(1, offer=(0.6, 0.1, 0.25)), result(2, offer=(0.6, 0.2, 0.35)),
               result(3, 'wrong_part', offer=(0.6, -0.1, 0.25)),
               result(4, offer=(0.6, -0.1, 0.35))]
    record = model_record(Audited('m', 'c' * 64, CONTRACT, tuple(results)), SCENARIO)
    strata = {s['stratum']: s for s in record['strata']}
    assert record['worst_stratum'] == 'side: right'
    assert strata['side: right']['umr'] == 0.5
    assert strata['side: left']['umr'] == 0.0
    assert strata['side: left']['umr_upper95'] == upper_bound(0, 2)
    assert strata['height: low']['episodes'] == 2
    assert 'distance: far' not in strata  # nobody was there, so nothing is claimed


def test_of_equally_unsafe_strata_the_one_with_least_success_is_worst() -> None:
    results = [result(1, offer=(0.6, 0.1, 0.25)), result(2, offer=(0.6, 0.2, 0.35)),
               result(3, 'not_reached', offer=(0.6, -0.1, 0.25)),
               result(4, offer=(0.6, -0.1, 0.35)), result(5, offer=(0.6, 0.1, 0.25))]
    record = model_record(Audited('m', 'c' * 64, CONTRACT, tuple(results)), SCENARIO)
    assert record['unsafe_episodes'] == 0
    assert record['worst_stratum'] == 'side: right'


def test_spreads_leave_out_what_did_not_happen() -> None:
    record = model_record(audited(['not_reached'] * 3), SCENARIO)
    assert record['spreads']['taken_s'] is None
    assert record['purity'] is None
    assert record['spreads']['edge_clearance_hand_m']['count'] == 3


def test_counts_of_limits_and_holds_add_up() -> None:
    record = model_record(audited(['success'] * 3, limits={'workspace': 2}, holds=4), SCENARIO)
    assert record['hardware_limits'] == {'workspace': 6}
    assert record['holds'] == 12


@pytest.mark.parametrize(('rate', 'text'), [
    (0.0, '0.0 %'), (0.00994, '0.99 %'), (0.0099999, '1.00 %'), (0.5, '50.0 %'), (1.0, '100.0 %')])
def test_small_rates_keep_their_digits(rate, text) -> None:
    assert percent(rate) == text


class Page(HTMLParser):
    """Collect tags, attributes and text, and see that every element is closed."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ('src', 'href', 'srcset')]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r'\s+', ' ', ' '.join(self.words))


def page_of(**options) -> tuple[str, Page]:
    strip = Strip('policy.onnx', result(1006, 'wrong_part'),
                  [Picture('unsafe', 0.5, b'\xff\xd8picture'), Picture('end', 2.0, b'\xff\xd8')])
    html = html_report(record_of(**options), SCENARIO, [strip])
    return html, Page(html)


def test_page_loads_nothing_and_runs_nothing() -> None:
    html, page = page_of(against=['success'] * 10)
    assert 'script' not in page.tags
    assert 'link' not in page.tags
    assert page.links
    assert all(link.startswith('data:image/jpeg;base64,') for link in page.links)
    assert not re.search(r'https?:|url\(|@import|//\w', html)


def test_page_tells_bound_seeds_digests_and_what_it_does_not_show() -> None:
    _, page = page_of()
    text = page.text
    assert '3 of 10 episodes were unsafe.' in text
    assert percent(upper_bound(3, 10)) in text
    assert 'seeds 1000 to 1009' in text
    assert 'a' * 64 in text
    assert SCENARIO.sha256 in text
    assert 'Statistical evidence under the stated simulated distribution' in text
    assert 'Not covered:' in text
    assert 'No limits were stated' in text
    assert 'certified' not in text.lower()
    assert 'policy.onnx, seed 1006: completed in an undesired mode' in text


def test_page_says_whether_limits_were_kept() -> None:
    _, kept = page_of(limits=StatedLimits(max_umr=0.7))
    assert 'Within the stated limits: upper bound of UMR at most 70.0 %.' in kept.text
    _, broken = page_of(limits=StatedLimits(min_sr=0.9))
    assert 'Limit exceeded: the success rate is 60.0 %, below the limit of 90.0 %.' in broken.text


def test_page_shows_every_seed_of_both_models() -> None:
    _, page = page_of(against=['success'] * 10)
    for seed in range(1000, 1010):
        assert page.text.count(f'seed {seed}:') >= 2
    assert 'policy.onnx less mixed.onnx' in page.text


def test_name_of_a_model_is_text_and_not_markup() -> None:
    made = audited(KINDS, name='<script>alert(1)</script>.onnx')
    html = html_report(audit_record(made, SCENARIO, 0.005, StatedLimits()), SCENARIO, [])
    assert 'script' not in Page(html).tags


def test_page_of_a_thousand_episodes_stays_small() -> None:
    html, _ = page_of(kinds=KINDS * 100)
    assert len(html) < 10**6


def test_pictures_are_taken_of_the_worst_and_of_the_same_seed() -> None:
    first, second = audited(KINDS), audited(['wrong_part'] + ['success'] * 9, sha256='b' * 64)
    chosen = worth_a_picture([first, second])
    told = [(sha256[0], r.seed, r.outcome.failure) for sha256, r in chosen]
    assert told[:3] == [('a', seed, 'wrong_part') for seed in (1006, 1007, 1008)]
    assert told[3] == ('a', 1000, None)  # its success that came nearest
    assert ('b', 1000, 'wrong_part') in told
    assert len(told) == len(set(told))


def test_unsafe_but_desired_episode_is_among_the_pictures() -> None:
    good = audited(['success'] * 9)
    event = result(0, 'wrong_part').outcome.unsafe
    outcome = dataclasses.replace(good.results[4].outcome, unsafe=event, failure='unsafe')
    results = list(good.results)
    results[4] = dataclasses.replace(results[4], outcome=outcome)
    chosen = worth_a_picture([dataclasses.replace(good, results=tuple(results))])
    assert chosen[0][1].seed == 1004
    assert len(chosen) == 3
