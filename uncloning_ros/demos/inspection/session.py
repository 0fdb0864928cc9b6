# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sum up a session of episodes: its record for other programs, and its warnings."""

import datetime
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uncloning_ros import __version__
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.labels import Label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.dataset.building import FEW_EPISODES
from uncloning_ros.demos.inspection.facts import EpisodeFacts, Stream, signals_of
from uncloning_ros.demos.recording.topic_stats import SLOW
from uncloning_ros.errors import counted

SCHEMA = 'uncloning/inspection@2'

_SCARCE = 0.1  # share of the labelled episodes: a mode with less is hardly seen in training
_LEAST_FOR_SIDES = 10  # episodes of a mode: from here on both sides of the arm have to occur
_ONE_SIDED = 0.1  # share of a mode's episodes that each side of the arm needs
_UNSURE = 0.7  # confidence: a label with less is worth a look
_NAMED = 5  # episodes that a warning names


@dataclass(frozen=True)
class Session:
    """The episodes of a folder; `unfinished` are names of open recordings."""

    name: str
    contract: Contract
    episodes: tuple[EpisodeFacts, ...]
    unreadable: tuple[LeftOut, ...]
    unfinished: tuple[str, ...]

    @property
    def modes(self) -> tuple[str | None, ...]:
        """Return the modes of the contract, then None for the episodes without a label."""
        return (*self.contract.interface.modes, None)

    def of_mode(self, mode: str | None) -> tuple[EpisodeFacts, ...]:
        """Return the episodes that are labelled so; None: those without a label."""
        return tuple(one for one in self.episodes if one.mode == mode)


@dataclass(frozen=True)
class StreamFigures:
    """How one observation or action arrived in all episodes of a session.

    `worst` is the stream with the longest gap, in the episode `worst_name`; in `over` episodes a
    gap is longer than allowed.
    """

    key: str
    topic: str
    least_hz: float
    median_hz: float
    worst: Stream
    worst_name: str
    over: int


def stream_figures(session: Session) -> list[StreamFigures]:
    """Return the figures of every stream; none without episodes."""
    found = []
    for signal, topic in signals_of(session.contract) if session.episodes else ():
        streams = {one.name: one.streams[signal.key] for one in session.episodes}
        rates_hz = [one.rate_hz for one in streams.values()]
        name, worst = max(streams.items(), key=lambda item: item[1].longest_gap_s)
        found.append(StreamFigures(
            signal.key, topic, min(rates_hz), statistics.median(rates_hz), worst, name,
            sum(one.longest_gap_s > one.allowed_s for one in streams.values())))
    return found


def disagreements(session: Session) -> list[tuple[str, str, Label]]:
    """Return (episode, opinion, its label) for every opinion that differs from the label.

    Opinions are the planned mode and the newest label of each other source.
    """
    found = []
    for one in session.episodes:
        label = one.label
        if label is None:
            continue
        opinions = {'planned': one.planned_mode} | one.opinions
        found += [(one.name, f'{source} {mode}', label) for source, mode in opinions.items()
                  if mode is not None and mode != label.mode]
    return found


def doubtful(one: EpisodeFacts) -> list[str]:
    """Return why a person should look at one episode, whatever the others are like."""
    found = []
    if one.label is not None and one.label.confidence < _UNSURE:
        found.append(f'its label is {one.label.confidence:.0%} sure')
    if one.left_out:
        found.append(f'a dataset leaves it out: {one.left_out}')
    return found + list(one.findings or ())


def warnings_of(session: Session) -> list[str]:
    """Return the warnings for the person who uses these episodes, a sentence each."""
    found = []
    if session.unfinished:
        found.append(f'{_some(session.unfinished)} never finished; uncloning recover finishes '
                     f'what can be saved')
    found += [f'{one.name} cannot be read: {one.reason}' for one in session.unreadable[:_NAMED]]
    if len(session.unreadable) > _NAMED:
        found.append(f'{counted(len(session.unreadable) - _NAMED, "more episode")} cannot be read')
    found += _of_labels(session) + _of_balance(session) + _of_sides(session)
    return found + _of_streams(session)


def record_of(session: Session, warnings: Sequence[str]) -> dict[str, Any]:
    """Return the inspection as plain data, for other programs."""
    contract = session.contract
    return {
        'schema': SCHEMA,
        'software_version': __version__,
        'session': session.name,
        'interface_sha256': contract.interface.sha256,
        'contract_sha256': contract.sha256,
        'modes': {mode: {'desired': desired, 'episodes': len(session.of_mode(mode))}
                  for mode, desired in contract.interface.modes.items()},
        'unlabelled': [one.name for one in session.of_mode(None)],
        'unfinished': list(session.unfinished),
        'unreadable': [vars(one) for one in session.unreadable],
        'warnings': list(warnings),
        'episodes': [_as_data(one) for one in session.episodes],
    }


def _as_data(one: EpisodeFacts) -> dict[str, Any]:
    begin = datetime.datetime.fromtimestamp(one.begin_ns // 10**9, datetime.UTC)
    return {
        'name': one.name, 'session': one.session, 'operator': one.operator,
        'begin': begin.isoformat(), 'length_s': round(one.length_s, 3),
        'planned_mode': one.planned_mode, 'mode': one.mode,
        'label': None if one.label is None else vars(one.label), 'opinions': one.opinions,
        **({} if one.correction_s is None else {'correction_s': list(one.correction_s)}),
        'left_out': one.left_out or None,
        'findings': None if one.findings is None else list(one.findings),
        'hand_m': None if one.scene is None else [round(float(v), 4) for v in one.scene.hand],
        'streams': {key: {name: round(value, 3) for name, value in vars(stream).items()}
                    for key, stream in one.streams.items()},
    }


def _of_labels(session: Session) -> list[str]:
    found = []
    bare = [one.name for one in session.of_mode(None)]
    if bare:
        found.append(f'{_some(bare)} without a label; see uncloning label --help')
    differ = disagreements(session)
    if differ:
        first = '; '.join(f'{name}: {opinion}, labelled {label.mode} by {label.source}'
                          for name, opinion, label in differ[:_NAMED])
        more = f' and {len(differ) - _NAMED} more' if len(differ) > _NAMED else ''
        found.append(f'opinions differ: {first}{more}')
    unsure = [one.name for one in session.episodes
              if one.label is not None and one.label.confidence < _UNSURE]
    if unsure:
        found.append(f'{_some(unsure)} with a label that is less than {100 * _UNSURE:g} % sure')
    return found


def _of_balance(session: Session) -> list[str]:
    found = []
    counts = {mode: len(session.of_mode(mode)) for mode in session.contract.interface.modes}
    total = sum(counts.values())
    for mode, desired in session.contract.interface.modes.items():
        few = counts[mode] < FEW_EPISODES
        there = counted(counts[mode], 'episode')
        if few and desired:
            found.append(f'{there} of the desired mode {mode}; with fewer than '
                         f'{FEW_EPISODES} there is too little to keep')
        elif few:
            found.append(f'{there} of mode {mode}; {FEW_EPISODES} or more show '
                         f'better what is to be removed')
        elif counts[mode] < _SCARCE * total:
            found.append(f'{counts[mode]} of {total} labelled episodes are {mode}, less than '
                         f'{100 * _SCARCE:g} %; record more of them')
    return found


def _of_sides(session: Session) -> list[str]:
    found = []
    for mode in session.contract.interface.modes:
        sides = Counter(one.scene.side for one in session.of_mode(mode) if one.scene is not None)
        total = sides.total()
        for side, other in (('left', 'right'), ('right', 'left')):
            if total >= _LEAST_FOR_SIDES and sides[side] < _ONE_SIDED * total:
                found.append(f'in {sides[other]} of {total} episodes of {mode} the hand was on '
                             f'the {other} of the arm; a policy learns that side, and may take '
                             f'it for a part of the mode')
    return found


def _of_streams(session: Session) -> list[str]:
    found = []
    gone = [one for one in session.episodes if one.left_out]
    if gone:
        found.append(f'{_some([one.name for one in gone])} that a dataset leaves out, the first '
                     f'because {gone[0].left_out}')
    for one in stream_figures(session):
        slow = [facts.name for facts in session.episodes
                if facts.streams[one.key].rate_hz < SLOW * one.median_hz]
        if slow:
            found.append(f'{_some(slow)} with {one.key} below {100 * SLOW:g} % of its usual '
                         f'{one.median_hz:.0f} Hz')
    odd = {one.name: one.findings[0] for one in session.episodes if one.findings}
    if odd:
        names = list(odd)
        found.append(f"{_some(names)} with findings in the recorder's verdict, the first because "
                     f'of {odd[names[0]]}')
    return found


def _some(names: Sequence[str]) -> str:
    """Return the number of episodes and the names of the first ones."""
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return f'{counted(len(names), "episode")} ({", ".join(names[:_NAMED])}{more})'
