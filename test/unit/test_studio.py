# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The studio: episodes are seen and labelled in a browser, through the same sidecars."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import episodes
import pytest
from chromium import Browser, browser

from uncloning_ros.cli.main import main
from uncloning_ros.demos.bags.labels import Label, add_label, read_labels, standing_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import find_episodes
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection.facts import facts_of
from uncloning_ros.errors import BagError
from uncloning_ros.files import file_sha256
from uncloning_ros.page_server import PageServer, Request, Response
from uncloning_ros.studio.cluster_tab import ClusterTab
from uncloning_ros.studio.pages import StudioPages
from uncloning_ros.studio.state import State

INTERFACE = episodes.CONTRACT.interface
TOKEN, NOW = 'k7m2p9qx', '2026-01-31T12:00:00+00:00'


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('recorded')
    for i in range(4):
        way = [episodes.HANDLE_FIRST, episodes.BLADE_FIRST][i % 2]
        episodes.write(folder, episodes.handover(way, seed=i), i)
    return folder


@pytest.fixture
def demos(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / 'demos'))


@pytest.fixture
def state(demos: Path) -> State:
    reading = Reading(episodes.CONTRACT)
    return State('demos', find_episodes([demos], reading), reading,
                 {'episode_000003': 'an edit saw blade_first in it (97% sure)'})


@pytest.fixture
def pages(state: State, demos: Path) -> StudioPages:
    tab = ClusterTab(state, demos / 'clusters.json', f'uncloning label {demos} --cluster')
    return StudioPages(state, tab, episodes.KNIFE)


def read_all(state: State) -> None:
    for ref in state.episodes:
        state.add(facts_of(ref, state.reading))


def labels(demos: Path, index: int) -> list[tuple[str | None, str, str]]:
    found = read_labels(demos / f'episode_{index:06d}', INTERFACE)
    return [(one.mode, one.by, one.span) for one in found]


def send(pages: StudioPages, index: int, mode: str, of: str = 'all', person: str = 'Anna',
         **more: str) -> Response:
    form = {'name': f'episode_{index:06d}', 'mode': mode, 'from_s': '', 'to_s': ''} | more
    return pages(Request(f'episode/{person}/{index}', {'of': of}, form))


def listed(pages: StudioPages, of: str = 'all') -> list[str]:
    return re.findall(r'>(episode_\d+)</a>', pages(Request('list/Anna', {'of': of})).text)


def notice(response: Response) -> str:
    return ' '.join(re.findall(r'<p class="limit.*?">(.*?)</p>', response.text))


def test_a_label_is_in_the_sidecar_and_leads_to_the_next_of_the_list(
        pages: StudioPages, demos: Path) -> None:
    assert 'Your name' in pages(Request('')).text
    assert pages(Request('', form={'person': ' Anna '})).go_to == 'list/Anna'
    assert listed(pages, 'unlabelled') == [f'episode_{i:06d}' for i in range(4)]
    sent = send(pages, 0, 'handle_first', 'unlabelled')
    assert (sent.status, sent.go_to) == (303, 'episode/Anna/1?of=unlabelled')
    assert labels(demos, 0) == [('handle_first', 'Anna', '')]
    assert listed(pages, 'unlabelled') == [f'episode_{i:06d}' for i in (1, 2, 3)]
    assert listed(pages, 'handle_first') == ['episode_000000']
    assert send(pages, 3, 'blade_first').go_to == 'episode/Anna/3?of=all', 'the end of the list'
    shown = pages(Request('episode/Anna/0')).text
    assert re.search(r'value="handle_first" data-keys="1" aria-pressed="true"', shown)
    assert re.search(r'value="blade_first" data-keys="2" aria-pressed="false"', shown)


def test_a_label_can_be_taken_back_and_have_a_span(pages: StudioPages, demos: Path) -> None:
    send(pages, 1, 'blade_first', from_s='0.5', to_s=' 1.5 ')
    assert labels(demos, 1) == [('blade_first', 'Anna', 'from 0.5 s to 1.5 s')]
    assert 'from 0.5 s to 1.5 s' in pages(Request('episode/Anna/1')).text
    back = send(pages, 1, '')
    assert back.go_to == 'episode/Anna/1?of=all', 'a slip is mended where it happened'
    assert standing_label(read_labels(demos / 'episode_000001', INTERFACE)) is None
    assert 'Take the label back' not in pages(Request('episode/Anna/1')).text


@pytest.mark.parametrize(('mode', 'more', 'said'), [
    ('sideways', {}, 'sideways'), ('', {}, 'no label of an operator'),
    ('handle_first', {'name': 'episode_000002'}, 'got one of episode_000002'),
    ('handle_first', {'name': ''}, 'got one of no episode'),
    ('handle_first', {'from_s': 'soon'}, 'got &#x27;soon&#x27;'),
    ('handle_first', {'from_s': '2', 'to_s': '1'}, 'got an end at 1 s'),
    ('handle_first', {'from_s': 'nan'}, 'got nan'),
    ('handle_first', {'from_s': '90'}, 'episode_000000')])
def test_a_label_that_is_not_one_is_told_and_not_written(
        pages: StudioPages, demos: Path, mode: str, more: dict[str, str], said: str) -> None:
    response = send(pages, 0, mode, **more)
    assert response.status == 422 and said in notice(response)
    assert labels(demos, 0) == []


def test_only_pages_of_people_and_episodes_are_there(pages: StudioPages, state: State) -> None:
    for path in ('list', 'x/Anna', 'episode/Anna', 'episode/Anna/4', 'episode/Anna/-1',
                 'episode/Anna/x', 'episode/Anna/' + '9' * 5000, 'list/Anna/3'):
        assert pages(Request(path)).status == 404, path
    assert pages(Request('list/Anna', {'of': '<b>'})).status == 404
    with pytest.raises(BagError, match='name of the rater'):
        pages(Request('list/<b>'))
    assert 'a/b' in notice(pages(Request('', form={'person': 'a/b'})))


def test_what_to_look_at_comes_as_episodes_are_read(
        pages: StudioPages, state: State, demos: Path) -> None:
    assert listed(pages, 'suspicious') == ['episode_000003']
    assert '0 of 4 episodes are read' in notice(pages(Request('list/Anna')))
    add_label(demos / 'episode_000000', Label('blade_first', 'rule', 1.0, NOW, 'knife'), INTERFACE)
    send(pages, 0, 'handle_first')
    add_label(demos / 'episode_000001', Label('blade_first', 'rule', 0.6, NOW, 'knife'), INTERFACE)
    read_all(state)
    text = pages(Request('list/Anna', {'of': 'suspicious'})).text
    for said in ('rule blade_first differs from the label', 'its label is 60% sure',
                 'an edit saw blade_first in it (97% sure)'):
        assert said in text
    assert 'episodes are read' not in text
    assert 'rule blade_first differs' in notice(pages(Request('episode/Anna/0')))
    assert 'opinions differ: episode_000000' in pages(Request('warnings/Anna')).text


def test_labels_of_others_are_seen_at_once_and_a_damaged_one_is_told(
        pages: StudioPages, demos: Path) -> None:
    assert len(listed(pages, 'unlabelled')) == 4
    add_label(demos / 'episode_000002', Label('handle_first', 'operator', 1.0, NOW, 'Ben'),
              INTERFACE)
    assert len(listed(pages, 'unlabelled')) == 3
    (demos / 'episode_000002.labels.json').write_text('{')
    assert listed(pages, 'suspicious') == ['episode_000002', 'episode_000003']
    shown = pages(Request('episode/Anna/2'))
    assert notice(shown).count('not JSON') == 1 and 'Next' in shown.text
    assert 'no label' not in notice(shown)


def test_a_bag_that_went_is_told_on_a_page_that_leads_on(pages: StudioPages, demos: Path) -> None:
    shutil.rmtree(demos / 'episode_000001')
    shown = pages(Request('episode/Anna/1'))
    assert 'episode_000001' in notice(shown) and 'action="2"' in shown.text
    assert send(pages, 1, 'handle_first').status == 422
    assert not (demos / 'episode_000001.labels.json').exists()


def test_a_form_without_a_mode_takes_no_label_back(pages: StudioPages, demos: Path) -> None:
    send(pages, 0, 'handle_first')
    response = pages(Request('episode/Anna/0', form={'name': 'episode_000000'}))
    assert response.status == 422 and 'got none' in notice(response)
    assert len(labels(demos, 0)) == 1


def test_bags_that_hold_no_episode_are_among_the_warnings(
        pages: StudioPages, state: State) -> None:
    state.listing = replace(state.listing, left_out=(LeftOut('old.bag', 'of ROS 1'),))
    assert 'old.bag cannot be read: of ROS 1' in pages(Request('warnings/Anna')).text


def test_clusters_are_named_once_they_are_there(
        pages: StudioPages, state: State, demos: Path) -> None:
    assert f'uncloning label {demos} --cluster' in pages(Request('clusters/Anna')).text
    for i in range(4, 12):  # a cluster needs some episodes
        shutil.copytree(demos / f'episode_{i % 2:06d}', demos / f'episode_{i:06d}')
    assert main(['label', str(demos), '--cluster', '--workers', '1']) == 0
    text = pages(Request('clusters/Anna')).text
    numbers = re.findall(r'<select name="(\d+)"', text)
    assert numbers and '../episode/Anna/' in text
    file = {'sha256': file_sha256(demos / 'clusters.json')}
    assert file['sha256'] in text

    def name(mode: str, number: str = numbers[0], **more: str) -> Response:
        return pages(Request('clusters/Anna', form=file | {number: mode} | more))
    for number in ('9' * 5000, numbers[0]):
        assert 'Expected a name' in notice(name('', number))
    assert 'other clusters' in notice(name('handle_first', sha256='0' * 64))
    assert not any(labels(demos, i) for i in range(4))
    named = name('handle_first')
    assert re.search(r'\d+ labels? added: handle_first', notice(named))
    found = [one for i in range(4) for one in labels(demos, i)]
    assert found and all(mode == 'handle_first' and 'named by Anna' in by
                         for mode, by, _ in found)
    assert 'sideways' in notice(name('sideways'))


@pytest.fixture
def server(pages: StudioPages) -> Iterator[PageServer]:
    found = PageServer(pages, '127.0.0.1', 0, TOKEN)
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.shutdown()
    thread.join()


def both_label(server: PageServer, demos: Path, count: int) -> None:
    """Let two people send labels at the same time, and look for each of them."""
    def work(person: str, index: int) -> None:
        for i in range(count):
            form = {'name': f'episode_{index:06d}', 'from_s': '', 'to_s': '',
                    'mode': ('handle_first', 'blade_first')[i % 2]}
            with urlopen(f'{server.address}episode/{person}/{index}',  # noqa: S310
                         urlencode(form).encode()) as answer:
                assert answer.status == 200
    people = [threading.Thread(target=work, args=('Anna', 0)),
              threading.Thread(target=work, args=('Ben', 1))]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert [len(labels(demos, i)) for i in (0, 1)] == [count, count]


def test_two_people_label_at_once_and_lose_nothing(server: PageServer, demos: Path) -> None:
    both_label(server, demos, 20)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_thousand_labels_of_two_people(server: PageServer, demos: Path) -> None:
    both_label(server, demos, 500)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / 'profile') as found:
        yield found


def key(page: Browser, name: str, loads: bool = True) -> None:
    page.call('Input.dispatchKeyEvent', type='keyDown', key=name)
    if loads:
        page._loaded()


def test_a_person_scrubs_labels_by_key_and_loses_nothing(
        chromium: Browser, server: PageServer, demos: Path) -> None:
    chromium.size(390, 844)
    chromium.open(f'{server.address}episode/Anna/0?of=unlabelled')
    assert chromium.run('document.documentElement.scrollWidth') <= 390
    asked = chromium.run('performance.getEntriesByType("resource").length')

    def scrub(time_s: float) -> str:
        return str(chromium.run(f'slider.value = {time_s}; slider.dispatchEvent(new Event('
                                f'"input")); canvases[0].toDataURL()'))
    assert scrub(0.0) != scrub(2.0)
    assert chromium.run('performance.getEntriesByType("resource").length') == asked
    chromium.run('from.focus()')
    for kind in ('keyDown', 'keyUp'):  # Enter in a field presses no button
        chromium.call('Input.dispatchKeyEvent', type=kind, key='Enter', code='Enter', text='\r',
                      windowsVirtualKeyCode=13)
    chromium.run('from.blur()')
    assert labels(demos, 0) == []
    scrub(0.5)
    key(chromium, '[', loads=False)
    scrub(1.5)
    key(chromium, ']', loads=False)
    key(chromium, '2')
    assert labels(demos, 0) == [('blade_first', 'Anna', 'from 0.5 s to 1.5 s')]
    assert '/episode/Anna/1?of=unlabelled' in chromium.run('location.href')
    key(chromium, '1')
    chromium.reload()
    key(chromium, 'ArrowLeft')  # episode 1 has a label now; 0 too
    assert [len(labels(demos, i)) for i in range(4)] == [1, 1, 0, 0]
    chromium.open(f'{server.address}episode/Anna/1?of=all')
    key(chromium, 'ArrowLeft')
    assert chromium.run('document.querySelector("h1").textContent') == 'episode_000000'
    key(chromium, 'z')
    assert standing_label(read_labels(demos / 'episode_000000', INTERFACE)) is None


def test_the_command_serves_while_it_reads_until_ctrl_c(demos: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, '-m', 'uncloning_ros.cli.main', 'studio', demos, '--scenario', 'knife',
         '--person', 'Anna', '--port', '0', '--workers', '1'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[0] == f'4 episodes in {demos}\n'
    with urlopen(lines[1].removeprefix('open ').strip()) as answer:  # noqa: S310
        assert answer.url.endswith('/list/Anna')
    with urlopen(lines[2].removeprefix('other people open ').strip()) as answer:  # noqa: S310
        assert b'Your name' in answer.read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    # Python itself ends by SIGINT if Ctrl-C came amid code from a text, as of a dataclass.
    assert process.returncode in (130, -signal.SIGINT), errors
    assert 'uncloning: stopped' in errors and 'Traceback' not in errors


def test_bad_input_of_the_command_gets_a_sentence(
        demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / 'report.json'
    report.write_text(json.dumps({'labels': {}}))
    for words, said in ((['--person', ' '], 'name of the rater'), (['--scenario', 'spoon'],
                        "'spoon'"), (['--doubted', report], 'report of an edit'),
                        (['--clusters', tmp_path / 'x.txt'], 'ends in .json')):
        assert main(['studio', str(demos), '--port', '0', *map(str, words)]) == 2
        assert said in capsys.readouterr().err
    assert main(['studio', str(tmp_path / 'none'), '--port', '0']) == 2
    assert 'does not exist' in capsys.readouterr().err


def test_an_episode_without_poses_of_tool_and_hand_shows_the_arm(
        state: State, pages: StudioPages) -> None:
    ref = state.episodes[0]
    episode = ref.read(state.reading)
    arm = {key: found for key, found in episode.samples.items() if key == 'tool_pose'}

    class Bare:
        name = ref.name

        def read(self, _: Reading) -> object:
            return replace(episode, samples=arm)

    state.listing = replace(state.listing, episodes=(Bare(),))  # type: ignore[arg-type]
    scene, data = pages._drawing(0)
    found = json.loads(data)['motions'][0]
    assert '<canvas' in scene and found['arm'] and found['tool'] is found['hand'] is None
