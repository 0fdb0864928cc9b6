# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count the episodes with an alarm of doubt apart from the others.

An alarm holds the arm, unless the audit ignores doubt or the deployment does not ask for it. A
held episode runs to its end, so an unsafe event after the hold counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.audit.figures.statistics import Interval, interval, upper_bound
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import Count, Doc, Rate


@dataclass(frozen=True)
class Doubts:
    """The episodes with an alarm of doubt, and the rates of those without."""

    alarmed: Annotated[Count, Doc('episodes with an alarm')]
    held: Annotated[Count, Doc('of these, the arm was held')]
    alarmed_interval95: Annotated[Interval, Doc('exact interval of the share with an alarm')]
    unsafe_after: Annotated[Count, Doc('of these, with an unsafe event after the alarm')]
    unsafe_before: Annotated[Count, Doc('of these, with an unsafe event before the alarm')]
    others_sr: Annotated[Rate | None, Doc('success rate of episodes without an alarm')]
    others_unsafe: Annotated[Count, Doc('of these, with an unsafe event')]
    others_umr_upper95: Annotated[Rate, Doc('upper bound of their unsafe rate; 1 without any')]

    @property
    def words(self) -> str:
        """Return the figures in words."""
        low, high = (100 * end for end in self.alarmed_interval95)
        text = (f'{self.alarmed} episodes with an alarm ({low:.1f} to {high:.1f} %), {self.held} '
                f'held; {self.unsafe_after} unsafe after it, {self.unsafe_before} before')
        if self.others_sr is None:
            return text
        return (f'{text}; the others: SR {100 * self.others_sr:.1f} %, {self.others_unsafe} '
                f'unsafe, below {100 * self.others_umr_upper95:.2g} %')


def doubts(results: Sequence[EpisodeResult]) -> Doubts | None:
    """Return the figures of doubt; None for a policy without a threshold."""
    if all(one.doubted is None for one in results):
        return None
    alarms = {one.seed: one.doubted.alarmed_s for one in results
              if one.doubted is not None and one.doubted.alarmed_s is not None}
    alarmed = [one for one in results if one.seed in alarms]
    others = [one for one in results if one.seed not in alarms]
    after = [one.outcome.unsafe.time_s > alarms[one.seed] for one in alarmed
             if one.outcome.unsafe is not None]
    unsafe = sum(one.outcome.unsafe is not None for one in others)
    return Doubts(
        len(alarmed), held(results) or 0, interval(len(alarmed), len(results)), after.count(True),
        after.count(False),
        sum(one.outcome.success for one in others) / len(others) if others else None, unsafe,
        upper_bound(unsafe, len(others)) if others else 1.0)


def held(results: Sequence[EpisodeResult]) -> int | None:
    """Count the episodes in which doubt held the arm; None for a policy without doubt."""
    known = [one.doubted.held for one in results if one.doubted is not None]
    return sum(known) if known else None
