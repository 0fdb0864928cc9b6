# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the part of an episode that shows a person's actions, where a policy had the arm before.

The recorder marks a take-over in the bag with events: a person asked for the arm, commands it,
let the switch go, gave the arm back. Only the ticks of a correction at which the person commanded
are demonstrations; before them the policy commanded, and in a pause it held the arm.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.dataset.alignment import Aligned, align
from uncloning_ros.demos.recording.take_overs import COMMANDS, GIVEN_BACK, LET_GO, TAKEN
from uncloning_ros.errors import DatasetError

Spans = tuple[tuple[int, int], ...]


def align_taught(episode: Episode, contract: Contract) -> tuple[Aligned, Spans]:
    """Return the frames of an episode that a person commanded, and when, in ns.

    Without a take-over those are all frames, and no spans. Raise `DatasetError` as `align` does,
    for several take-overs in one episode, and for one without a command of the person.
    """
    spans = corrected_spans(episode)
    if not spans:
        return align(episode, contract), ()
    begin_ns, end_ns = spans[0][0], spans[-1][1]
    samples = dict(episode.samples)
    for signal in contract.interface.actions:
        samples[signal.key] = tuple(one for one in samples[signal.key]
                                    if begin_ns <= one.receive_ns <= end_ns)
        if not samples[signal.key]:
            raise DatasetError(f'a correction without a command: no {signal.key} arrived in '
                               f'{(end_ns - begin_ns) * 1e-9:.2f} s of take-over; command the '
                               f'arm on the topics of the contract, or take the episode out')
    frames = align(replace(episode, samples=samples), contract)
    # The command that answers a tick comes within a period of it.
    ends = frames.ticks_ns + contract.policy.period_ns
    his = np.any([(frames.ticks_ns >= first) & (ends <= last) for first, last in spans], axis=0)
    least = contract.policy.history + contract.policy.execute
    if his.sum() < least:
        raise DatasetError(f'expected a correction of at least {least} frames (history + '
                           f'execute), got {his.sum()}; command the arm for longer')
    return Aligned(frames.observations[his], frames.actions[his], frames.ticks_ns[his],
                   {key: pixels[his] for key, pixels in frames.pictures.items()}), spans


def corrected_spans(episode: Episode) -> Spans:
    """Return the times (ns) between which a person commanded, none without a take-over.

    Raise `DatasetError` for several take-overs in one episode, and for one in which the person
    never pressed the switch.
    """
    events = [(time_ns, str(event.get('event'))) for time_ns, event in episode.events]
    taken = sum(kind == TAKEN for _, kind in events)
    if taken == 0:
        return ()
    if taken > 1:
        raise DatasetError(f'expected one take-over in an episode, got {taken}; let the recorder '
                           f'begin an episode for each by itself')
    spans = tuple(_spans(events, episode.bounds_ns[1]))
    if not spans:
        raise DatasetError('a correction without a command: the person asked for the arm and '
                           'never pressed the switch; take the episode out')
    return spans


def seconds_of(spans: Spans, episode: Episode) -> tuple[float, float] | None:
    """Return begin and end of a correction in s since the episode began, None without one."""
    if not spans:
        return None
    begin_ns = episode.bounds_ns[0]
    return (round((spans[0][0] - begin_ns) * 1e-9, 3), round((spans[-1][1] - begin_ns) * 1e-9, 3))


def _spans(events: Sequence[tuple[int, str]], end_ns: int) -> list[tuple[int, int]]:
    spans, since_ns = [], None
    for time_ns, kind in (*events, (end_ns, LET_GO)):
        if kind == COMMANDS and since_ns is None:
            since_ns = time_ns
        elif kind in (LET_GO, GIVEN_BACK) and since_ns is not None:
            spans.append((since_ns, max(time_ns, since_ns)))
            since_ns = None
    return spans
