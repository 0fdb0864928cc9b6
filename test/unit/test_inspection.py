# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""uncloning inspect: what is in a session, and every warning about it."""

import base64
import io
import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
import seeing
import yaml
from inputs import NOON
from PIL import Image
from test_glances import (
    SCENE,
    WRIST,
    black,
    changed,
    in_odd_colours,
    of_another_size,
    take,
    truncated,
)

from uncloning_ros.cli import main
from uncloning_ros.cli.inspect import summary
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.verdict import Finding, Health
from uncloning_ros.demos.dataset.building import FEW_EPISODES
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection.facts import (
    EpisodeFacts,
    Scene,
    Stream,
    facts_of,
    signals_of,
)
from uncloning_ros.demos.inspection.session import (
    Session,
    disagreements,
    record_of,
    warnings_of,
)
from uncloning_ros.demos.inspection.session_page import session_page
from uncloning_ros.demos.inspection.strips import strip_of
from uncloning_ros.errors import UncloningError
from uncloning_ros.pictures import Pixels
from uncloning_ros.schema import plain

CONTRACT = episodes.CONTRACT
RATES_HZ = {signal.key: 40.0 for signal, _ in signals_of(CONTRACT)}


def label(mode: str | None = 'handle_first', source: str = 'rule',
          confidence: float = 1.0) -> Label:
    return Label(mode, source, confidence, NOON, 'someone')


def facts(index: int = 0, *labels: Label, y_m: float = 0.1, planned: str | None = None,
          left_out: str = '', findings: Sequence[str] | None = None,
          rate_hz: float = 40.0) -> EpisodeFacts:
    """Return one episode that was offered to a hand at `y_m`."""
    scene = Scene(np.zeros((5, 3)), np.array([0.6, y_m, 0.3]), np.zeros((12, 3, 3)),
                  np.zeros((4, 3)))
    streams = {key: Stream(300, rate_hz, 0.025, 1.0, 0.3) for key in RATES_HZ}
    return EpisodeFacts(f'episode_{index:06d}', 'monday', 'anna', 1_769_860_800 * 10**9, 7.5,
                        planned, labels, streams, left_out,
                        None if findings is None else tuple(findings), scene)


def session(*found: EpisodeFacts, unreadable: Sequence[LeftOut] = (),
            unfinished: Sequence[str] = ()) -> Session:
    return Session('monday', CONTRACT, found, tuple(unreadable), tuple(unfinished))


def many(n: int, mode: str | None = 'handle_first', start: int = 0) -> list[EpisodeFacts]:
    """Return episodes of one mode, on both sides of the arm."""
    labels = () if mode is None else (label(mode),)
    return [facts(start + i, *labels, y_m=0.2 if i % 2 else -0.2) for i in range(n)]


def good() -> list[EpisodeFacts]:
    return many(30) + many(25, 'blade_first', 30)


# --- warnings ---

def test_a_good_session_has_no_warning() -> None:
    assert warnings_of(session(*good())) == []


def test_too_few_desired_demonstrations_are_told() -> None:
    (found,) = warnings_of(session(*many(FEW_EPISODES - 1), *many(30, 'blade_first', 30)))
    assert found.startswith('19 episodes of the desired mode handle_first')


def test_too_few_demonstrations_of_what_is_to_be_removed_are_told() -> None:
    (found,) = warnings_of(session(*many(60), *many(5, 'blade_first', 60)))
    assert found.startswith('5 episodes of mode blade_first')


def test_unbalanced_modes_are_told() -> None:
    (found,) = warnings_of(session(*many(300), *many(25, 'blade_first', 300)))
    assert '25 of 325 labelled episodes are blade_first, less than 10 %' in found


@pytest.mark.parametrize(('y_m', 'side'), [(0.2, 'left'), (-0.2, 'right')])
def test_a_mode_on_one_side_of_the_arm_only_is_told(y_m: float, side: str) -> None:
    one_sided = [facts(100 + i, label('blade_first'), y_m=y_m) for i in range(24)]
    stray = facts(124, label('blade_first'), y_m=-y_m)
    (found,) = warnings_of(session(*many(30), *one_sided, stray))
    assert f'in 24 of 25 episodes of blade_first the hand was on the {side} of the arm' in found


def test_missing_labels_are_told_with_the_command() -> None:
    (found,) = warnings_of(session(*good(), *many(7, None, 60)))
    assert found.startswith('7 episodes (episode_000060, episode_000061, ')
    assert 'and 2 more) without a label; see uncloning label --help' in found


def test_another_mode_than_planned_is_told() -> None:
    odd = facts(99, label('blade_first'), planned='handle_first', y_m=-0.1)
    (found,) = warnings_of(session(*good(), odd))
    assert 'episode_000099: planned handle_first, labelled blade_first by rule' in found
    agreed = facts(99, label('blade_first'), planned='blade_first')
    assert warnings_of(session(*good(), agreed)) == []


def test_a_source_of_another_opinion_is_told_and_who_counts() -> None:
    odd = facts(99, label('blade_first', 'rule'), label('handle_first', 'operator'),
                label('handle_first', 'cluster'))
    ((name, said, counts),) = disagreements(session(odd))
    assert (name, said, counts.source, counts.mode) == (
        'episode_000099', 'rule blade_first', 'operator', 'handle_first')
    withdrawn = facts(99, *odd.labels, label(None, 'operator'))
    ((_, said, counts),) = disagreements(session(withdrawn))
    assert (said, counts.source) == ('cluster handle_first', 'rule')


def test_labels_that_are_not_sure_are_told() -> None:
    (found,) = warnings_of(session(*good(), facts(99, label(confidence=0.6))))
    assert found.startswith('1 episode (episode_000099) with a label')
    assert '70 %' in found


def test_episodes_that_a_dataset_leaves_out_are_told_with_the_first_reason() -> None:
    gap = facts(99, label(), left_out='hand_pose is older than 0.3 s at 1.20 s')
    (found,) = warnings_of(session(*good(), gap))
    assert found.startswith('1 episode (episode_000099) that a dataset leaves out')
    assert found.endswith('hand_pose is older than 0.3 s at 1.20 s')


def test_a_stream_that_was_slower_than_usual_is_told() -> None:
    found = warnings_of(session(*good(), facts(99, label(), rate_hz=20.0)))
    assert found[0].startswith('1 episode (episode_000099) with tool_pose below 60 %')
    assert found[0].endswith('40 Hz')
    assert len(found) == len(RATES_HZ)


def test_a_verdict_with_findings_is_told() -> None:
    (found,) = warnings_of(session(*good(), facts(99, label(), findings=['/x: frozen'])))
    assert found.startswith('1 episode (episode_000099) with findings')
    assert 'verdict' in found
    assert found.endswith('/x: frozen')


def test_an_episode_without_a_verdict_differs_from_a_good_one() -> None:
    found = session(facts(0, findings=None), facts(1, findings=[]), facts(2, findings=['/x: gap']))
    entries = record_of(found, [])['episodes']
    assert [one['findings'] for one in entries] == [None, [], ['/x: gap']]
    page = session_page(found, [])
    assert page.count('no verdict') == 1
    assert page.count('/x: gap') == 1


def test_a_bag_has_the_findings_of_its_verdict(tmp_path: Path) -> None:
    for index, verdict in enumerate((None, Health('good', (), {}), Health(
            'findings', (Finding('gap', '/x', 'nothing for 1.30 s'),), {}))):
        path = episodes.write(tmp_path, episodes.handover(), index, verdict=verdict)
        found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
        assert isinstance(found, EpisodeFacts)
        assert found.findings == (None, (), ('/x: nothing for 1.30 s',))[index]


def test_what_cannot_be_read_and_what_was_never_finished_is_told() -> None:
    lost = [LeftOut(f'episode_{i}', 'it is truncated') for i in range(7)]
    found = warnings_of(session(*good(), unreadable=lost, unfinished=['episode_9.partial']))
    assert found[0].startswith('1 episode (episode_9.partial) never finished')
    assert found[1].startswith('episode_0 cannot be read')
    assert found[1].endswith('it is truncated')
    assert found[6].startswith('2 more episodes')


def test_an_empty_session_is_no_defect() -> None:
    nothing = session(unreadable=[LeftOut('a', 'damaged')])
    found = warnings_of(nothing)
    assert found[0].startswith('a cannot be read')
    json.dumps(record_of(nothing, found), allow_nan=False)
    assert 'Session of demonstrations' in session_page(nothing, found)
    assert 'handle_first *' in summary(nothing)


# --- looking at episodes ---

def test_the_facts_of_an_episode(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover(), 3)
    add_label(path, label('blade_first', 'operator', 0.9), CONTRACT.interface)
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, EpisodeFacts)
    assert (found.name, found.session, found.operator) == ('episode_000003', 'afternoon', 'Ada')
    assert (found.mode, found.planned_mode, found.left_out) == ('blade_first', 'handle_first', '')
    assert found.length_s == pytest.approx(3.025, abs=0.01)
    stream = found.streams['hand_pose']
    assert (stream.messages, stream.allowed_s) == (120, 0.3)
    assert stream.rate_hz == pytest.approx(40.0)
    assert found.streams['target_pose'].rate_hz == pytest.approx(20.0)
    assert found.scene is not None
    np.testing.assert_allclose(found.scene.hand,
                               episodes.handover()['hand_pose'][-1].values[:3], atol=1e-6)
    assert found.scene.side == 'left'


def test_the_span_of_a_label_is_shown_wherever_the_label_is(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover())
    add_label(path, replace(label(source='operator'), from_s=0.5, to_s=2.0), CONTRACT.interface)
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, EpisodeFacts) and found.left_out == ''
    both = session(found, facts(1, label()))
    assert record_of(both, [])['episodes'][0]['label']['from_s'] == 0.5
    assert record_of(both, [])['episodes'][0]['label']['to_s'] == 2.0
    assert session_page(both, []).count('% sure, from 0.5 s to 2 s<') == 1
    told = f'1 label for a part of the episode:\n  {found.name}: handle_first from 0.5 s to 2 s\n'
    assert f'labels by operator 1, rule 1\n{told}' in summary(both)
    assert 'a part of' not in summary(session(facts(1, label())))


def test_a_span_past_the_end_is_told_as_a_dataset_tells_it(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover())
    add_label(path, replace(label(), to_s=9.0), CONTRACT.interface)
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, EpisodeFacts)
    assert 'to 9 s, goes past the end of the episode at 3.025 s' in found.left_out


def test_a_handover_took_place_where_the_object_came_to_the_hand(tmp_path: Path) -> None:
    """Not where the hand came from, nor where it took the object."""
    samples = episodes.handover()
    offered = samples['hand_pose'][-1].values[:3]

    def moved(key: str, since_s: float, until_s: float, by_m: float) -> None:
        shift = np.concatenate([[by_m], np.zeros(8)])
        samples[key] = [
            replace(one, values=one.values + shift)
            if since_s <= (one.stamp_ns - episodes.BEGIN_NS) * 1e-9 < until_s else one
            for one in samples[key]]

    moved('hand_pose', 0.0, 0.9, 0.4)
    for key in ('hand_pose', 'object_pose'):
        moved(key, 2.5, 9.0, 0.3)
    path = episodes.write(tmp_path, samples)
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, EpisodeFacts)
    assert found.scene is not None
    np.testing.assert_allclose(found.scene.hand, offered, atol=1e-6)
    there = samples['object_pose'][80].values[:3]
    np.testing.assert_allclose(found.scene.object_path[-1], there, atol=0.12)


def test_a_gap_is_found_where_it_is(tmp_path: Path) -> None:
    samples = episodes.handover()
    begin = episodes.BEGIN_NS
    samples['hand_pose'] = [one for one in samples['hand_pose']
                            if not begin + 10**9 < one.receive_ns < begin + 18 * 10**8]
    path = episodes.write(tmp_path, samples)
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, EpisodeFacts)
    stream = found.streams['hand_pose']
    assert stream.longest_gap_s == pytest.approx(0.8, abs=0.03)
    assert stream.gap_at_s == pytest.approx(1.0, abs=0.03)
    assert 'hand_pose' in found.left_out


def test_a_damaged_bag_is_named_and_the_others_are_looked_at(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(3):
        episodes.write(tmp_path, episodes.handover(seed=index), index)
    (bag,) = (tmp_path / 'episode_000001').glob('*.mcap')
    bag.write_bytes(bag.read_bytes()[:1000])
    assert main.main(['inspect', str(tmp_path), '--workers', '1']) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'warning: episode_000001 cannot be read' in out
    assert '2 episodes (episode_000000, episode_000002) without a label' in out


def test_a_damaged_bag_is_named_where_it_is_the_first_one_as_well(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        episodes.write(tmp_path, episodes.handover(seed=index), index)
    (tmp_path / 'episode_000000' / 'metadata.yaml').write_text('')
    assert main.main(['inspect', str(tmp_path), '--workers', '1']) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'warning: episode_000000 cannot be read' in out
    assert '1 episode (episode_000001) without a label' in out
    (tmp_path / 'episode_000001' / 'metadata.yaml').write_text('')
    assert main.main(['inspect', str(tmp_path), '--workers', '1']) == 2
    assert 'episode_000000/metadata.yaml is not the metadata' in capsys.readouterr().err


def test_where_nothing_can_be_read_there_is_nothing_to_show(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        path = episodes.write(tmp_path / 'demos', episodes.handover(seed=index), index)
        (bag,) = path.glob('*.mcap')
        bag.write_bytes(bag.read_bytes()[:1000])
    page = tmp_path / 'page.html'
    assert main.main(['inspect', str(tmp_path / 'demos'), '--html', str(page)]) == 2
    err = capsys.readouterr().err
    assert f'no episode of {tmp_path}/demos can be used, the first because episode_000000: ' in err
    assert not page.exists()


def test_a_bag_that_cannot_be_cut_is_named_and_the_others_are_looked_at(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(3):
        episodes.write(tmp_path, episodes.handover(seed=index), index)
    (bag,) = (tmp_path / 'episode_000001').glob('*.mcap')
    bag.write_bytes(bag.read_bytes()[:1000])
    samples = episodes.handover(seed=9)
    samples['target_pose'] = []
    episodes.write(tmp_path, samples, 9)
    assert main.main(['inspect', str(tmp_path), '--cut', 'gripper']) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'warning: episode_000001 cannot be read: ' in out
    assert 'episode_000009 cannot be read: no message was recorded on /target_pose' in out
    assert '2 episodes (episode_000000#1, episode_000002#1) without a label' in out


def test_unfinished_takes_alone_are_told_with_the_remedy(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    episodes.write(tmp_path, episodes.handover()).rename(tmp_path / 'episode_000000.partial')
    for command in (['inspect', str(tmp_path)],
                    ['dataset', str(tmp_path), '--out', str(tmp_path / 'data')]):
        assert main.main(command) == 2
        assert (f'{tmp_path} holds no finished episode, 1 unfinished; uncloning recover finishes'
                in capsys.readouterr().err)


def test_one_episode_is_called_one_episode() -> None:
    (found,) = warnings_of(session(*many(30), *many(1, 'blade_first', 30)))
    assert found.startswith('1 episode of mode blade_first')


def test_a_damaged_sidecar_is_named(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover())
    (tmp_path / 'episode_000000.labels.json').write_text('{')
    found = facts_of(EpisodeRef(path, path.name), Reading(CONTRACT))
    assert isinstance(found, LeftOut)
    assert 'is not JSON' in found.reason


# --- what is shown ---

@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('monday')
    for i in range(6):
        presented = episodes.HANDLE_FIRST if i < 4 else episodes.BLADE_FIRST
        path = episodes.write(folder, episodes.handover(presented, seed=i), i)
        if i < 5:
            add_label(path, label('handle_first' if i < 4 else 'blade_first'), CONTRACT.interface)
    return folder


def test_the_table_and_its_warnings_fit_80_columns(
        demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(['inspect', str(demos), '--workers', '1']) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r'^handle_first \* +4 +67% +3\.0 +3\.0 +3\.0$', out, re.MULTILINE)
    assert re.search(r'^without a label +1 +17%', out, re.MULTILINE)
    assert re.search(r'^hand_pose +hand_pose +40\.0 +40\.0 +0\.03$', out, re.MULTILINE)
    assert '* desired; labels by rule 5' in out
    assert 'opinions differ: episode_000004: planned handle_first' in ' '.join(out.split())


class Page(HTMLParser):
    """Collect the tags and what they load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or '' for name, value in attrs if name in ('src', 'href')]
        if tag not in ('meta', 'br'):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_file_with_pictures_that_loads_and_runs_nothing(
        demos: Path, tmp_path: Path) -> None:
    page, record = tmp_path / 'page.html', tmp_path / 'session.json'
    assert main.main(['inspect', str(demos), '--workers', '1', '--html', str(page), '--json',
                      str(record)]) == 0
    parsed = Page(page.read_text())
    assert parsed.open == []
    assert parsed.loads == []
    assert 'script' not in parsed.tags
    # Ways to the hand, a typical episode of two modes and of the unlabelled, places, lengths.
    assert parsed.tags.count('svg') == 6
    data = json.loads(record.read_text())
    assert data['modes']['handle_first'] == {'desired': True, 'episodes': 4}
    assert data['unlabelled'] == ['episode_000005']
    assert [one['name'] for one in data['episodes']] == [f'episode_{i:06d}' for i in range(6)]
    assert any('without a label' in warning for warning in data['warnings'])


def test_names_from_bags_are_escaped_in_the_page() -> None:
    odd = replace(facts(1, replace(label(), by='<b>x</b>')), operator='<script>', name='a&b')
    html = session_page(replace(session(odd), name='<i>'), warnings_of(session(odd)))
    Page(html)
    assert '<script>' not in html
    assert '<i>' not in html.replace('<i style', '')
    assert 'a&amp;b' in html


def test_a_pose_gone_astray_does_not_shrink_the_pictures() -> None:
    far = replace(facts(1, label()), scene=Scene(
        np.array([[0.5, 0.0, 0.3], [9000.0, -9000.0, 9000.0]]), np.array([0.6, 9000.0, 0.3]),
        np.full((12, 3, 3), 500.0), np.full((4, 3), 500.0)))
    html = session_page(session(*good(), far), [])
    assert html.count('class="grid"') < 1000
    assert re.search(r'[",]nan', html) is None


def test_nothing_is_overwritten(demos: Path, tmp_path: Path,
                                capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / 'page.html'
    page.write_text('mine')
    assert main.main(['inspect', str(demos), '--html', str(page)]) == 2
    assert 'exists already' in capsys.readouterr().err
    new = str(tmp_path / 'new')
    assert main.main(['inspect', str(demos), '--html', new, '--json', new]) == 2
    assert page.read_text() == 'mine'
    assert not Path(new).exists()


@pytest.mark.parametrize('words', [
    ('/nowhere',), ('.', '--cut', 'sideways'), ('.', '--idle', '2'), ('.', '--topic', 'x'),
    ('.', '--topic', 'nose=/x'), ('.', '--contract', '/nowhere'), ()])
def test_bad_input_is_a_sentence(demos: Path, tmp_path: Path, words: tuple[str, ...],
                                 capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(demos / 'episode_000000', tmp_path / 'demos' / 'episode_000000')
    words = tuple(str(tmp_path / 'demos') if word == '.' else word for word in words)
    try:
        status = main.main(['inspect', *words])
    except SystemExit as err:
        status = int(err.code or 0)
    assert status == 2
    assert 'error: ' in capsys.readouterr().err


class Images(HTMLParser):
    """The pictures of a page with their captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Pixels]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == 'img':
            about = dict(attrs)
            head, _, data = str(about['src']).partition(',')
            assert head == 'data:image/jpeg;base64'
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                self.found.append((str(about['alt']), np.asarray(image)))


def test_the_page_shows_a_strip_of_each_camera_of_each_episode(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos = tmp_path / 'seen'
    for i in range(5):
        episodes.write(demos, seeing.handover(seed=i), i, seeing.CONTRACT)
    out = tmp_path / 'page.html'
    assert main.main(['inspect', str(demos), '--html', str(out), '--workers', '1']) == 0
    said = capsys.readouterr().out
    assert re.search(r'scene_camera +16 x 12 +16 x 12 at 0, 0 +16 x 12 rgb8', said)
    assert all(len(line) <= 80 for line in said.splitlines() if not line.startswith('w'))
    found = Images(out.read_text()).found
    assert len(found) == 10
    caption, pixels = found[0]
    assert caption == 'scene_camera, at 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0 s'
    assert pixels.shape == (12, 7 * 16 + 6 * 2, 3)
    ground = [seeing.picture(seeing.CAMERAS[0], i)[0, 0, 0] for i in (0, 10, 20, 30, 39, 49, 59)]
    assert np.abs(pixels[1, 1::18, 0].astype(int) - ground).max() < 20
    assert '2 more episodes, without a label' in out.read_text()
    strips = facts_of(EpisodeRef(demos / 'episode_000000', 'x'), Reading()).strips
    assert sum(len(one.jpeg) for one in strips) < 4000


@pytest.mark.parametrize(('topic', 'change', 'numbers', 'strips', 'said'), [
    (SCENE, truncated, {33}, 2, r'at 1\.\d\d s: scene_camera: expected a whole'),
    (SCENE, truncated, range(60), 1, r'at 0\.\d\d s: scene_camera: expected a whole'),
    (SCENE, of_another_size, {0}, 2, 'expected pictures of 16 x 12 px, got 16 x 14 px'),
    (SCENE, black, {59}, 2, r'at 2\.\d\d s: scene_camera: .* black in 100%'),
    (WRIST, in_odd_colours, range(30, 60), 2, "got 'yuv422'"),
    (SCENE, None, range(60), 1, 'no topic /scene_camera/image')])
def test_a_fault_of_the_pictures_is_told_and_all_else_is_shown(
        topic: str, change: Any, numbers: Any, strips: int, said: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    messages = changed(topic, change, numbers) if change else [
        one for one in take() if one.topic != topic]
    path = foreign_bags.write(tmp_path / 'demos' / 'take', messages, 'mcap')
    file, html, record = (tmp_path / name for name in ('c.yaml', 'page.html', 'session.json'))
    file.write_text(yaml.safe_dump(plain(seeing.CONTRACT)))
    assert main.main(['inspect', str(path.parent), '--contract', str(file), '--workers', '1',
                      '--html', str(html), '--json', str(record)]) == 0
    words = ' '.join(capsys.readouterr().out.split())
    assert '1 episode (take) that a dataset leaves out' in words and re.search(said, words)
    assert len(Images(html.read_text()).found) == strips
    [found] = json.loads(record.read_text())['episodes']
    assert re.search(said, found['left_out']) and found['length_s'] > 2.9
    assert found['streams']['wrist_force']['messages'] > 30
    assert found['streams'][topic.split('/')[1]]['messages'] == 60 - len(numbers)
    with pytest.raises(UncloningError, match=said):
        read_episode(path, seeing.CONTRACT)


def test_a_fault_of_another_signal_still_leaves_an_episode_out_of_the_inspection(
        tmp_path: Path) -> None:
    def broken(message: Any) -> None:
        message.wrench.force.x = math.nan

    messages = changed('/ft_sensor/wrench', broken, {5})
    path = foreign_bags.write(tmp_path / 'take', messages, 'mcap')
    found = facts_of(EpisodeRef(path, 'take'), Reading(seeing.CONTRACT))
    assert isinstance(found, LeftOut) and 'wrist_force: expected finite values' in found.reason


def test_the_pictures_of_a_strip_are_in_the_order_of_time_on_any_clock() -> None:
    signal = seeing.CAMERAS[0]
    for begin_ns in (5, 1_769_860_800_123_456_789):
        samples = [Sample(seeing.picture(signal, i), at_ns, at_ns) for i in range(90)
                   for at_ns in [begin_ns + i * 33_333_333]]
        times_s = strip_of(signal.key, samples, begin_ns).times_s
        assert len(times_s) == 7 and times_s == tuple(sorted(times_s))
        assert times_s[0] == 0.0 and times_s[-1] == pytest.approx(89 / 30)
        assert strip_of(signal.key, samples[:1], begin_ns).times_s == (0.0,)
