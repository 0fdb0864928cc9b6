# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A session of recording loses no take: not to a person, a slow disk, a full one, or a bug."""

import datetime
import errno
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import episodes
import pytest
from disks import SmallDisk
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from mcap.reader import make_reader

from uncloning_ros.demos.bags.answers import answers_path, read_answers, standing
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, bag_topics
from uncloning_ros.demos.bags.labels import read_labels
from uncloning_ros.demos.bags.layout import list_episodes, list_unfinished
from uncloning_ros.demos.bags.message_types import message_text
from uncloning_ros.demos.bags.reader import episode_digest, read_episode, verify_episode
from uncloning_ros.demos.bags.verdict import Finding, recorded_health
from uncloning_ros.demos.bags.writer import BagWriter, EpisodeWriter, RecordedTopic
from uncloning_ros.demos.recording.episode_thread import EpisodeThread
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.demos.recording.recovery import recover
from uncloning_ros.demos.recording.session import RecordingSession
from uncloning_ros.errors import BagError, ContractError, UncloningError

S = 10**9
BEGIN_NS = 1_000 * S
INTERFACE = episodes.CONTRACT.interface
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


class Session:
    """A recording whose time, disk and messages a test makes up."""

    def __init__(self, out: Path, **options: Any) -> None:
        self.out = out
        self.now_ns = BEGIN_NS
        self.free = 10 * 2**30
        self.events: list[dict[str, Any]] = []
        given = {'planned_mode': None, 'min_free_bytes': 2**30, 'queue_bytes': 2**27} | options
        self.recording = RecordingSession(out, episodes.CONTRACT, 'tuesday', 'Ada',
                                   tell=self.events.append, free_bytes=lambda: self.free,
                                   wall=lambda: NOON, **given)

    def start(self, **given: Any) -> str:
        options: dict[str, Any] = {'silent': {}, 'refused': (), 'topics': (), 'usual_hz': {},
                                   'lost': {}} | given
        return self.recording.start(self.now_ns, **options)

    def stop(self) -> str:
        return self.recording.stop(self.now_ns, {})

    def discard(self) -> str:
        return self.recording.discard(self.now_ns, {})

    def messages(self, count: int = 1) -> None:
        """Let one message of every topic arrive so many times."""
        for _ in range(count):
            self.now_ns += S // 20
            for name in bag_topics(episodes.CONTRACT):
                self.recording.put(name, b'\x00\x01\x00\x00' + bytes(40), self.now_ns, self.now_ns)

    def take(self) -> Path:
        """Keep one more episode."""
        self.start()
        self.messages()
        self.stop()
        return self.recording.kept[-1]

    def until_written(self) -> None:
        """Wait until nothing is queued any more and the disk has it."""
        thread = self.recording.thread
        assert thread is not None
        while thread.queued and thread.error is None:
            thread._ending.wait(0.001)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path / 'demos')


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_handed_over_is_in_the_bag_and_the_answer_says_so(session: Session) -> None:
    assert session.start() == f'recording {session.out}/episode_000000'
    session.messages(10)
    answer = session.stop()
    assert answer.startswith(f'kept {session.out}/episode_000000 (0.5 s, 72 messages): ')
    assert set(verify_episode(session.out / 'episode_000000').values()) == {10, 2}
    assert [event['event'] for event in session.events] == ['start', 'stop']


def test_the_verdict_is_in_the_answer_in_the_event_and_in_the_bag(session: Session) -> None:
    session.start(lost={'/hand_pose': 4})
    session.messages(3)
    answer = session.recording.stop(session.now_ns, {'/hand_pose': 7})
    assert '/hand_pose: 3 messages never arrived' in answer
    assert session.events[-1]['health']['verdict'] == 'findings'
    with next((session.out / 'episode_000000').glob('*.mcap')).open('rb') as stream:
        *_, (_, _, last) = make_reader(stream).iter_messages(EVENT_TOPIC)
    event = json.loads(last.data[8:].rstrip(b'\0'))
    health = recorded_health([(0, event)])
    assert health == session.recording.last_health
    assert health is not None and health.topics['/hand_pose']['lost'] == 3


def test_a_take_that_ends_for_a_cause_is_kept_and_the_cause_is_a_finding(
        session: Session) -> None:
    session.start()
    session.messages(3)
    cause = Finding('unheard', '/policy/status', 'nothing for 5 s')
    answer = session.recording.stop(session.now_ns, {}, cause)
    assert '/policy/status: nothing for 5 s' in answer
    assert verify_episode(session.recording.kept[-1])
    health = recorded_health([(0, session.events[-1])])
    assert health == session.recording.last_health
    assert health is not None and health.verdict == 'findings' and cause in health.findings


@pytest.mark.parametrize(('problem', 'sentence'), [
    ({'silent': {'/hand_pose': 'never'}}, r'nothing arrives on /hand_pose \(never\)'),
    ({'now_ns': 0}, '/clock'),
    ({'free': 2**29}, '512 MiB left, below min_free_mib 1024 MiB'),
])
def test_a_start_that_would_make_no_good_take_is_refused(
        session: Session, problem: dict[str, Any], sentence: str) -> None:
    session.now_ns = problem.pop('now_ns', session.now_ns)
    session.free = problem.pop('free', session.free)
    with pytest.raises(BagError, match=sentence):
        session.start(**problem)
    assert not session.out.exists()
    assert session.recording.open_name is None


def test_the_room_on_the_disk_is_told_by_the_rate_of_a_recording(session: Session) -> None:
    session.free = 41 * 10**9
    told = session.recording.room(340e6 / 60)
    assert told == 'about 340 MB a minute; the disk has 41 GB, enough for 119 minutes'
    assert session.recording.warnings(340e6 / 60) == []
    session.free = 2**30 + 10**9
    assert session.recording.room(5e6).endswith('has 2.1 GB, enough for 5 minutes')
    [warning] = session.recording.warnings(5e6)
    assert 'nearly full' in warning and '300 MB a minute' in warning
    assert session.recording.room(0.0) == ''
    assert session.recording.room(1e3).endswith('enough for 17 days')


def test_a_discarded_take_is_put_aside_and_its_number_used_again(session: Session) -> None:
    for place in ('episode_000000', 'episode_000000-2'):
        session.start()
        session.messages()
        assert f'it lies in {session.out}/discarded/{place} until' in session.discard()
        assert verify_episode(session.out / 'discarded' / place)[EVENT_TOPIC] == 2
    assert session.take().name == 'episode_000000'
    assert names(session.out) == ['discarded', 'episode_000000']


def test_undo_puts_the_last_kept_take_aside_with_its_labels(session: Session) -> None:
    first, second = session.take(), session.take()
    session.recording.label('blade_first', session.now_ns)
    assert 'undid episode_000001' in session.recording.undo()
    assert list_episodes(session.out) == [first]
    aside = session.out / 'discarded' / second.name
    assert read_labels(aside, INTERFACE)[0].mode == 'blade_first'
    assert 'undid episode_000000' in session.recording.undo()
    with pytest.raises(BagError, match='no episode was kept since the recorder began'):
        session.recording.undo()
    assert [event['event'] for event in session.events[-2:]] == ['discard', 'discard']


def test_two_recorders_in_one_folder_never_share_a_number(session: Session) -> None:
    other = Session(session.out)
    session.start()
    other.start()
    assert (session.recording.open_name, other.recording.open_name) == (
        'episode_000000', 'episode_000001')
    session.messages()
    session.stop()
    assert session.take().name == 'episode_000002'
    other.messages()
    other.stop()
    assert names(session.out) == [f'episode_{n:06d}' for n in range(3)]


def test_a_number_that_another_recorder_takes_at_this_very_moment_is_passed_over(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from uncloning_ros.demos.recording import session as recording

    real = recording.next_episode_index

    def slow(folder: Path) -> int:
        index = real(folder)
        if index < 2:  # the other one is quicker, twice
            (folder / f'episode_{index:06d}.partial').mkdir(parents=True)
        return index

    monkeypatch.setattr(recording, 'next_episode_index', slow)
    session.start()
    assert session.recording.open_name == 'episode_000002'
    session.messages()
    session.stop()
    assert session.events[-1]['episode'] == 2


def test_undo_does_not_touch_what_another_run_recorded(session: Session) -> None:
    path = session.take()
    with pytest.raises(BagError, match='older ones are undone by hand'):
        Session(session.out).recording.undo()
    assert list_episodes(session.out) == [path]


def test_a_label_goes_to_the_open_take_or_to_the_last_kept_one(session: Session) -> None:
    with pytest.raises(BagError, match='no episode is open, and none was kept'):
        session.recording.label('handle_first', session.now_ns)
    first = session.take()
    assert session.recording.label('handle_first', session.now_ns) == (
        'episode_000000 is labelled handle_first')
    session.start()
    assert 'when it is kept' in session.recording.label('blade_first', session.now_ns)
    session.messages()
    session.stop()
    second = session.recording.kept[-1]
    for path, mode in ((first, 'handle_first'), (second, 'blade_first')):
        [label] = read_labels(path, INTERFACE)
        assert (label.mode, label.source, label.by, label.at) == (
            mode, 'operator', 'Ada', '2026-01-31T12:00:00.000+00:00')


def test_the_receiver_judges_the_open_take_or_the_last_kept_one(tmp_path: Path) -> None:
    session = Session(tmp_path / 'demos', rater='Ben')
    with pytest.raises(BagError, match='no episode is open'):
        session.recording.judge('good')
    first = session.take()
    assert session.recording.judge('good') == 'episode_000000 is called good by Ben'
    assert session.recording.judge('bad') == 'episode_000000 is called bad by Ben'
    session.start()
    session.messages()
    for said in ('bad', 'good'):
        assert 'when it is kept' in session.recording.judge(said)
    assert 'episode_000001 is called good by Ben' in session.stop()
    session.start()
    session.recording.judge('bad')
    session.discard()  # with its answer
    found = standing(read_answers(answers_path(session.out)))
    assert [(one.names, one.said, one.rater, one.at) for one in found] == [
        (('episode_000000',), 'bad', 'Ben', NOON.isoformat(timespec='milliseconds')),
        (('episode_000001',), 'good', 'Ben', NOON.isoformat(timespec='milliseconds'))]
    assert found[0].shown[0].digest == episode_digest(first)


def test_an_answer_needs_a_rater_and_one_that_fails_does_not_cost_the_take(
        session: Session, tmp_path: Path) -> None:
    session.take()
    with pytest.raises(BagError, match='parameter rater'):
        session.recording.judge('good')
    with pytest.raises(BagError, match='name of the rater'):
        Session(tmp_path / 'wrong', rater='a/b')
    named = Session(tmp_path / 'named', rater='Ben')
    named.start()
    named.messages()
    named.recording.judge('bad')
    answers_path(named.out).write_text('{')
    sentence = named.stop()
    assert 'kept' in sentence and 'answer bad is lost' in sentence
    assert list_episodes(named.out)


def test_a_take_that_somebody_moved_away_gets_no_label_beside_nothing(session: Session) -> None:
    path = session.take()
    path.rename(path.with_name('elsewhere'))
    with pytest.raises(BagError, match='episode_000000 was moved'):
        session.recording.label('blade_first', session.now_ns)
    assert names(session.out) == ['elsewhere']


def test_a_label_after_a_take_that_failed_is_not_that_of_the_one_before(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise BagError('the disk is full')

    before = session.take()
    session.start()
    with monkeypatch.context() as patch:
        patch.setattr(BagWriter, 'commit', broken)
        with pytest.raises(BagError, match='the disk is full'):
            session.stop()
    with pytest.raises(BagError, match='episode_000001 failed; label it with uncloning label'):
        session.recording.label('blade_first', session.now_ns)
    assert read_labels(before, INTERFACE) == ()
    after = session.take()
    session.recording.label('blade_first', session.now_ns)
    assert read_labels(after, INTERFACE)[0].mode == 'blade_first'


def test_a_plan_holds_from_the_next_take_on(session: Session) -> None:
    session.start()
    session.messages()
    session.recording.plan('blade_first')
    session.stop()
    session.take()
    started = [event for event in session.events if event['event'] == 'start']
    assert [event['mode'] for event in started] == [None, 'blade_first']


@pytest.mark.parametrize('action', ['plan', 'label'])
def test_an_unknown_mode_is_refused_with_the_near_miss(session: Session, action: str) -> None:
    session.take()
    more = () if action == 'plan' else (0,)
    with pytest.raises(ContractError, match="did you mean 'handle_first'"):
        getattr(session.recording, action)('handle_frist', *more)


def test_a_topic_that_appears_while_a_take_is_open_is_recorded(session: Session) -> None:
    session.start()
    session.messages()
    session.recording.add_topic(RecordedTopic('/late', 'pkg/msg/Odd', b'float64 x\n', ''))
    session.recording.put('/late', b'\x00\x01\x00\x00' + bytes(8), session.now_ns, 0)
    session.stop()
    assert verify_episode(session.recording.kept[-1])['/late'] == 1


# --- disks ---

def test_a_full_disk_ends_the_take_loudly_and_recover_finishes_it(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        disk = SmallDisk(patch)
        session.start()
        session.messages(5)
        session.until_written()
        disk.room = 0
        while session.recording.thread.error is None:
            session.messages(1)
        sentence = session.recording.check(session.now_ns, {})
    assert sentence is not None
    assert 'episode_000000 ended: cannot write' in sentence and 'uncloning recover' in sentence
    assert session.events[-1]['event'] == 'fail'
    assert session.recording.open_name is None
    assert session.take().name == 'episode_000001'
    [outcome] = recover(session.out)
    assert outcome.kind in ('finished', 'quarantined')
    assert list_unfinished(session.out) == []


def test_a_disk_that_gets_full_ends_the_take_while_it_can_still_be_kept(session: Session) -> None:
    session.start()
    session.messages()
    session.free = 2**30 - 1
    assert session.recording.check(session.now_ns, {}) is None
    assert any('left' in warning for warning in session.recording.warnings())
    session.free = 2**29 - 1
    sentence = session.recording.check(session.now_ns, {})
    assert sentence is not None
    assert re.match(r'the disk has 512 MiB left: kept .*episode_000000', sentence)
    assert len(list_episodes(session.out)) == 1


def test_a_disk_that_is_too_slow_drops_messages_and_says_which(tmp_path: Path) -> None:
    session = Session(tmp_path, queue_bytes=2000)
    session.start()
    session.messages(1000)
    thread = session.recording.thread
    assert thread is not None
    kept, dropped = thread.writer, dict(thread.dropped)
    assert dropped
    warnings = session.recording.warnings()
    answer = session.stop()
    for topic, count in dropped.items():
        assert kept.counts[topic] == 1000 - count
        assert f'{topic}: {count} messages could not be written in time' in answer
        assert f'{topic}: {count} messages could not be written in time' in warnings


def test_a_disk_that_stands_still_cannot_hold_up_the_end(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr('uncloning_ros.demos.recording.episode_thread._CLOSE_TIMEOUT_S', 0.05)
    monkeypatch.setattr(EpisodeWriter, 'write', lambda *_: let_go.wait())
    session.start()
    session.messages()
    thread = session.recording.thread
    try:
        with pytest.raises(BagError, match='did not take everything within 0.05 s'):
            session.stop()
    finally:
        let_go.set()
    assert session.events[-1]['event'] == 'fail'
    while thread.is_alive():
        pass
    thread.writer.close()


def test_messages_that_trickle_are_on_the_disk_without_further_ones(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = threading.Event()
    real = BagWriter.flush

    def flush(writer: BagWriter) -> None:
        real(writer)
        flushed.set()

    session.start()
    session.messages()
    monkeypatch.setattr(BagWriter, 'flush', flush)
    flushed.clear()
    session.messages()
    assert flushed.wait(30.0)
    copy = session.out.parent / 'copy'
    copy.mkdir()
    left = session.out / 'episode_000000.partial'
    (copy / left.name).mkdir()
    for file in left.iterdir():  # as a crash at this moment would leave it
        (copy / left.name / file.name).write_bytes(file.read_bytes())
    [outcome] = recover(copy)
    assert outcome.kind == 'finished'
    counts = verify_episode(copy / 'episode_000000')
    assert {counts[name] for name in bag_topics(episodes.CONTRACT)} == {2}
    session.stop()


def test_one_write_that_fails_keeps_the_whole_records_before_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SmallDisk(monkeypatch)
    writer = EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA)
    judge = EpisodeJudge(None, {})
    thread = EpisodeThread(writer, judge, 2**27)
    disk.room = 1_000_000
    while thread.error is None:  # many chunks, of which the disk takes some and a half
        thread.put(EVENT_TOPIC, bytes(100_000), 1, 1)
    with pytest.raises(BagError, match='No space left'):
        thread.end()
    writer.close()
    left = {path: path.read_bytes() for path in tmp_path.rglob('*.mcap')}
    with pytest.raises(BagError, match='No space left'):
        list(recover(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob('*.mcap')} == left
    disk.room = 2**40
    [outcome] = recover(tmp_path)
    assert outcome.kind == 'finished', outcome.sentence
    assert 'cut off while they were written' not in outcome.sentence
    assert verify_episode(tmp_path / 'take')[EVENT_TOPIC] > 5


def test_a_disk_that_was_unplugged_is_not_replaced_by_a_folder_of_its_name(
        session: Session) -> None:
    session.take()
    session.start()
    session.messages()
    away = session.out.with_name('away')
    session.out.rename(away)
    with pytest.raises(BagError, match='cannot write .*episode_000001.partial'):
        session.stop()
    with pytest.raises(BagError, match='demos is gone since the last take; plug its disk in'):
        session.start()
    assert not session.out.exists()
    away.rename(session.out)
    assert session.take().name == 'episode_000002'
    [outcome] = recover(session.out)
    assert outcome.kind == 'finished'
    assert names(session.out)[:3] == [f'episode_{n:06d}' for n in range(3)]


def test_a_disk_that_does_not_answer_is_told_and_ends_nothing(session: Session) -> None:
    def silent() -> int:
        raise OSError(errno.EIO, 'Input/output error')

    session.start()
    session.messages()
    session.recording.free_bytes = silent
    assert session.recording.check(session.now_ns, {}) is None
    [warning] = session.recording.warnings()
    assert f'the disk of {session.out} does not answer' in warning
    assert 'kept' in session.stop()
    with pytest.raises(BagError, match='does not answer; plug it in again'):
        session.start()


# --- any order of calls ---

class AnyCalls(RuleBasedStateMachine):
    """Whatever is called in whatever order: an answer or an error, and no take is lost."""

    folders: Iterator[Path]

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(next(self.folders))
        self.kept: list[str] = []
        self.aside = 0
        self.open = False

    def attempt(self, action: Callable[[], str]) -> bool:
        done = True
        try:
            sentence = action()
        except UncloningError as err:
            done, sentence = False, str(err)
        assert sentence
        return done

    @rule(silent=st.sampled_from([{}, {'/hand_pose': 'never'}]))
    def start(self, silent: dict[str, str]) -> None:
        may = not self.open and not silent
        assert self.attempt(lambda: self.session.start(silent=silent)) == may
        self.open = self.open or may

    @rule(count=st.integers(0, 3))
    def messages(self, count: int) -> None:
        self.session.messages(count)

    @rule()
    def stop(self) -> None:
        assert self.attempt(self.session.stop) == self.open
        if self.open:
            self.kept.append(self.session.recording.kept[-1].name)
        self.open = False

    @rule()
    def discard(self) -> None:
        assert self.attempt(self.session.discard) == self.open
        self.aside += self.open
        self.open = False

    @rule()
    def undo(self) -> None:
        may = bool(self.kept) and not self.open
        assert self.attempt(self.session.recording.undo) == may
        if may:
            self.kept.pop()
            self.aside += 1

    @rule(mode=st.sampled_from(['handle_first', 'blade_first', '', 'x']))
    def plan_and_label(self, mode: str) -> None:
        known = mode in INTERFACE.modes
        recording = self.session.recording
        assert self.attempt(lambda: recording.plan(mode)) == known
        may = known and (self.open or bool(self.kept))
        assert self.attempt(lambda: recording.label(mode, self.session.now_ns)) == may

    @invariant()
    def every_take_is_there_and_numbered_without_a_hole(self) -> None:
        out = self.session.out
        finished = [path.name for path in list_episodes(out)] if out.exists() else []
        assert finished == self.kept == [f'episode_{n:06d}' for n in range(len(self.kept))]
        aside = out / 'discarded'
        assert len(list_episodes(aside)) == self.aside if aside.exists() else self.aside == 0

    def teardown(self) -> None:
        if self.open:
            assert self.session.stop()


def test_whatever_is_called_no_take_is_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    class Machine(AnyCalls):
        folders = iter(lambda: tmp_path_factory.mktemp('demos') / 'out', None)

    case = Machine.TestCase
    case.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
    case('runTest').runTest()


# --- message definitions ---

def test_the_definition_of_a_robots_own_message_is_written_from_its_class() -> None:
    fields = {
        'my_msgs/msg/State': {'header': 'my_msgs/Head', 'gains': 'double[7]', 'ok': 'boolean',
                              'names': 'sequence<string>', 'last': 'sequence<float, 3>',
                              'heads': 'sequence<my_msgs/Head>', 'code': 'string<5>'},
        'my_msgs/msg/Head': {'raw': 'octet', 'empty': 'my_msgs/Nothing'},
        'my_msgs/msg/Nothing': {'structure_needs_at_least_one_member': 'uint8'},
    }

    def classes(name: str) -> Any:
        return type('Message', (), {'get_fields_and_field_types': classmethod(
            lambda cls: fields[name])})

    line = '=' * 80
    assert message_text('my_msgs/msg/State', classes) == (
        f'my_msgs/Head header\nfloat64[7] gains\nbool ok\nstring[] names\nfloat32[<=3] last\n'
        f'my_msgs/Head[] heads\nstring<=5 code\n{line}\nMSG: my_msgs/Head\nbyte raw\n'
        f'my_msgs/Nothing empty\n{line}\nMSG: my_msgs/Nothing\n')


def test_an_episode_reads_back_as_before(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover())
    assert len(read_episode(path).samples['hand_pose']) == 120


def test_a_folder_that_cannot_be_made_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='/dev/null is not a folder; .*with out'):
        Session(Path('/dev/null/x'))
    Session(tmp_path / 'some' / 'where')
    assert not list(tmp_path.iterdir())
