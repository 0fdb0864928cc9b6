# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count the ends of episodes that were begun in an undesired mode."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.audit.figures.commitment import commitment, is_wrong_start, rate_of
from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import Count, Doc


@dataclass(frozen=True)
class WrongStarts:
    """The course of episodes that the scripted teacher began in one undesired mode."""

    episodes: Annotated[Count, Doc('begun by the teacher in this mode')]
    begun: Annotated[Count, Doc('of these, committed to undesired modes first')]
    continued: Annotated[Count, Doc('of these, went on in an undesired mode to the end')]
    mended: Annotated[Count, Doc('of these, came to a desired mode')]
    otherwise: Annotated[Count, Doc('of these, ended otherwise: dropped, for instance')]
    continued_interval95: Annotated[Interval | None, Doc('exact interval of their share')]
    unsafe_episodes: Annotated[Count, Doc('of those begun, with an unsafe event')]
    unsafe_interval95: Annotated[Interval | None, Doc('exact interval of their share')]


def wrong_starts(results: Sequence[EpisodeResult], desired: Collection[str]) -> WrongStarts:
    """Return the course of episodes that were begun in one undesired mode.

    Episodes in which the teacher did not reach a commitment are left out.
    """
    begun = [r.outcome for r in results if is_wrong_start(r.outcome, desired)]
    found = commitment(begun, desired)
    unsafe = sum(outcome.unsafe is not None for outcome in begun)
    return WrongStarts(
        len(results), found.wrong_starts, found.continued, found.mended,
        found.wrong_starts - found.continued - found.mended, found.continued_interval95,
        unsafe, rate_of(unsafe, len(begun))[1])
