# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record a session: start, keep, label and set aside episodes; never lose one."""

import contextlib
import datetime
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uncloning_ros
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.answers import (
    WITHDRAWN,
    Answer,
    Shown,
    SingleAnswer,
    add_answer,
    answers_path,
    read_answers,
    require_rater,
    standing,
)
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, EpisodeMetadata
from uncloning_ros.demos.bags.labels import Label, add_label, add_recorded_labels
from uncloning_ros.demos.bags.layout import (
    DISCARDED,
    episode_name,
    next_episode_index,
    place_aside,
    set_aside,
)
from uncloning_ros.demos.bags.reader import episode_digest
from uncloning_ros.demos.bags.verdict import Finding, Health
from uncloning_ros.demos.bags.writer import EpisodeWriter, RecordedTopic, event_cdr
from uncloning_ros.demos.recording.episode_thread import EpisodeThread
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.demos.recording.ring import Kept
from uncloning_ros.demos.recording.take_overs import COMMANDS, TAKEN
from uncloning_ros.errors import (
    BagError,
    ContractError,
    OutputExistsError,
    UncloningError,
    counted,
)
from uncloning_ros.files import require_folder
from uncloning_ros.schema import plain

# Time (s) of recording below which a disk is nearly full.
_SHORT_S = 600.0
# Attempts to claim an episode number: other recorders may record into the same folder.
_ATTEMPTS = 100


class _Open:
    """The open episode: its thread, number, planned mode, start and labels."""

    def __init__(self, thread: EpisodeThread, index: int, mode: str | None, start_ns: int,
                 lost: Mapping[str, int]) -> None:
        self.thread, self.index, self.mode, self.start_ns = thread, index, mode, start_ns
        self.lost_before = Counter(lost)
        self.labels: list[Label] = []
        self.said: SingleAnswer | None = None
        self.marks: list[str] = []  # events of take-overs

    @property
    def name(self) -> str:
        return self.thread.writer.final_dir.name

    def event(self, kind: str) -> dict[str, Any]:
        return {'event': kind, 'episode': self.index, 'mode': self.mode}


class RecordingSession:
    """Record episodes into one folder; every action returns a sentence or raises an error.

    Times are ROS time in ns. `tell` is called with every event; `free_bytes` and `wall` stand in
    for the disk and the calendar. One thread calls; the disk has another (`EpisodeThread`).
    """

    def __init__(self, out: Path, contract: Contract, session: str, operator: str,
                 planned_mode: str | None, min_free_bytes: int, queue_bytes: int,
                 tell: Callable[[dict[str, Any]], None],
                 free_bytes: Callable[[], int] | None = None,
                 wall: Callable[[], datetime.datetime] | None = None, rater: str = '') -> None:
        require_folder(out, f'episodes cannot be written to {out}', BagError,
                       'name another folder with out')
        if planned_mode is not None:
            contract.interface.require_modes([planned_mode])
        self._out, self._contract = out, contract
        self._session, self._operator = session, operator
        self._rater = require_rater(rater) if rater else ''
        self.planned_mode = planned_mode
        self._min_free_bytes, self._queue_bytes = min_free_bytes, queue_bytes
        self._tell = tell
        self.free_bytes = free_bytes or (lambda: shutil.disk_usage(_existing(out)).free)
        self._wall = wall or (lambda: datetime.datetime.now(datetime.UTC))
        self._open: _Open | None = None
        self._made = False  # whether a take was begun, so that the folder exists
        self._failed = ''  # name of the last take, if it failed
        self.kept: list[Path] = []
        self.last_health: Health | None = None

    @property
    def open_name(self) -> str | None:
        """Return the name of the open episode, None if none is open."""
        return None if self._open is None else self._open.name

    @property
    def thread(self) -> EpisodeThread | None:
        """Return the thread that writes the open episode."""
        return None if self._open is None else self._open.thread

    def free(self) -> int | None:
        """Return the free bytes of the disk, None if it does not answer."""
        try:
            return self.free_bytes()
        except OSError:
            return None

    def room_s(self, bytes_s: float) -> float | None:
        """Return for how long the disk takes a rate (bytes/s); None if either is unknown.

        Until it would end the open episode.
        """
        free = self.free()
        if free is None or bytes_s <= 0.0:
            return None
        return max(0.0, free - self._min_free_bytes / 2) / bytes_s

    def room(self, bytes_s: float) -> str:
        """Return how much of the disk a rate (bytes/s) takes, '' if that is unknown."""
        room_s = self.room_s(bytes_s)
        if room_s is None:
            return ''
        return (f'about {_size(60 * bytes_s)} a minute; the disk has {_size(self.free() or 0)}, '
                f'enough for {_duration(room_s)}')

    def put(self, topic: str, cdr: bytes, receive_ns: int, source_ns: int) -> None:
        """Record one message if an episode is open; never block."""
        if self._open is not None:
            self._open.thread.put(topic, cdr, receive_ns, source_ns)

    def add_topic(self, topic: RecordedTopic) -> None:
        """Describe a topic of the open episode that appeared, or whose offered QoS changed."""
        if self._open is not None:
            self._open.thread.writer.add_topic(topic)

    def start(self, now_ns: int, silent: Mapping[str, str], refused: Sequence[str],
              topics: Sequence[RecordedTopic], usual_hz: Mapping[str, float],
              lost: Mapping[str, int], before: Sequence[Kept] | None = None) -> str:
        """Open the next episode, unless an observation is silent or refused, or the disk is full.

        It begins with the messages `before`, those of a take-over, which has no planned mode.
        `silent` has the age of each silent topic in words, `refused` the sentences with which
        messages are refused; `lost` counts the messages that never arrived on each topic since
        the beginning.
        """
        if self._open is not None:
            raise BagError(f'{self._open.name} is open; stop or discard it first')
        if refused:
            raise ContractError('; '.join(refused))
        if silent:
            listed = ', '.join(f'{topic} ({age})' for topic, age in silent.items())
            raise BagError(f'nothing arrives on {listed}; check the publishers and deployment in '
                           f'the contract')
        if now_ns <= 0:
            raise BagError('no ROS time yet; start the publisher of /clock, or unset use_sim_time')
        if trouble := self._disk_trouble():
            raise BagError(trouble)
        planned_mode = self.planned_mode if before is None else None
        index, writer = self._begin(planned_mode)
        for topic in topics:
            writer.add_topic(topic)
        judge = EpisodeJudge(self._contract, usual_hz)
        thread = EpisodeThread(writer, judge, self._queue_bytes)
        begin_ns = min((now_ns, *(message.receive_ns for message in before or ())))
        self._open, self._failed = _Open(thread, index, planned_mode, begin_ns, lost), ''
        self._record_event(self._open.event('start'), begin_ns)
        for message in before or ():
            self.put(*message)
        return f'recording {writer.final_dir}'

    def _begin(self, planned_mode: str | None) -> tuple[int, EpisodeWriter]:
        """Claim the next number; return it and its writer."""
        if self._made and not self._out.is_dir():
            # A folder of the same name on another disk would hide that the first one is gone.
            raise BagError(f'{self._out} is gone since the last take; plug its disk in again, or '
                           f'restart the recorder to record into a new folder')
        for _ in range(_ATTEMPTS):
            index = next_episode_index(self._out)
            metadata = EpisodeMetadata(self._session, index, self._operator, planned_mode,
                                       uncloning_ros.__version__)
            with contextlib.suppress(OutputExistsError):  # another recorder was quicker
                writer = EpisodeWriter(self._out / episode_name(index), self._contract, metadata)
                self._made = True
                return index, writer
        raise BagError(f'other recorders claimed {_ATTEMPTS} episode numbers in {self._out} '
                       f'meanwhile; try again')

    def stop(self, now_ns: int, lost: Mapping[str, int], cause: Finding | None = None) -> str:
        """Keep the open episode: judge, close, verify, rename; `cause` is a finding on its end."""
        episode = self._require_open()
        path, health, count = self._finish(episode, 'stop', now_ns, lost, None, cause)
        self.kept.append(path)
        self.last_health = health
        length_s = (now_ns - episode.start_ns) * 1e-9
        sentence = (f'kept {path} ({length_s:.1f} s, {counted(count, "message")}): '
                    f'{health.sentence()}')
        if TAKEN in episode.marks and COMMANDS not in episode.marks:
            sentence += '; the person took the arm over and commanded nothing: no dataset uses it'
        if episode.said is not None:
            try:
                sentence += f'; {self._add_answer(path, episode.said)}'
            except UncloningError as err:
                sentence += f'; the answer {episode.said} is lost: {err}'
        return sentence + add_recorded_labels(path, episode.labels, self._contract.interface)

    def discard(self, now_ns: int, lost: Mapping[str, int]) -> str:
        """Close the open episode and put it with the discarded ones."""
        episode = self._require_open()
        place = place_aside(self._out / episode.name, DISCARDED)
        path, _, _ = self._finish(episode, 'discard', now_ns, lost, place)
        return f'discarded {episode.name}; it lies in {path} until it is deleted by hand'

    def undo(self) -> str:
        """Put the last kept episode of this session with the discarded ones."""
        if self._open is not None:
            raise BagError(f'{self._open.name} is open; stop or discard it first')
        if not self.kept:
            raise BagError('no episode was kept since the recorder began; older ones are undone '
                           'by hand')
        path = self.kept[-1]
        place = set_aside(path, DISCARDED)
        self.kept.pop()
        self._tell({'event': 'discard', 'episode': int(path.name[-6:]), 'mode': None})
        return f'undid {path.name}; it lies in {place} until it is deleted by hand'

    def plan(self, mode: str) -> str:
        """Ask the operator for a mode from the next episode on."""
        self._contract.interface.require_modes([mode])
        self.planned_mode = mode
        return f'the next episode is planned as {mode}'

    def label(self, mode: str, now_ns: int) -> str:
        """Label the open episode, or the last kept one, for the operator."""
        self._contract.interface.require_modes([mode])
        label = Label(mode, 'operator', 1.0, self._wall().isoformat(timespec='milliseconds'),
                      ' '.join(self._operator.split()))
        if self._open is not None:
            self._open.labels.append(label)
            # In the bag as well, so that the label outlives a crash.
            self._record_event({'event': 'label', 'episode': self._open.index, 'mode': mode},
                               now_ns)
            return f'{self._open.name} is labelled {mode} when it is kept'
        path = self._last_kept('label it with uncloning label')
        add_label(path, label, self._contract.interface)
        self._tell({'event': 'label', 'episode': int(path.name[-6:]), 'mode': mode})
        return f'{path.name} is labelled {mode}'

    def mark(self, event: str, now_ns: int) -> None:
        """Write an event of a take-over to the open episode, if there is one."""
        if self._open is not None:
            self._open.marks.append(event)
            self._record_event(self._open.event(event), now_ns)

    def judge(self, said: SingleAnswer) -> str:
        """Note that the receiver calls the open episode, or the last kept one, good or bad.

        The newest answer on an episode replaces the one before it.
        """
        if not self._rater:
            raise BagError(f'expected the name of the receiver who says {said}, got none; set '
                           f'the parameter rater of the recorder')
        if self._open is not None:
            self._open.said = said
            return f'{self._open.name} is called {said} when it is kept'
        return self._add_answer(self._last_kept('judge it with uncloning compare'), said)

    def _add_answer(self, path: Path, said: SingleAnswer) -> str:
        answers = answers_path(self._out)
        answer = Answer((Shown(path.name, episode_digest(path)),), said, self._rater,
                        self._wall().isoformat(timespec='milliseconds'))
        if any(one.question == answer.question for one in standing(read_answers(answers))):
            add_answer(answers, replace(answer, said=WITHDRAWN))
        add_answer(answers, answer)
        return f'{path.name} is called {said} by {self._rater}'

    def _last_kept(self, remedy: str) -> Path:
        """Return the path of the last kept episode; raise `BagError` with the remedy if gone."""
        if self._failed:  # the answer is not for the episode before it
            raise BagError(f'{self._failed} failed; {remedy} once uncloning recover {self._out} '
                           f'has finished it')
        if not self.kept:
            raise BagError('no episode is open, and none was kept since the recorder began; '
                           'start one first')
        path = self.kept[-1]
        if not path.is_dir():
            raise BagError(f'{path} was moved; {remedy} at its new place')
        return path

    def check(self, now_ns: int, lost: Mapping[str, int]) -> str | None:
        """End the open episode if it failed or the disk is nearly full; return why, else None."""
        if self._open is None:
            return None
        error = self._open.thread.error
        if error is not None:
            episode, self._open = self._open, None
            episode.thread.writer.close()
            self._fail(episode)
            return f'{episode.name} ended: {error}; uncloning recover {self._out} finishes it'
        free = self.free()
        if free is not None and free < self._min_free_bytes / 2:
            return f'the disk has {_mib(free)} left: {self.stop(now_ns, lost)}'
        return None

    def warnings(self, bytes_s: float = 0.0) -> list[str]:
        """Return a sentence for each trouble with the disk or the open episode.

        `bytes_s` is the usual rate of a recording, 0 if unknown.
        """
        found = [trouble] if (trouble := self._disk_trouble()) else []
        room_s = self.room_s(bytes_s)
        if not found and room_s is not None and room_s < _SHORT_S:
            found.append(f'the disk of {self._out} is nearly full: a recording takes '
                         f'{self.room(bytes_s)}; free some space')
        if self._open is not None:
            found += [f'{topic}: {counted(count, "message")} could not be written in time'
                      for topic, count in self._open.thread.dropped.items()]
        return found

    def _disk_trouble(self) -> str:
        """Return a sentence if the disk does not answer or is nearly full, else ''."""
        free = self.free()
        if free is None:
            return f'the disk of {self._out} does not answer; plug it in again'
        return '' if free >= self._min_free_bytes else (
            f'the disk of {self._out} has {_mib(free)} left, below min_free_mib '
            f'{_mib(self._min_free_bytes)}; free some space')

    def _require_open(self) -> _Open:
        if self._open is None:
            raise BagError('no episode is open; start one first')
        return self._open

    def _finish(self, episode: _Open, kind: str, now_ns: int, lost: Mapping[str, int],
                final_dir: Path | None,
                cause: Finding | None = None) -> tuple[Path, Health, int]:
        """Close an episode with a last event; return its directory, verdict and size."""
        thread, self._open = episode.thread, None
        try:
            thread.end()
            health = thread.judge.verdict(episode.start_ns, now_ns, thread.dropped,
                                          Counter(lost) - episode.lost_before)
            if cause is not None:
                health = Health('findings', (*health.findings, cause), health.topics)
            event = episode.event(kind) | {'health': plain(health)}
            thread.writer.write_event(event, now_ns)
            path = thread.writer.commit(final_dir)
        except Exception:
            if not thread.is_alive():
                thread.writer.close()
            self._fail(episode)
            raise
        self._tell(event)
        return path, health, sum(thread.writer.counts.values())

    def _fail(self, episode: _Open) -> None:
        self._failed = episode.name
        self._tell(episode.event('fail'))

    def _record_event(self, event: dict[str, Any], now_ns: int) -> None:
        self.put(EVENT_TOPIC, event_cdr(event), now_ns, now_ns)
        self._tell(event)


def _existing(path: Path) -> Path:
    """Return the nearest existing folder above `path`, on the disk that will fill."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents)
                if folder.exists())


def _mib(size: float) -> str:
    return f'{size / 2**20:.0f} MiB'


def _size(size: float) -> str:
    return f'{size / 1e9:.{0 if size >= 1e10 else 1}f} GB' if size >= 1e9 else (
        f'{size / 1e6:.{0 if size >= 1e7 else 1}f} MB')


def _duration(time_s: float) -> str:
    """Return a time in words, rounded down."""
    for unit, unit_s in (('day', 86400), ('hour', 3600), ('minute', 60)):
        if time_s >= 2 * unit_s:
            return f'{int(time_s // unit_s)} {unit}s'
    return f'{int(time_s)} s'
