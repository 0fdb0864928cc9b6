# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the windows of an episode that belong to its mode: those in the span of its label."""

import numpy as np

from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.labels import Label
from uncloning_ros.demos.dataset.corrections import align_taught
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.episodes.tracks import Times
from uncloning_ros.errors import DatasetError


def frames_in_span(label: Label, episode: Episode, ticks_ns: Times) -> tuple[int, int] | None:
    """Return the frames, first and end, whose windows are in a label's span; None without one.

    `ticks_ns` (T,) are those of the aligned episode. Raise `DatasetError` for a span that goes
    past the end of the episode, or that covers no window.
    """
    if not label.has_span:
        return None
    begin_ns, end_ns = episode.bounds_ns
    from_ns, to_ns = (limit_ns if at_s is None else begin_ns + round(at_s * 1e9)
                      for at_s, limit_ns in ((label.from_s, begin_ns), (label.to_s, end_ns)))
    if max(from_ns, to_ns) > end_ns:
        raise DatasetError(f'the span of its label, {label.span}, goes past the end of the '
                           f'episode at {(end_ns - begin_ns) // 10**6 / 1000} s; label it again '
                           f'with a span that ends by then')
    first = int(np.searchsorted(ticks_ns, from_ns))
    end = int(np.searchsorted(ticks_ns, to_ns, side='right'))
    if first >= end:
        at_s = [(int(tick_ns) - begin_ns) * 1e-9 for tick_ns in ticks_ns[[0, -1]]]
        raise DatasetError(f'the span of its label, {label.span}, covers no window of the '
                           f'episode, which has {len(ticks_ns)} from {at_s[0]:.3f} to '
                           f'{at_s[1]:.3f} s; label it again with a longer span')
    return first, end


def require_windows(ref: EpisodeRef, label: Label, reading: Reading) -> None:
    """Raise `DatasetError` unless a label's span covers windows of an episode.

    Raise as reading and aligning it do: an episode that a dataset leaves out has no window.
    """
    episode = ref.read(reading)
    try:
        frames_in_span(label, episode, align_taught(episode, episode.contract)[0].ticks_ns)
    except DatasetError as err:
        raise DatasetError(f'{ref.name}: {err}') from err
