# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar of answers: none is lost, none is changed, and bad ones are refused."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inputs import NOON

import uncloning_ros
from uncloning_ros.demos.bags.answers import (
    WITHDRAWN,
    Answer,
    Shown,
    about,
    add_answer,
    answers_path,
    read_answers,
    standing,
)
from uncloning_ros.errors import BagError
from uncloning_ros.schema import plain

ONE, TWO = Shown('episode_000001', '1' * 64), Shown('episode_000002', '2' * 64)
PAIR = Answer((ONE, TWO), 'left', 'Anna', NOON, uncloning_ros.__version__)
SINGLE = Answer((ONE,), 'bad', 'Ben', NOON, uncloning_ros.__version__)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return answers_path(tmp_path)


def test_answers_come_back_in_the_order_in_which_they_were_given(path: Path) -> None:
    assert read_answers(path) == ()
    add_answer(path, PAIR)
    add_answer(path, SINGLE)
    assert read_answers(path) == (PAIR, SINGLE)
    assert [one.name for one in path.parent.iterdir()] == ['preferences.json']


def _add_some(path: Path, rater: str) -> None:
    for _ in range(20):
        add_answer(path, replace(PAIR, rater=rater))


def test_two_raters_at_once_lose_no_answer(path: Path) -> None:
    context = multiprocessing.get_context('fork')
    others = [context.Process(target=_add_some, args=(path, name)) for name in ('Anna', 'Ben')]
    for one in others:
        one.start()
    for one in others:
        one.join()
    assert sorted(one.rater for one in read_answers(path)) == ['Anna'] * 20 + ['Ben'] * 20


def test_an_answer_that_was_taken_back_stays_in_the_file_but_does_not_stand(path: Path) -> None:
    back = replace(PAIR, shown=(TWO, ONE), said=WITHDRAWN)
    for one in (PAIR, SINGLE, replace(PAIR, rater='Ben'), back):
        add_answer(path, one)
    found = read_answers(path)
    assert len(found) == 4
    assert standing(found) == [SINGLE, replace(PAIR, rater='Ben')]
    assert standing([*found, back]) == standing(found)


def test_answers_on_recordings_that_are_gone_do_not_count_and_are_named() -> None:
    usable, sentences = about([PAIR, SINGLE, replace(PAIR, rater='Ben')],
                              {ONE.name: ONE.digest, TWO.name: '3' * 64})
    assert usable == [SINGLE]
    (sentence,) = sentences
    assert sentence.startswith('episode_000002 is another recording now: 2 of the answers of '
                               'Anna, Ben')
    assert 'episode_000001 is not there' in about([SINGLE], {})[1][0]


def test_an_answer_is_about_recordings_whatever_their_names_are_now() -> None:
    here = {'demos/episode_000001': ONE.digest, ONE.name: TWO.digest}
    (found,), sentences = about([PAIR], here)
    assert [one.name for one in found.shown] == ['demos/episode_000001', ONE.name]
    assert sentences == []
    back = replace(found, said=WITHDRAWN)
    assert standing([PAIR, SINGLE, back]) == [SINGLE]
    other = replace(SINGLE, shown=(Shown(ONE.name, '9' * 64),), said=WITHDRAWN)
    assert standing([SINGLE, other]) == [SINGLE], 'on another recording of this name'


def test_an_answer_on_two_copies_counts_only_while_both_are_there() -> None:
    pair = replace(PAIR, shown=(ONE, Shown(TWO.name, ONE.digest)))
    assert about([pair], {ONE.name: ONE.digest, TWO.name: ONE.digest}) == ([pair], [])
    usable, (sentence,) = about([pair, SINGLE], {ONE.name: ONE.digest})
    assert usable == [SINGLE]
    assert sentence.startswith('episode_000001 and episode_000002 are copies of one recording: 1 ')


@pytest.mark.parametrize(('changes', 'culprit'), [
    ({'rater': ''}, 'rater'), ({'rater': ' Anna'}, "' Anna'"), ({'rater': 'a/b'}, 'a/b'),
    ({'rater': 'a\nb'}, 'name of the rater'), ({'said': 'good'}, "'good'"),
    ({'said': 'better'}, 'better'), ({'shown': [plain(ONE)]}, "'left'"),
    ({'shown': [plain(ONE)] * 2}, 'two different'), ({'shown': []}, 'shown'),
    ({'shown': [plain(ONE) | {'digest': 'x'}, plain(TWO)]}, 'digest')])
def test_a_bad_answer_in_the_file_is_refused(path: Path, changes: dict[str, Any],
                                             culprit: str) -> None:
    path.write_text(json.dumps({'schema': 'uncloning/preferences@1',
                                'answers': [plain(PAIR) | changes]}))
    with pytest.raises(BagError, match=r'preferences\.json') as caught:
        read_answers(path)
    assert culprit in str(caught.value)


@pytest.mark.parametrize('content', [b'{', b'\xff', b'[]', b'{"schema": "uncloning/labels@2"}'])
def test_a_damaged_file_is_refused_and_stays_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BagError):
        add_answer(path, PAIR)
    assert path.read_bytes() == content
