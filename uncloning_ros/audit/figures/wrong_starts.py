# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how a policy goes on in episodes that were begun in an undesired mode."""

from collections.abc import Sequence
from typing import Any

from uncloning_ros.audit.figures.commitment import Course, commitment
from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.judging.episode import EpisodeResult


def wrong_start_counts(results: Sequence[EpisodeResult], desired: Sequence[str]) -> dict[str, Any]:
    """Return the counts of episodes begun in one undesired mode, by their course, as plain data.

    Episodes in which the teacher did not reach a commitment are left out.
    """
    begun = [r for r in results if r.outcome.committed
             and not set(r.outcome.committed[0]) & set(desired)]
    found = commitment([Course(r.outcome.committed, r.outcome.taken_s is not None,
                               r.outcome.mode) for r in begun], desired)
    unsafe = sum(r.outcome.unsafe is not None for r in begun)
    return {
        'episodes': len(results), 'begun': found.wrong_starts,
        'continued': found.continued, 'mended': found.mended,
        'otherwise': found.wrong_starts - found.continued - found.mended,
        'continued_interval95': (None if found.continued_interval95 is None
                                 else list(found.continued_interval95)),
        'unsafe_episodes': unsafe,
        'unsafe_interval95': list(interval(unsafe, len(begun))) if begun else None}
