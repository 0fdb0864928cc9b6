# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count the completed handovers in which a policy did what its first plan had said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.audit.figures.commitment import rate_of
from uncloning_ros.audit.figures.measured import Measured, measured
from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import Count, Doc, Rate


@dataclass(frozen=True)
class SaidAndDone:
    """The intents of a policy against its episodes."""

    said: Annotated[Mapping[str, Count], Doc('mode that the first plan said, in all episodes')]
    completed: Annotated[Count, Doc('completed episodes')]
    agreed: Annotated[Count, Doc('of these, in the mode that the first plan said')]
    agreement: Annotated[Rate | None, Doc('agreed over completed')]
    agreement_interval95: Annotated[Interval | None, Doc('its exact interval')]
    unread: Annotated[Count, Doc('of completed, not readable before the grasp')]
    grasp_apart_m: Annotated[Measured | None, Doc('grasp of the first plan from the done one')]
    read_s: Annotated[Measured | None, Doc(
        'time before the grasp since which each plan said the done mode, in completed episodes')]

    @property
    def words(self) -> str:
        """Return the figures in words."""
        text = f'{self.agreed} of {self.completed} completed episodes in the mode that was said'
        if self.agreement_interval95 is not None:
            low, high = self.agreement_interval95
            text += f' ({100 * low:.1f} to {100 * high:.1f} %)'
        if apart := self.grasp_apart_m:
            text += (f'; grasp {100 * apart.median:.1f} cm (median), {100 * apart.most:.1f} cm '
                     f'(most) from where it was said')
        if read := self.read_s:
            text += (f'; mode readable {read.median:.2f} s (median), {read.least:.2f} s (least) '
                     f'before the grasp')
        return text + (f', in {self.unread} not at all' if self.unread else '')


def said_and_done(results: Sequence[EpisodeResult], modes: Sequence[str]) -> SaidAndDone | None:
    """Return the intents against the episodes; None for a policy that says none."""
    pairs = [(one.said, one.outcome) for one in results if one.said is not None]
    if not pairs:
        return None
    said = Counter(one.mode for one, _ in pairs)
    done = [(one, outcome) for one, outcome in pairs if outcome.completed]
    agreed = sum(one.mode == outcome.mode for one, outcome in done)
    read = [one.read_s for one, _ in done]
    return SaidAndDone(
        {mode: said[mode] for mode in dict.fromkeys((*modes, *sorted(said)))},
        len(done), agreed, *rate_of(agreed, len(done)), read.count(None),
        measured(one.grasp_apart_m for one, _ in pairs), measured(read))
