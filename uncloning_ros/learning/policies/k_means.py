# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Centres of points, found by k-means."""

import torch
from torch import Tensor

_ROUNDS = 25


def centres(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` centres (count, D) of points (N, D), found by k-means.

    The first centres are random points, each the likelier the farther it is from those before
    (k-means++; Arthur and Vassilvitskii 2007). A centre without points stays where it is.
    """
    found = points[torch.randint(len(points), (1,), generator=generator)]
    for _ in range(count - 1):
        apart = torch.cdist(points, found).amin(1).square()
        place = torch.multinomial(apart + 1e-12, 1, generator=generator)
        found = torch.cat([found, points[place]])
    for _ in range(_ROUNDS):
        nearest = torch.cdist(points, found).argmin(1)
        sums = torch.zeros_like(found).index_add_(0, nearest, points)
        counts = nearest.bincount(minlength=count)[:, None]
        found = torch.where(counts > 0, sums / counts.clamp(min=1), found)
    return found
