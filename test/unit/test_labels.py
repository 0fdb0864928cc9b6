# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The label sidecar: what is kept, what counts, and what is refused."""

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import NOON

import uncloning_ros
from uncloning_ros.demos.bags.labels import (
    SOURCES,
    Label,
    add_label,
    labels_path,
    newest_label,
    read_labels,
    standing_label,
)
from uncloning_ros.errors import BagError, ContractError, UncloningError
from uncloning_ros.schema import plain

INTERFACE = episodes.CONTRACT.interface
LATER = '2026-01-31T13:30:00+01:00'  # half an hour after noon in London


def label(mode: str | None = 'handle_first', source: str = 'rule', at: str = NOON,
          by: str = 'knife@3f2a9c81d0b4') -> Label:
    return Label(mode, source, 0.9, at, by, uncloning_ros.__version__)


def data(**changes: Any) -> dict[str, Any]:
    return {'schema': 'uncloning/labels@2', 'labels': [plain(label()) | changes]}


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Return the directory of a bag, as far as labels are concerned."""
    path = tmp_path / 'episode_000003'
    path.mkdir()
    return path


def test_labels_come_back_as_they_were_added(take: Path) -> None:
    assert read_labels(take, INTERFACE) == ()
    first, second = label(), label('blade_first', 'operator', LATER, 'Anna Berg')
    add_label(take, first, INTERFACE)
    add_label(take, second, INTERFACE)
    assert read_labels(take, INTERFACE) == (first, second)
    assert labels_path(take) == take.parent / 'episode_000003.labels.json'
    assert sorted(path.name for path in take.parent.iterdir()) == [
        'episode_000003', 'episode_000003.labels.json']
    assert list(take.iterdir()) == []


def test_every_label_says_who_how_sure_when_and_by_which_version(take: Path) -> None:
    add_label(take, Label('handle_first', 'operator', 0.7, NOON, 'anna'), INTERFACE)
    assert json.loads(labels_path(take).read_text()) == {
        'schema': 'uncloning/labels@2',
        'labels': [{'mode': 'handle_first', 'source': 'operator', 'confidence': 0.7, 'at': NOON,
                    'by': 'anna', 'software_version': uncloning_ros.__version__}]}


def test_a_label_with_a_span_says_from_when_to_when(take: Path) -> None:
    for from_s, to_s, words in ((0.5, 4.0, 'from 0.5 s to 4 s'), (None, 4.0, 'to 4 s'),
                                (0.5, None, 'from 0.5 s'), (None, None, '')):
        one = Label('handle_first', 'operator', 1.0, NOON, 'anna', from_s=from_s, to_s=to_s)
        assert (one.span, one.has_span) == (words, bool(words))
        add_label(take, one, INTERFACE)
    assert [{key: one[key] for key in one if key.endswith('_s')} for one in json.loads(
        labels_path(take).read_text())['labels']] == [
            {'from_s': 0.5, 'to_s': 4.0}, {'to_s': 4.0}, {'from_s': 0.5}, {}]


def test_sidecars_of_the_first_schema_are_read_and_carried_on(take: Path) -> None:
    old = {'mode': 'blade_first', 'source': 'operator', 'confidence': 1.0, 'at': NOON}
    labels_path(take).write_text(json.dumps({'schema': 'uncloning/labels@1', 'labels': [old]}))
    assert read_labels(take, INTERFACE) == (
        Label('blade_first', 'operator', 1.0, NOON, '', ''),)
    add_label(take, label(), INTERFACE)
    assert json.loads(labels_path(take).read_text())['labels'][0] == old


def test_of_one_source_the_last_label_added_counts_whatever_the_clocks_said(take: Path) -> None:
    for one in (label('blade_first', at=LATER), label('handle_first', at=NOON)):
        add_label(take, one, INTERFACE)
    found = read_labels(take, INTERFACE)
    newest = newest_label(found, 'rule')
    assert newest is not None
    assert newest.mode == 'handle_first'
    assert newest_label(found, 'operator') is None


def test_a_person_outranks_the_rule_and_the_rule_a_cluster() -> None:
    given_labels = [label(source=source) for source in ('operator', 'rule', 'cluster', 'truth')]
    while given_labels:
        standing = standing_label(given_labels[::-1])
        assert standing == given_labels[0]
        del given_labels[0]
    assert standing_label([]) is None


def test_a_withdrawn_label_lets_the_next_source_count() -> None:
    labels = [label('handle_first', 'rule'), label('blade_first', 'operator', by='anna')]
    withdrawn = [*labels, label(None, 'operator', by='anna')]
    assert newest_label(withdrawn, 'operator') is None
    assert standing_label(withdrawn) == labels[0]
    again = [*withdrawn, label('blade_first', 'operator', by='ben')]
    assert standing_label(again) == again[-1]


def test_the_same_opinion_is_known_whenever_it_was_given() -> None:
    assert label().says_the_same(label(at=LATER))
    assert label().says_the_same(replace(label(), software_version='9.9'))
    for other in (None, label('blade_first'), label(source='truth'), label(by='pen@0'),
                  replace(label(), confidence=0.8), replace(label(), from_s=0.5)):
        assert not label().says_the_same(other)


def test_a_failed_write_keeps_the_labels_that_were_there(
        take: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_label(take, label(), INTERFACE)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(BagError, match='cannot write .*No space left on device'):
        add_label(take, label('blade_first'), INTERFACE)
    assert read_labels(take, INTERFACE) == (label(),)
    assert len(list(take.parent.iterdir())) == 2


def test_a_sidecar_is_replaced_whole_or_not_at_all(
        take: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_label(take, label(), INTERFACE)

    def stop(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, 'replace', stop)
    with pytest.raises(KeyboardInterrupt):
        add_label(take, label('blade_first'), INTERFACE)
    assert read_labels(take, INTERFACE) == (label(),)
    assert len(list(take.parent.iterdir())) == 2


def _add_some(take: Path, name: str) -> None:
    for _ in range(20):
        add_label(take, label(source='operator', by=name), INTERFACE)


def test_of_labels_that_two_add_at_once_none_is_lost(take: Path) -> None:
    context = multiprocessing.get_context('fork')
    others = [context.Process(target=_add_some, args=(take, name)) for name in ('anna', 'ben')]
    for one in others:
        one.start()
    for one in others:
        one.join()
    found = [one.by for one in read_labels(take, INTERFACE)]
    assert sorted(found) == ['anna'] * 20 + ['ben'] * 20


@pytest.mark.parametrize(('content', 'error', 'sentence'), [
    ('{', BagError, 'is not JSON'),
    pytest.param('[' * 100000, BagError, 'is not JSON', id='deep'),
    ('[]', BagError, 'expected a mapping'),
    ({'schema': 'uncloning/labels@3', 'labels': []}, BagError,
     "schema: expected .*, got 'uncloning/labels@3'"),
    ({'schema': 'uncloning/labels@2'}, BagError, "missing key 'labels'"),
    ({'schema': 'uncloning/labels@2', 'labels': [{'mode': 'handle_first'}]}, BagError,
     "missing key 'source'"),
    ({'schema': 'uncloning/labels@2', 'labels': [{'source': 'rule'}]}, BagError,
     "missing key 'mode'"),
    (data(mode='handel_first'), ContractError,
     "unknown mode 'handel_first' .did you mean 'handle_first'"),
    (data(mode=['handle_first']), BagError, 'mode: expected a text'),
    (data(source='oracle'), BagError,
     "source: expected 'operator' or .*, got 'oracle'"),
    (data(confidence=2), BagError, 'confidence'),
    (data(at='noon'), BagError, "expected an ISO 8601 time, got 'noon'"),
    (data(at='2026-01-31'), BagError, 'expected a time with its zone'),
    (data(by='two\nlines'), BagError, 'expected the author of a label as one line of words'),
    (data(by=3), BagError, 'by: expected a text'),
    (data(sure='yes'), BagError, "unknown key 'sure'"),
    (data(from_s=-1.0), BagError, 'span of a label in seconds .* 0 or above, got -1'),
    (data(from_s=2.0, to_s=2.0), BagError, 'end after its begin at 2 s, got an end at 2 s'),
    (data(from_s=2.5, to_s=1.0), BagError, 'end after its begin at 2.5 s, got an end at 1 s'),
    (data(from_s='1'), BagError, 'from_s: expected a number'),
    (data(to_s=None), BagError, 'to_s: expected a number'),
    (data(mode=None, to_s=1.0), BagError, 'no span of a label that withdraws.* got to 1 s'),
])
def test_a_damaged_sidecar_is_refused(
        take: Path, content: Any, error: type[UncloningError], sentence: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    labels_path(take).write_text(text)
    with pytest.raises(error, match=sentence):
        read_labels(take, INTERFACE)


def test_an_unknown_mode_is_not_added(take: Path) -> None:
    with pytest.raises(ContractError, match='unknown mode'):
        add_label(take, label('sideways'), INTERFACE)
    assert list(take.parent.iterdir()) == [take]


def test_a_piece_of_a_bag_is_labelled_beside_the_bag(take: Path) -> None:
    piece = take.with_name('episode_000003#2')
    add_label(piece, label(), INTERFACE)
    assert read_labels(piece, INTERFACE) == (label(),)
    assert read_labels(take, INTERFACE) == ()


def test_a_folder_that_is_not_there_takes_no_label(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='cannot label .*episode_9: No such file'):
        add_label(tmp_path / 'nowhere' / 'episode_9', label(), INTERFACE)
    assert list(tmp_path.iterdir()) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(['handle_first', NOON, 'rule', 'uncloning/labels@2']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(['schema', 'labels', 'mode', 'source', 'confidence', 'at', 'by', 'from_s',
                         'to_s']), inner, max_size=6),
    max_leaves=12)


@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JSON | st.fixed_dictionaries(
    {'schema': st.sampled_from(['uncloning/labels@1', 'uncloning/labels@2']),
     'labels': st.lists(st.fixed_dictionaries(
         {'mode': _JSON, 'source': _JSON, 'confidence': _JSON, 'at': _JSON},
         optional={'by': _JSON, 'software_version': _JSON, 'from_s': _JSON, 'to_s': _JSON}),
         max_size=2)}))
def test_no_sidecar_gives_a_traceback(take: Path, content: object) -> None:
    labels_path(take).write_text(json.dumps(content))
    try:
        found = read_labels(take, INTERFACE)
    except UncloningError as err:
        sentence = str(err)
    else:
        assert all(one.source in SOURCES for one in found)
        return
    assert sentence.startswith(str(labels_path(take)))


@settings(max_examples=100, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_no_bytes_in_a_sidecar_give_a_traceback(take: Path, content: bytes) -> None:
    labels_path(take).write_bytes(content)
    with pytest.raises(BagError):
        read_labels(take, INTERFACE)


@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([*INTERFACE.mode_names, None]),
                          st.sampled_from(SOURCES), st.floats(0.0, 1.0),
                          st.none() | st.floats(0.0, 10.0), st.none() | st.floats(10.1, 99.0)),
                max_size=6))
def test_whatever_is_added_comes_back_in_its_order(
        take: Path, opinions: list[tuple[str | None, str, float, float | None, float | None]],
        ) -> None:
    labels_path(take).unlink(missing_ok=True)
    added = tuple(Label(mode, source, sure, NOON, 'someone', uncloning_ros.__version__,
                        *((None, None) if mode is None else span))
                  for mode, source, sure, *span in opinions)
    for one in added:
        add_label(take, one, INTERFACE)
    assert read_labels(take, INTERFACE) == added


def test_an_endless_value_is_shown_in_short(take: Path) -> None:
    for wrong in ({'at': 'x' * 5000}, {'by': 'x\n' * 5000}, {'mode': 'x' * 5000},
                  {'source': 'x' * 5000}, {'x' * 5000: 1}):
        labels_path(take).write_text(json.dumps(data(**wrong)))
        with pytest.raises(UncloningError, match=r'xx|x.n') as caught:
            read_labels(take, INTERFACE)
        assert len(str(caught.value)) < 600
