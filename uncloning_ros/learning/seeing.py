# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a dataset as a policy sees them: a few at a time, for they may exceed the memory."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.learning.options import PictureOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.progress import progress_bar

_AT_ONCE = 64  # frames whose pictures are in memory; of 256 each takes a third longer
_GREY = 64.0  # grey levels by which a picture becomes lighter or darker at most


@torch.no_grad()
def features_of(policy: Policy, dataset: Dataset, frames: Frames) -> Tensor | None:
    """Return the features (N, F) of the pictures of frames (N,); None without cameras."""
    if not policy.cameras:
        return None
    found = []
    with progress_bar('looking', len(frames), 'frame', delay_s=2.0) as bar:
        for part in np.array_split(frames, max(1, -(-len(frames) // _AT_ONCE))):
            found.append(policy.features(pictures_of(policy.cameras, dataset, part)))
            bar.update(len(part))
    return torch.cat(found)


def pictures_of(cameras: Sequence[str], dataset: Dataset, frames: Frames) -> list[Tensor]:
    """Return the pictures of each camera in frames (B,): uint8 (B, height, width, channels)."""
    return [torch.from_numpy(np.asarray(dataset.pictures[key][frames])) for key in cameras]


def varied(pictures: Tensor, options: PictureOptions, generator: torch.Generator) -> Tensor:
    """Return pictures (B, height, width, channels) moved and lit at random, as grey levels.

    Each is moved by up to `shift_px` along both axes, its edge repeated, its contrast changed by
    up to the share `light`, and its brightness by that share of 64 grey levels.
    """
    count, height, width, _ = pictures.shape
    by = torch.randint(-options.shift_px, options.shift_px + 1, (2, count, 1),
                       generator=generator)
    rows = (torch.arange(height) + by[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + by[1]).clamp(0, width - 1)
    # One by one and in place: a third of the time.
    moved = torch.stack([one.index_select(0, y).index_select(1, x)
                         for one, y, x in zip(pictures, rows, columns, strict=True)]).float()
    gain, offset = options.light * (2 * torch.rand(2, count, 1, 1, 1, generator=generator) - 1)
    return moved.mul_(1 + gain).add_(_GREY * offset).clamp_(0, 255)
