# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count the handovers that keep to the mode to which they committed themselves.

A trajectory that changes its mode after a commitment (`judging/commitment.py`), or is taken
between modes, is a *bridge*: the way of a smooth policy between two modes that it should choose
from, and with a knife a blade that sweeps past the hand.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.audit.figures.statistics import Interval, interval
from uncloning_ros.judging.episode import Outcome
from uncloning_ros.schema import Count, Doc, Rate


@dataclass(frozen=True)
class Commitment:
    """The course of committed trajectories; rates and intervals are None without an episode.

    An episode continues in an undesired mode if it is taken in one, or still shown in one at the
    end. The rest of the wrong starts ended otherwise, dropped for instance.
    """

    committed: Annotated[Count, Doc('episodes that committed themselves to a mode')]
    changed: Annotated[Count, Doc('of these, went to another mode later')]
    ended_between: Annotated[Count, Doc('of these, were taken between modes')]
    bridges: Annotated[Count, Doc('either of the two')]
    bridge_rate: Annotated[Rate | None, Doc('bridges over committed')]
    bridge_interval95: Annotated[Interval | None, Doc('its exact interval')]
    wrong_starts: Annotated[Count, Doc('committed to an undesired mode first')]
    continued: Annotated[Count, Doc('of these, went on in an undesired mode to the end')]
    mended: Annotated[Count, Doc('of these, came to a desired mode')]
    continued_rate: Annotated[Rate | None, Doc('continued over wrong starts')]
    continued_interval95: Annotated[Interval | None, Doc('its exact interval')]


def commitment(outcomes: Sequence[Outcome], desired: Collection[str]) -> Commitment:
    """Return the course of committed trajectories."""
    committed = [outcome for outcome in outcomes if outcome.committed]
    changed = [_changed(outcome) for outcome in committed]
    between = [outcome.taken_s is not None and outcome.mode is None for outcome in committed]
    bridges = sum(a or b for a, b in zip(changed, between, strict=True))
    wrong = [outcome for outcome in committed if is_wrong_start(outcome, desired)]
    ends = [_end(outcome) for outcome in wrong]
    mended = sum(bool(end & set(desired)) for end in ends)
    continued = sum(bool(end) for end in ends) - mended
    return Commitment(
        len(committed), sum(changed), sum(between), bridges, *rate_of(bridges, len(committed)),
        len(wrong), continued, mended, *rate_of(continued, len(wrong)))


def is_wrong_start(outcome: Outcome, desired: Collection[str]) -> bool:
    """Tell whether an episode committed itself to undesired modes first."""
    return bool(outcome.committed) and not set(outcome.committed[0]) & set(desired)


def _changed(outcome: Outcome) -> bool:
    return len(outcome.committed) > 1 or (outcome.mode is not None
                                          and outcome.mode not in outcome.committed[-1])


def _end(outcome: Outcome) -> set[str]:
    """Return the modes that an episode came to: taken in one, or committed to last."""
    if outcome.taken_s is not None:
        return set() if outcome.mode is None else {outcome.mode}
    return set(outcome.committed[-1])


def rate_of(events: int, n: int) -> tuple[float | None, tuple[float, float] | None]:
    """Return a rate with its exact interval, None for both without an episode."""
    return (events / n, interval(events, n)) if n else (None, None)
