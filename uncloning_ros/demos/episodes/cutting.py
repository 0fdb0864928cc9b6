# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut a bag that holds several demonstrations: find where one ends and the next begins.

    event     by a topic. std_msgs/msg/Bool: true begins an episode, false ends it.
              std_msgs/msg/String: the words start, stop and discard, or JSON with one of them as
              its "event", as this package's recorder publishes it
    gripper   by each time that the gripper was open, closed, and opened again
    idle      by each time that the tool stood still for a given time

All times are receive times of the bag in ns.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import EpisodeEnd
from uncloning_ros.demos.bags.labels import Label, iso_time
from uncloning_ros.demos.bags.pieces import PAUSE_NS, Cut, Piece, Remainder
from uncloning_ros.demos.episodes.reading import LEAST_IDLE_S
from uncloning_ros.demos.episodes.tracks import Times
from uncloning_ros.errors import BagError, DatasetError, shown
from uncloning_ros.geometry import Array, rotation_angle_between, rotation_of

EVENT_TYPES = ('std_msgs/msg/Bool', 'std_msgs/msg/String')
WORDS = ('start', 'stop', 'discard')

# Time (ns) across the threshold: a gripper that crosses it for less jittered, it did not move.
_JITTER_NS = 200_000_000
# Time (ns) from the opening to the end of an episode whose tool was never seen to leave.
_RETREAT_NS = 2_000_000_000
# Motion (m, rad) of a tool that stands still: a hand on the teaching device trembles.
_STILL_M = 0.005
_STILL_RAD = 0.035
_LOOK_NS = 50_000_000  # step (ns) at which stillness is looked for
# Time (ns) of stillness that stays with the motion beside it: motion begins and ends slowly.
_MARGIN_NS = round(LEAST_IDLE_S / 2 * 1e9)


@dataclass(frozen=True)
class Mark:
    """One message of an event topic: one of `WORDS` or 'label', with mode and episode.

    `mode` is the planned one, of a label the one that a person saw, in the span from `from_s` to
    `to_s`; `episode` is the recorder's number.
    """

    receive_ns: int
    word: str
    mode: str | None = None
    episode: int | None = None
    from_s: float | None = None
    to_s: float | None = None


def read_mark(receive_ns: int, message: Any) -> Mark:
    """Read a std_msgs Bool or String as a mark; its word need not be one of `WORDS`.

    Raise `BagError` for a label whose span is not in numbers.
    """
    if isinstance(message.data, bool):
        return Mark(receive_ns, 'start' if message.data else 'stop')
    text = str(message.data).strip()
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = text
    if not isinstance(event, dict):
        return Mark(receive_ns, text.lower())
    word, mode, number = event.get('event'), event.get('mode'), event.get('episode')
    # The recorder's words for a disk that gave up, and for what was finished after a crash.
    word = {'fail': 'discard', 'recovered': 'stop'}.get(str(word), str(word))
    return Mark(receive_ns, word, mode if isinstance(mode, str) and mode else None,
                number if isinstance(number, int) else None,
                *(_seconds(event, key) if word == 'label' else None for key in ('from_s', 'to_s')))


def _seconds(event: Mapping[str, Any], key: str) -> float | None:
    """Return one end of a label's span, None without one."""
    value = event.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    raise BagError(f'expected {key} of a label in seconds, got {shown(value)}; write a number, or '
                   f'leave it out')


def cut_by_events(marks: Sequence[Mark], first_ns: int, last_ns: int) -> Cut:
    """Cut a bag at its marks, in the order of their times; other words are ignored.

    A stop keeps the episode that was started last; a discard, or a second start, drops it. A
    discard right after a stop, or with the number of the episode that was kept last, drops that
    one. A label belongs to the open episode, or to the one that was kept last. Raise
    `DatasetError` if no mark is a start, `BagError` for a label with an impossible span.
    """
    if not any(mark.word == 'start' for mark in marks):
        heard = sorted({mark.word for mark in marks})[:10]
        raise DatasetError(f'expected a start as true or {WORDS[0]!r}, got '
                           f'{", ".join(map(repr, heard)) or "no message"}')
    events = _EventCut()
    for mark in sorted(marks, key=lambda one: one.receive_ns):
        events.hear(mark)
    events.drop(last_ns, 'never stopped')
    return _covering(events.kept, events.others, first_ns, last_ns,
                     'outside of every start and stop')


class _EventCut:
    """Keep and drop episodes, mark by mark."""

    def __init__(self) -> None:
        self.kept: list[Piece] = []
        self.others: list[Remainder] = []
        self._numbers: list[int | None] = []  # the recorder's, of the kept episodes
        self._open: Mark | None = None
        self._labels: tuple[Label, ...] = ()
        self._stopped = False  # the last word was a stop

    def hear(self, mark: Mark) -> None:
        if mark.word == 'label':
            self._label(mark)
        elif mark.word == 'start':
            self.drop(mark.receive_ns, 'started again without a stop')
            self._open, self._labels = mark, ()
        elif mark.word == 'stop' and self._open is not None:
            self.kept.append(Piece(len(self.kept) + 1, self._open.receive_ns, mark.receive_ns,
                                   self._open.mode, self._labels))
            self._numbers.append(self._open.episode)
            self._open = None
        elif mark.word == 'discard' and self._open is not None:
            self.drop(mark.receive_ns, 'discarded')
        elif mark.word == 'discard' and self.kept and (
                self._stopped or mark.episode in {*self._numbers[-1:]} - {None}):
            self._numbers.pop()
            self.others.append(Remainder(*self.kept.pop().span_ns, 'discarded'))
        if mark.word in WORDS:
            self._stopped = mark.word == 'stop'

    def drop(self, end_ns: int, reason: str) -> None:
        if self._open is not None:
            self.others.append(Remainder(self._open.receive_ns, end_ns, reason))
            self._open = None

    def _label(self, mark: Mark) -> None:
        if mark.mode is None:
            return
        one = Label(mark.mode, 'operator', 1.0, iso_time(mark.receive_ns), 'an event in the bag',
                    from_s=mark.from_s, to_s=mark.to_s)
        if self._open is not None:
            self._labels += (one,)
        elif self.kept and mark.episode in (None, self._numbers[-1]):
            self.kept[-1] = replace(self.kept[-1], labels=(*self.kept[-1].labels, one))


def cut_by_gripper(width_ns: Times, width_m: Array, apart_ns: Times, apart_m: Array,
                   command_ns: Times, end: EpisodeEnd, first_ns: int, last_ns: int) -> Cut:
    """Cut a bag into handovers by the measured width: open, closed, and opened again.

    `apart_m` (M,) is the distance from the object to the tool centre point at the times
    `apart_ns`; empty where it is not measured. `command_ns` are the times of all commands. A
    handover ends as the running policy's does: once the gripper is open `end.open_width_m` and
    the object `end.object_distance_m` away, or 2 s after it opened. It begins where the one
    before it ended, but not before the last pause of the commands, and lasts
    `end.max_episode_s` at most.
    """
    runs = _runs(width_ns, width_m < end.open_width_m)
    pieces: list[Piece] = []
    ended_ns = first_ns
    for i in range(1, len(runs) - 1):
        closed_ns, closed = runs[i]
        if not closed:
            continue
        opened_ns = runs[i + 1][0]
        latest_ns = min(opened_ns + _RETREAT_NS, last_ns,
                        runs[i + 2][0] if i + 2 < len(runs) else last_ns)
        away = apart_ns[(apart_ns >= opened_ns) & (apart_ns <= latest_ns)
                        & (apart_m >= end.object_distance_m)]
        end_ns = int(away[0]) if len(away) else latest_ns
        begin_ns = max(ended_ns, end_ns - round(end.max_episode_s * 1e9))
        begin_ns = max(begin_ns, _last_pause_ns(command_ns, begin_ns, closed_ns))
        pieces.append(Piece(len(pieces) + 1, begin_ns, end_ns))
        ended_ns = end_ns
    reason = ('outside of the handovers' if pieces
              else 'the gripper was never open, closed and opened again')
    return _covering(pieces, [], first_ns, last_ns, reason)


def cut_by_idle(times_ns: Times, poses: Array, idle_s: float, first_ns: int, last_ns: int) -> Cut:
    """Cut a bag wherever the tool stands still for `idle_s` or longer.

    `poses` (N, 9) are those of the tool at the times `times_ns` (N,), or joint positions (N, J)
    in rad. Half a second of the stillness stays with the motion on either side.
    """
    looks_ns = np.arange(int(times_ns[0]), int(times_ns[-1]) + 1, _LOOK_NS, dtype=np.int64)
    seen = poses[np.searchsorted(times_ns, looks_ns, side='right') - 1]
    length = max(1, round(idle_s * 1e9 / _LOOK_NS))
    still_ns = [(int(looks_ns[begin]) + _MARGIN_NS, int(looks_ns[end]) - _MARGIN_NS)
                for begin, end in _still(seen, length)]
    begins_ns = [first_ns, *(end_ns for _, end_ns in still_ns)]
    ends_ns = [*(begin_ns for begin_ns, _ in still_ns), last_ns]
    spans = [(begin_ns, end_ns) for begin_ns, end_ns in zip(begins_ns, ends_ns, strict=True)
             if end_ns - begin_ns > 2 * _MARGIN_NS]
    pieces = [Piece(i, *span) for i, span in enumerate(spans, start=1)]
    return _covering(pieces, [], first_ns, last_ns, f'the tool stood still for {idle_s:g} s')


def _runs(times_ns: Times, flags: NDArray[np.bool_]) -> list[tuple[int, bool]]:
    """Return when a flag took which value, from the first; jitter is left out."""
    changes = np.concatenate(([0], np.flatnonzero(np.diff(flags)) + 1))
    begins_ns = [int(times_ns[i]) for i in changes]
    ends_ns = [*begins_ns[1:], int(times_ns[-1])]
    runs: list[tuple[int, bool]] = []
    for i, begin_ns, end_ns in zip(changes, begins_ns, ends_ns, strict=True):
        flag = bool(flags[i])
        if runs and (runs[-1][1] == flag or end_ns - begin_ns < _JITTER_NS):
            continue
        runs.append((begin_ns, flag))
    return runs


def _last_pause_ns(times_ns: Times, begin_ns: int, end_ns: int) -> int:
    """Return the end of the last pause of the commands within a span, its beginning if none."""
    within = np.concatenate(([begin_ns], times_ns[(times_ns >= begin_ns) & (times_ns <= end_ns)]))
    pauses = np.flatnonzero(np.diff(within) > PAUSE_NS)
    # The measurements that the first command answers came before it.
    return int(within[pauses[-1] + 1]) - PAUSE_NS if len(pauses) else begin_ns


def _still(poses: Array, length: int) -> list[tuple[int, int]]:
    """Return first and last index of each longest run of at least `length` steps in one place."""
    found: list[tuple[int, int]] = []
    begin = 0
    while begin + length < len(poses):
        ahead = poses[begin:begin + length + 1]
        if _moved(ahead, poses[begin]).any():
            begin += 1
            continue
        end = begin + length
        while end + 1 < len(poses):
            gone = _moved(poses[end + 1:end + 1 + length], poses[begin])
            end += int(np.argmax(gone)) if gone.any() else len(gone)
            if gone.any():
                break
        # A slow drift is stillness too: stretches that touch are one.
        if found and begin <= found[-1][1] + 1:
            begin = found.pop()[0]
        found.append((begin, end))
        begin = end + 1
    return found


def _moved(poses: Array, place: Array) -> NDArray[np.bool_]:
    """Tell which poses (N, 9), or joint positions (N, J), are no longer at `place`."""
    if place.shape != (9,):
        return np.asarray(np.abs(poses - place).max(axis=1) > _STILL_RAD)
    far = np.linalg.norm(poses[:, :3] - place[:3], axis=1) > _STILL_M
    turned = rotation_angle_between(rotation_of(poses), rotation_of(place)) > _STILL_RAD
    return np.asarray(far | turned)


def _covering(pieces: Sequence[Piece], others: Sequence[Remainder], first_ns: int, last_ns: int,
              reason: str) -> Cut:
    """Return a cut of all of a bag; stretches that are in no list remain for `reason`."""
    named = sorted([*((one.begin_ns, one.end_ns) for one in pieces),
                    *((one.begin_ns, one.end_ns) for one in others)])
    remainders = list(others)
    at_ns = first_ns
    for begin_ns, end_ns in (*named, (last_ns, last_ns)):
        if begin_ns > at_ns:
            remainders.append(Remainder(at_ns, begin_ns, reason))
        at_ns = max(at_ns, end_ns)
    return Cut(tuple(pieces), tuple(sorted(remainders, key=lambda one: one.begin_ns)))
