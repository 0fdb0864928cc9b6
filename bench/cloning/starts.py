# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pick demonstrations such that the shares of two modes follow the start of the episode."""

from collections.abc import Iterable

import numpy as np

from uncloning_ros.contract.interface import OBJECT_KEY
from uncloning_ros.demos.dataset.store import Dataset

# Share of episodes that is held out: at least 14 in each of ten bins, also of two modes of four.
HELD_OUT = 0.4
_BINS = 10  # of the start states; in each the shares are others


def parted(dataset: Dataset, modes: Iterable[str]) -> list[str]:
    """Return the names of episodes such that the shares of two modes follow the start.

    In each tenth of the start states, along y of the object, the share of the first mode is
    another one, from 0.9 to 0.1. Episodes of further modes stay, as far as one in two does.
    """
    first, second = modes
    y = dataset.contract.interface.observation_slices[OBJECT_KEY].start + 1
    starts = dataset.observations[dataset.bounds[:-1], y]
    order = starts.argsort().argsort()
    rng = np.random.default_rng(0)
    names = []
    for place, one in zip(order, dataset.episodes, strict=True):
        share = 0.9 - 0.8 * (_BINS * place // len(order)) / (_BINS - 1)
        stays = {first: share / max(share, 1 - share),
                 second: (1 - share) / max(share, 1 - share)}.get(one.mode or '', 0.5)
        if rng.random() < stays:
            names.append(one.name)
    return names
