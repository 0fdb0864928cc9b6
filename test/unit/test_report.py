# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page that stands on its own, says first what matters, and shows every seed."""

import dataclasses
import re
from html.parser import HTMLParser

from audit_models import SCENARIO, identity, result

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.record.audit_record import audit_record
from uncloning_ros.audit.report.episodes import Strip, strip, worth_a_picture
from uncloning_ros.audit.report.page import html_report
from uncloning_ros.audit.report.plots import Bound, bounds, histogram
from uncloning_ros.audit.run.film import Film, Picture
from uncloning_ros.audit.wording import clauses, percent
from uncloning_ros.judging.unsafe import UNSAFE_CLAUSES, UnsafeEvent
from uncloning_ros.scenario import NotableRule, find_scenario, load_scenario
from uncloning_ros.share import share_path

KINDS = ['success'] * 6 + ['wrong_part'] * 3 + ['not_reached']


def audited(kinds, name='policy.onnx', sha256='a' * 64) -> AuditedModel:
    return AuditedModel(identity(name, sha256), tuple(
        result(1000 + i, kind, (0.6, 0.1 if i % 3 else -0.1, 0.3))
        for i, kind in enumerate(kinds)))


def record_of(kinds=KINDS, limits=None, others=(), scenario=SCENARIO):
    models = [audited(kinds), *(audited(other, f'other{i}.onnx', str(i) * 64)
                                for i, other in enumerate(others))]
    return audit_record(models, scenario, 0.005, limits or StatedLimits())


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


def page_of(scenario=SCENARIO, **options) -> tuple[str, Page]:
    film = Film((Picture('unsafe', 0.5, b'\xff\xd8picture'), Picture('end', 2.0, b'\xff\xd8')),
                b'GIF89a')
    strip = Strip('policy.onnx', result(1006, 'wrong_part'), film)
    html = html_report(record_of(scenario=scenario, **options), scenario, [strip])
    return html, Page(html)


def test_page_loads_nothing_and_runs_nothing() -> None:
    html, page = page_of(others=[['success'] * 10])
    assert not {'script', 'link', 'iframe', 'object', 'form'} & set(page.tags)
    assert [link.partition(',')[0] for link in page.links] == [
        'data:image/gif;base64', *['data:image/jpeg;base64'] * 2]
    assert not re.search(r'https?:|url\(|@import|//\w|\bon\w+=', html)


def test_page_says_first_what_was_found_and_what_it_does_not_cover() -> None:
    _, page = page_of(limits=StatedLimits(max_umr=0.7))
    text = page.text
    order = ['3 of 10 episodes were unsafe.', percent(upper_bound(3, 10)),
             'Within the stated limits', 'Worst stratum.', 'for having looked at 2 strata',
             'Not covered:', 'the use of the tool by the person', 'not a safety certificate',
             'Outcomes', 'Unsafe rate by stratum', 'Blade-to-hand angle', 'Behaviour', 'Measured',
             'Worst and typical episodes', 'Every seed', 'How this was measured',
             'Files and versions']
    places = [text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_page_tells_seeds_digests_versions_and_the_rule() -> None:
    _, page = page_of()
    text = page.text
    assert 'seeds 1000 to 1009' in text
    assert 'a' * 64 in text
    assert SCENARIO.sha256 in text
    assert 'onnxruntime' in text
    assert 'Statistical evidence under the stated simulated distribution' in text
    assert 'No limits were stated' in text
    assert 'the blade touches any body part' in text
    assert 'certified' not in text.lower()
    assert 'policy.onnx, seed 1006: completed in an undesired mode' in text


def test_page_speaks_of_the_scenarios_own_tool_and_events() -> None:
    mug = find_scenario('mug')
    modes = mug.modes | SCENARIO.modes
    scenario = dataclasses.replace(mug, modes=modes, notable=NotableRule())
    text = page_of(scenario)[1].text
    assert 'the body touched a person' in text
    assert 'blade touched' not in text
    assert 'thrust' not in text.partition('also seen')[0]  # it has no such event
    assert 'the gripper touched the receiver' in text
    assert 'the tip was fast' not in text  # nor says what fast is
    assert 'handle left, handle right' in text  # one range, told apart otherwise


def test_page_has_words_for_the_unsafe_events_of_two_arms() -> None:
    scenario, good = find_scenario('knife_two_arms'), result(1)
    touched = dataclasses.replace(good.outcome, unsafe=UnsafeEvent('arms', 'arm', 0.5, 0.0))
    text = Page(strip(Strip('it', dataclasses.replace(good, outcome=touched), Film((), b'')),
                      scenario)).text
    assert 'unsafe at 0.50 s: the arms touched' in text
    assert clauses(scenario)['contact'] == 'the blade touched the receiving arm'
    shipped = (share_path('config') / 'scenarios').glob('*.yaml')
    known = {clause for path in shipped for clause in clauses(load_scenario(path))}
    assert known == set(UNSAFE_CLAUSES)


def test_page_says_whether_limits_were_kept() -> None:
    _, kept = page_of(limits=StatedLimits(max_umr=0.7))
    assert 'Within the stated limits: upper bound of UMR at most 70.0 %.' in kept.text
    _, broken = page_of(limits=StatedLimits(min_sr=0.9))
    assert 'Limit exceeded: the success rate is 60.0 %, below the limit of 90.0 %.' in broken.text


def test_page_shows_every_seed_of_all_models() -> None:
    _, page = page_of(others=[['success'] * 10, ['wrong_part'] * 10])
    for seed in range(1000, 1010):
        assert page.text.count(f'seed {seed}:') >= 3
    for name in ('other0.onnx', 'other1.onnx'):
        assert f'UMR, less {name}' in page.text
    assert 'bound for all 3 at once' in page.text
    assert 'corrected for 6 tests by Holm' in page.text


def test_page_of_one_model_compares_nothing() -> None:
    _, page = page_of()
    assert 'Compared' not in page.text
    assert 'at once' not in page.text.partition('Several models')[0]


def test_name_of_a_model_is_text_and_not_markup() -> None:
    made = AuditedModel(identity('<script>alert(1)</script>.onnx'), audited(KINDS).results)
    html = html_report(audit_record([made], SCENARIO, 0.005, StatedLimits()), SCENARIO, [])
    assert 'script' not in Page(html).tags


def test_page_of_a_thousand_episodes_stays_small() -> None:
    html, _ = page_of(kinds=KINDS * 100)
    assert len(html) < 10**6


def test_plot_of_bounds_shows_rate_bound_correction_and_limit() -> None:
    picture = bounds([Bound('all', 0.0, 0.02, strong=True), Bound('side', 0.01, 0.05, 0.08)],
                     0.01, 'rates')
    page = Page(picture)
    assert page.tags.count('rect') == 2
    assert page.tags.count('circle') == 2
    assert 'stroke-dasharray' in picture
    assert '8.0 %' in page.text
    assert '0 % 2 % 4 % 6 % 8 %' in page.text  # the scale ends at the widest bound
    assert 'stroke-dasharray' not in bounds([Bound('all', 0.0, 0.02)], None, 'rates')


def test_values_beyond_a_histogram_count_at_its_ends() -> None:
    picture = histogram('t', [-9.0, 0.5, 99.0, 99.0], (0.0, 2.0), 1.0, 1.0, '', [], '')
    assert re.findall(r'<title>(.*?)</title>', picture) == ['0 to 1: 2', '1 to 2: 2']
    assert 'none' in histogram('t', [], (0.0, 2.0), 1.0, 1.0, '', [], 'none')


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
