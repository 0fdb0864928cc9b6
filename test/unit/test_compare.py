# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing handovers on a page: the answers of people, in a browser, and the command."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import episodes
import numpy as np
import pytest
from chromium import Browser, browser

from uncloning_ros.cli.main import main
from uncloning_ros.demos.bags.answers import (
    WITHDRAWN,
    Answer,
    Shown,
    add_answer,
    answers_path,
    now,
    read_answers,
    standing,
)
from uncloning_ros.demos.bags.layout import set_aside
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import digests_of, find_episodes
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import BagError
from uncloning_ros.page_server import PageServer, Request, Response
from uncloning_ros.preferences.pages import ComparePages
from uncloning_ros.preferences.scene import Handover, handover_of

PHONE = (390, 844)
QUESTION = '[...document.querySelectorAll(".answers [type=hidden]")].map(one => one.value).join()'
WAYS = [episodes.HANDLE_FIRST, episodes.BLADE_FIRST]


@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('demos')
    for i in range(6):
        episodes.write(folder, episodes.handover(WAYS[i % 2], seed=i), i)
    return folder


@pytest.fixture(scope='module')
def handovers(demos: Path) -> list[Handover]:
    found = [handover_of(ref, Reading(), episodes.KNIFE)
             for ref in find_episodes([demos], Reading()).episodes]
    assert not any(isinstance(one, LeftOut) for one in found)
    return [one for one in found if isinstance(one, Handover)]


@pytest.fixture(scope='module')
def digests(demos: Path) -> dict[str, str]:
    refs = find_episodes([demos], Reading()).episodes
    return dict(zip((one.name for one in refs), digests_of(refs), strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return answers_path(tmp_path)


@pytest.fixture
def saved() -> list[Answer]:
    return []


@pytest.fixture
def pages(handovers: list[Handover], digests: dict[str, str], path: Path,
          saved: list[Answer]) -> ComparePages:
    return ComparePages(handovers, digests, episodes.KNIFE, path, 'Anna', saved.append,
                        rng=np.random.default_rng(0))


def asked(response: Response) -> dict[str, str]:
    """Return the recordings that a page asks about, as its form sends them."""
    form = re.search('<form method="post" class="answers.*?</form>', response.text)
    assert form is not None
    return dict(re.findall('name="(left|right)" value="(.+?)"', form[0]))


def names(form: dict[str, str]) -> list[str]:
    return [value.partition(' ')[0] for value in form.values()]


def notice(response: Response) -> str:
    return ' '.join(re.findall(r'<p class="limit.*?">(.*?)</p>', response.text))


def test_an_answer_is_in_the_file_with_its_sides_rater_and_recordings(
        pages: ComparePages, path: Path, saved: list[Answer], digests: dict[str, str]) -> None:
    assert pages(Request('')).go_to == 'pairs/Anna'
    shown = asked(pages(Request('pairs/Anna')))
    assert asked(pages(Request('pairs/Anna'))) == shown  # the question stays when loaded again
    sent = pages(Request('pairs/Anna', form=shown | {'said': 'right'}))
    assert (sent.status, sent.go_to) == (303, 'pairs/Anna')
    (found,) = read_answers(path)
    assert found.shown == tuple(Shown(name, digests[name]) for name in names(shown))
    assert (found.said, found.rater) == ('right', 'Anna') and len(saved) == 1
    after = pages(Request('pairs/Anna'))
    assert asked(after) != shown
    left, right = names(shown)
    assert f'Saved: {right} better than {left}' in after.text


def test_a_key_pressed_twice_is_one_answer_and_a_slip_can_be_taken_back(
        pages: ComparePages, path: Path) -> None:
    shown = asked(pages(Request('pairs/Anna')))
    pages(Request('pairs/Anna', form=shown | {'said': 'left'}))
    again = pages(Request('pairs/Anna', form=shown | {'said': 'right'}))
    assert again.status == 422 and 'already' in notice(again)
    pages(Request('one/Anna', form=shown | {'said': WITHDRAWN}))
    assert [one.said for one in read_answers(path)] == ['left', 'withdrawn']
    assert asked(pages(Request('pairs/Anna'))) == shown
    pages(Request('pairs/Anna', form=shown | {'said': 'right'}))
    assert [one.said for one in standing(read_answers(path))] == ['right']
    assert pages(Request('pairs/Anna', form=shown | {'said': 'left'})).status == 422
    assert pages(Request('pairs/Ben', form=shown | {'said': WITHDRAWN})).status == 422


@pytest.mark.parametrize(('form', 'said'), [
    ({}, 'got none'), ({'left': 'x', 'right': 'y', 'said': 'left'}, 'got x, y'),
    ({'left': 'episode_000000', 'right': 'episode_000000', 'said': 'left'}, 'two different'),
    ({'left': 'episode_000000', 'right': 'episode_000001', 'said': 'good'}, 'good'),
    ({'left': 'episode_000000', 'said': 'left'}, 'expected good, bad'),
    ({'left': 'episode_000000', 'right': 'episode_000001'}, 'expected left, right')])
def test_an_answer_that_is_not_one_is_refused(
        pages: ComparePages, path: Path, digests: dict[str, str], form: dict[str, str],
        said: str) -> None:
    response = pages(Request('pairs/Anna', form={
        key: f'{value} {digests.get(value, "9" * 64)}' if key != 'said' else value
        for key, value in form.items()}))
    assert response.status == 422 and said in notice(response)
    assert not path.exists() and asked(response)


def test_a_rater_without_a_name_is_asked_for_one(
        handovers: list[Handover], digests: dict[str, str], path: Path) -> None:
    pages = ComparePages(handovers, digests, episodes.KNIFE, path)
    assert 'name="rater"' in pages(Request('')).text
    assert 'name of the rater' in notice(pages(Request('', form={'rater': '  '})))
    assert 'a/b' in notice(pages(Request('', form={'rater': 'a/b'})))
    assert pages(Request('', form={'rater': ' Anna  Berg'})).go_to == 'pairs/Anna Berg'
    with pytest.raises(BagError, match='name of the rater'):
        pages(Request('pairs/<b>', form={}))
    assert pages(Request('pairs')).status == pages(Request('x/Anna')).status == 404


def test_all_questions_have_an_end(pages: ComparePages, path: Path) -> None:
    for _ in range(15):
        shown = asked(pages(Request('pairs/Anna')))
        pages(Request('pairs/Anna', form=shown | {'said': 'equal'}))
    assert 'every question' in notice(pages(Request('pairs/Anna')))
    assert len({one.names for one in read_answers(path)}) == 15
    for _ in range(6):
        shown = asked(pages(Request('one/Anna')))
        pages(Request('one/Anna', form=shown | {'said': 'good'}))
    assert 'every question' in notice(pages(Request('one/Anna')))
    assert asked(pages(Request('pairs/Ben')))


def test_the_result_tells_what_people_want_and_shows_contradictions(
        pages: ComparePages, path: Path, digests: dict[str, str]) -> None:
    assert 'no answer' in notice(pages(Request('answers/Anna')))
    names = list(digests)

    def add(said: str, rater: str, *places: int) -> None:
        add_answer(path, Answer(tuple(Shown(names[i], digests[names[i]]) for i in places),
                                said, rater, '2026-01-31T12:00:00+00:00'))  # type: ignore[arg-type]

    for handle in (0, 2, 4):
        for blade in (1, 3, 5):
            add('left', 'Anna', handle, blade)
        add('good', 'Anna', handle)
    assert 'Contradictions' not in pages(Request('answers/Anna')).text
    add('left', 'Ben', 1, 0)
    add('bad', 'Ben', 0)
    add_answer(path, Answer((Shown('episode_000099', '9' * 64),), 'bad', 'Cy',
                            '2026-01-31T12:00:00+00:00'))
    text = pages(Request('answers/Anna')).text
    first = re.search(r'<tbody><tr>(.*?)</tr>', text)
    assert first is not None and first[1].startswith('<td>angle of the blade')
    assert '<td>open</td><td>+0.' in first[1]  # few answers are not sure yet
    assert ('episode_000000 and episode_000001: episode_000000 better says Anna; episode_000001 '
            'better says Ben') in text
    assert 'episode_000000: good says Anna; bad says Ben' in text
    assert 'Ben: episode_000001 better than episode_000000' in text  # the others contradict it
    assert 'episode_000099 is not there: 1 of the answers of Cy' in text
    assert text.index('<td>episode_000004') < text.index('<td>episode_000001')


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / 'profile') as found:
        yield found


@pytest.fixture
def server(pages: ComparePages) -> Iterator[PageServer]:
    found = PageServer(pages, '127.0.0.1', 0, 'k7m2p9qx')
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.shutdown()
    thread.join()


def scrub(page: Browser, time_s: float) -> list[str]:
    """Move the slider, and return the pictures in the canvases."""
    page.run(f'slider.value = {time_s}; slider.dispatchEvent(new Event("input"))')
    pictures: list[str] = page.run('canvases.map(one => one.toDataURL())')
    return pictures


def key(page: Browser, name: str) -> None:
    page.call('Input.dispatchKeyEvent', type='keyDown', key=name)
    page._loaded()


def test_a_rater_scrubs_turns_answers_by_key_and_loses_nothing(
        chromium: Browser, server: PageServer, path: Path) -> None:
    chromium.size(*PHONE)
    chromium.open(server.address)
    assert chromium.run('document.documentElement.scrollWidth') <= PHONE[0]
    assert chromium.run('Math.min(...[...document.querySelectorAll("button")]'
                        '.map(one => one.getBoundingClientRect().height))') >= 44
    begin, later = scrub(chromium, 0.0), scrub(chromium, 2.0)
    assert len({*begin, *later}) == 4
    assert scrub(chromium, 2.0) == later
    assert chromium.run('clock.textContent').startswith('2.0 of 2.9')
    chromium.run('view.turn += 0.5')
    assert scrub(chromium, 2.0) != later
    chromium.run('play.click()')
    assert chromium.run('playing') is True
    for said in ('ArrowLeft', 'ArrowRight', 'ArrowDown', 'ArrowUp'):
        key(chromium, said)
    assert [one.said for one in read_answers(path)] == ['left', 'right', 'equal', 'cannot tell']
    question = chromium.run(QUESTION)
    chromium.reload()
    assert chromium.run(QUESTION) == question
    assert len(read_answers(path)) == 4
    key(chromium, 'Backspace')
    assert len(standing(read_answers(path))) == 3


def test_two_raters_at_once_have_questions_of_their_own(
        chromium: Browser, server: PageServer, path: Path, tmp_path: Path) -> None:
    with browser(tmp_path / 'another') as another:
        for page, name in ((chromium, 'Anna'), (another, 'Ben')):
            page.open(f'{server.address}pairs/{name}')
        for _ in range(4):
            for page, said in ((chromium, 'ArrowLeft'), (another, 'ArrowRight')):
                page.call('Input.dispatchKeyEvent', type='keyDown', key=said)
            for page in (chromium, another):
                page._loaded()
        question = another.run(QUESTION)
        key(chromium, 'ArrowLeft')
        another.reload()
        assert another.run(QUESTION) == question, 'which Ben has not answered'
        key(another, 'ArrowRight')
    found = read_answers(path)
    for name, said in (('Anna', 'left'), ('Ben', 'right')):
        own = [one for one in found if one.rater == name]
        assert [one.said for one in own] == [said] * 5
        assert len({one.names for one in own}) == 5


def run(*words: object) -> int:
    return main(['compare', *map(str, words), '--workers', '1'])


def test_the_command_serves_until_ctrl_c(demos: Path, tmp_path: Path) -> None:
    add_answer(tmp_path / 'a.json', Answer((Shown('elsewhere', 'f' * 64),), 'bad', 'Anna', now()))
    process = subprocess.Popen(
        [sys.executable, '-m', 'uncloning_ros.cli.main', 'compare', demos, '--scenario', 'knife',
         '--answers', tmp_path / 'a.json', '--port', '0', '--workers', '1'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith('open '):
            break
    assert lines[-1].startswith('open http://127.0.0.1:')
    assert any('6 handovers, 0 answers in' in line for line in lines)
    assert any('warning: elsewhere is not there' in line for line in lines)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'Traceback' not in errors


@pytest.mark.parametrize(('scenario', 'warned'), [('knife', False), ('mug', True)])
def test_a_scenario_of_another_tool_is_warned_of(
        demos: Path, tmp_path: Path, scenario: str, warned: bool,
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('uncloning_ros.cli.compare.serve', PageServer.server_close)
    assert run(demos, '--scenario', scenario, '--port', '0', '--answers', tmp_path / 'a.json') == 0
    printed = ' '.join(capsys.readouterr().out.split())
    assert ('got the modes handle_first, blade_first' in printed) is warned


def test_a_handover_that_is_recorded_meanwhile_is_asked_about_first(
        demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / 'demos', tmp_path / 'a.json'
    shutil.copytree(demos, folder)

    def visit(server: PageServer) -> None:
        page = f'/{server.token}/one/Anna'
        before = asked(server.response(page, None))
        for i, open_s in ((6, 2.0), (7, 2.0), (8, 9.0)):  # of the last one nothing is taken
            episodes.write(folder, episodes.handover(seed=i, open_s=open_s), i)
        for name in ('episode_000007', 'episode_000006'):
            shown = asked(server.response(page, None))
            assert names(shown) == [name]
            server.response(page, shown | {'said': 'bad'})
        assert asked(server.response(page, None)) == before, 'which was still open'
        set_aside(folder / 'episode_000007', 'undone')
        episodes.write(folder, episodes.handover(seed=9), 7)
        assert names(asked(server.response(page, None))) == ['episode_000007']
        server.server_close()

    monkeypatch.setattr('uncloning_ros.cli.compare.serve', visit)
    assert run(folder, '--scenario', 'knife', '--port', '0', '--answers', file) == 0
    assert [one.names for one in read_answers(file)] == [('episode_000007',), ('episode_000006',)]
    assert capsys.readouterr().out.count('episode_000008 cannot be compared: it has no exch') == 1


def test_a_handover_that_is_gone_is_asked_about_and_counted_no_more(
        demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / 'demos', tmp_path / 'a.json'
    shutil.copytree(demos, folder)

    def visit(server: PageServer) -> None:
        pairs, page = (f'/{server.token}/{tab}/Anna' for tab in ('pairs', 'one'))
        server.response(page, None)
        episodes.write(folder, episodes.handover(seed=6), 6)
        shown = asked(server.response(page, None))
        assert names(shown) == ['episode_000006']
        set_aside(folder / 'episode_000006', 'discarded')
        late = server.response(page, shown | {'said': 'good'})
        assert late.status == 422 and 'got episode_000006' in notice(late)
        assert names(asked(late)) != ['episode_000006']
        episodes.write(folder, episodes.handover(seed=7), 6)
        assert server.response(page, shown | {'said': 'good'}).status == 422, 'of the one undone'
        assert not file.exists()
        question = asked(server.response(pairs, None))
        server.response(pairs, question | {'said': 'left'})
        assert 'Anna: 1 answer' in server.response(pairs, None).text
        set_aside(folder / names(question)[0], 'quarantine')
        assert 'Anna: 0 answers' in server.response(pairs, None).text
        result = server.response(f'/{server.token}/answers/Anna', None).text
        assert f'{names(question)[0]} is not there: 1 of the answers of Anna' in result
        for bag in folder.glob('episode_*'):
            set_aside(bag, 'quarantine')
        assert server.response(pairs, None).status == 404
        server.server_close()

    monkeypatch.setattr('uncloning_ros.cli.compare.serve', visit)
    assert run(folder, '--scenario', 'knife', '--port', '0', '--answers', file) == 0


def test_a_port_in_use_is_told_before_the_episodes_are_read(
        demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as used:
        used.bind(('127.0.0.1', 0))
        used.listen()
        port = used.getsockname()[1]
        assert run(demos, '--scenario', 'knife', '--port', port, '--answers',
                   tmp_path / 'a.json') == 2
    errors = capsys.readouterr().err
    assert f'got 127.0.0.1:{port}' in errors and 'reading episodes' not in errors


def test_bad_input_of_the_command_gets_a_sentence(
        demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / 'damaged.json'
    damaged.write_text('{')
    alone = tmp_path / 'alone'
    episodes.write(alone, episodes.handover())
    episodes.write(alone, episodes.handover(open_s=9.0), 1)
    for words, said in (
            ([demos, '--scenario', 'knife', '--rater', ' '], 'name of the rater'),
            ([demos, '--scenario', 'spoon'], "'spoon'"),
            ([demos, '--scenario', 'knife', '--answers', damaged], 'begin again without its'),
            ([tmp_path / 'none', '--scenario', 'knife'], 'does not exist'),
            ([alone, '--scenario', 'knife', '--port', '0'], 'at least two handovers')):
        assert run(*words) == 2
        assert said in capsys.readouterr().err
