# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sheet prints on A4; the pages save every answer, and lose none, on a telephone too."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, browser
from trial_plans import line, plan_of, results, two_models

from uncloning_ros.page_server import PageServer, Request, Response
from uncloning_ros.trials.phone import TrialPages
from uncloning_ros.trials.results import COLUMNS, Observed, read_results
from uncloning_ros.trials.sheet import sheet

PLAN = plan_of(task='Hand over <the> knife')
GOOD = {'completed': 'yes', 'unsafe': 'no', 'mode': 'handle_first', 'notes': '', 'video': '',
        'seen': ''}
PHONE = (390, 844)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'results.csv'


@pytest.fixture
def saved() -> list[Observed]:
    return []


@pytest.fixture
def pages(path: Path, saved: list[Observed]) -> TrialPages:
    return TrialPages(PLAN, path, saved.append)


def notice(response: Response) -> str:
    return ' '.join(re.findall(r'<p class="limit.*?">(.*?)</p>', response.text))


def test_the_first_page_is_that_of_the_next_trial(pages: TrialPages, path: Path) -> None:
    assert pages(Request('')).go_to == 'trial/1'
    results(path, PLAN, [line(PLAN, 1), line(PLAN, 3)])
    assert pages(Request('')).go_to == 'trial/2'
    results(path, PLAN)
    assert pages(Request('')).go_to == 'done'
    assert 'All trials are answered' in pages(Request('done')).text


def test_a_file_with_a_header_alone_has_no_answers_yet(pages: TrialPages, path: Path) -> None:
    path.write_text(','.join(COLUMNS) + '\n')
    assert pages(Request('')).go_to == 'trial/1'
    assert pages(Request('trial/1', form=GOOD)).status == 303
    assert [one.trial for one in read_results(path, PLAN)] == [1]


def test_a_saved_answer_is_in_the_file_and_leads_to_the_next_trial(
        pages: TrialPages, path: Path, saved: list[Observed]) -> None:
    sent = pages(Request('trial/1', form=GOOD | {'notes': 'a\r\nb <i>', 'video': ' v.mp4 '}))
    assert (sent.status, sent.go_to) == (303, 'trial/2?saved=1')
    expected = Observed(1, True, False, 'handle_first', 'a\nb <i>', 'v.mp4')
    assert read_results(path, PLAN) == (expected,) and saved == [expected]
    after = pages(Request('trial/2', {'saved': '1'}))
    assert 'Trial 1 is saved: completed, safe, handle_first' in notice(after)
    again = pages(Request('trial/1')).text
    assert 'Saving replaces it' in again and 'a\nb &lt;i&gt;</textarea>' in again
    assert 'value="yes" required checked' in again


@pytest.mark.parametrize(('changes', 'said'), [
    ({'completed': ''}, 'got nothing under completed'), ({'mode': ''}, 'the mode of a completed'),
    ({'completed': 'maybe'}, 'got &#x27;maybe&#x27;'), ({'unsafe': 'not observed'}, 'both'),
    ({'mode': '<b>'}, 'unknown mode &#x27;&lt;b&gt;&#x27;')])
def test_an_answer_that_is_not_right_is_shown_again_and_not_saved(
        pages: TrialPages, path: Path, changes: dict[str, str], said: str) -> None:
    response = pages(Request('trial/2', form=GOOD | {'notes': 'keep this'} | changes))
    assert response.status == 422 and said in notice(response)
    assert 'keep this</textarea>' in response.text and not path.exists()
    assert pages(Request('trial/2', form={})).status == 422


def test_a_second_telephone_does_not_replace_an_answer_that_it_did_not_show(
        pages: TrialPages, path: Path) -> None:
    pages(Request('trial/1', form=GOOD))
    late = pages(Request('trial/1', form=GOOD | {'unsafe': 'yes'}))
    assert late.status == 409 and 'answered meanwhile: completed, safe' in notice(late)
    assert read_results(path, PLAN)[0].unsafe is False
    # The page that came back shows the other answer, so saving again replaces it.
    mark = re.search('name="seen" value="(.+?)"', late.text)
    assert mark is not None
    pages(Request('trial/1', form=GOOD | {'unsafe': 'yes', 'seen': mark[1]}))
    assert read_results(path, PLAN)[0].unsafe is True


@pytest.mark.parametrize('place', ['trial/0', 'trial/7', 'trial/01', 'trial/1/', 'x', 'trial/²'])
def test_another_address_is_not_a_page(pages: TrialPages, place: str) -> None:
    assert pages(Request(place)).status == 404
    assert pages(Request(place, form=GOOD)).status == 404


def test_the_pages_of_two_models_name_labels_alone(path: Path) -> None:
    plan, _ = two_models()
    text = TrialPages(plan, path)(Request('trial/1')).text
    assert f'Run model {plan.trials[0].label}' in text
    assert 'onnx' not in text and not any(one.model_sha256 in text for one in plan.models)


def test_the_sheet_has_a_row_for_each_trial_and_the_code() -> None:
    text = sheet(PLAN)
    assert text.count('<tr><td><b>') == 6 and text.count(PLAN.code) == 3
    assert 'Hand over &lt;the&gt; knife' in text and PLAN.digest in text
    assert '<script' not in text and 'http' not in text
    plan, _ = two_models()
    for one in plan.trials:
        assert f'<td><b>{one.trial}</b></td><td><b>{one.label}</b></td>' in sheet(plan)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / 'profile') as found:
        yield found


def test_the_sheet_is_printed_on_a4(chromium: Browser, tmp_path: Path) -> None:
    plan, _ = two_models(60)
    (tmp_path / 'sheet.html').write_text(sheet(plan), 'utf-8')
    chromium.open((tmp_path / 'sheet.html').as_uri())
    pdf = chromium.pdf()
    boxes = re.findall(rb'/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]', pdf)
    assert 3 <= len(boxes) <= 5
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}
    # As wide as the paper between its margins: nothing is cut off.
    chromium.call('Emulation.setEmulatedMedia', media='print')
    chromium.call('Emulation.setDeviceMetricsOverride', width=703, height=1032,
                  deviceScaleFactor=1, mobile=False)
    assert chromium.run('document.documentElement.scrollWidth') <= 703


def test_a_telephone_fills_in_trials_and_loses_nothing(chromium: Browser, path: Path) -> None:
    server = PageServer(TrialPages(PLAN, path), '127.0.0.1', 0, 'k7m2p9qx')
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        chromium.size(*PHONE)
        chromium.open(server.address)
        assert chromium.run('document.documentElement.scrollWidth') <= PHONE[0]
        assert chromium.run('Math.min(...[...document.querySelectorAll(".choice, button")]'
                            '.map(one => one.getBoundingClientRect().height))') >= 44
        chromium.run('document.querySelector("[name=completed][value=yes]").click()')
        chromium.run('document.querySelector("[name=unsafe][value=no]").click()')
        chromium.run('document.querySelector("textarea").focus()')
        chromium.call('Input.insertText', text='slow start')
        # What was entered stays, although nothing is saved.
        chromium.reload()
        assert not path.exists()
        assert chromium.run('document.querySelector("textarea").value') == 'slow start'
        assert chromium.run('document.querySelector("[name=completed]:checked").value') == 'yes'
        chromium.run('document.querySelector("[name=mode][value=handle_first]").click()')
        chromium.go('document.querySelector("button").click()')
        assert read_results(path, PLAN) == (
            Observed(1, True, False, 'handle_first', 'slow start'),)
        assert chromium.run('location.pathname').endswith('/trial/2')
        assert chromium.run('document.querySelector("textarea").value') == ''
        assert 'Trial 1 is saved' in chromium.run('document.body.innerText')
        chromium.go('document.querySelector(".limit a").click()')
        assert chromium.run('document.querySelector("textarea").value') == 'slow start'
    finally:
        server.shutdown()
        thread.join()
