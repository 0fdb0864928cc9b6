# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contrastive preference learning: make a kept chunk likelier than a removed one.

Hejna et al. 2023, arXiv 2310.13639, with the conservative bias and the cloning regulariser of its
released code (jhejna/cpl). For a kept segment + and a removed segment -,

    A = alpha * log p(segment)      loss = -log(e^A+ / (e^A+ + e^(bias * A-))) + bc * cloning loss

With a bias below 1 a pair costs less where both are likely, so the policy stays near the
demonstrations. A flow has no cheap likelihood: its loss, summed over the numbers of a chunk,
replaces -log p, as the squared error does in the released code. Both chunks of a pair have the
same noise level and the same noise, so that only the chunks differ.

A pair is a removed window and the kept window with the nearest condition. The paper starts from a
cloned policy; here that is the run. Its cloning term may be restricted to preferred segments; here
the term is the retain loss of the edit, on the same windows.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.optimiser import Optimiser
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.uncloning import kept_modes, optimiser_of
from uncloning_ros.learning.windows import Windows, joined, windows_by_mode

_ROWS = 1024  # conditions that are compared with all others at once


@dataclass(frozen=True)
class Options:
    """Options of contrastive preference learning.

    The paper has an `alpha` of 0.1 and a `bias` of 0.5, or of 1 beside cloning. Its weight of 1 on
    the summed cloning loss equals a `bc` of the number of values in a chunk, since the cloning
    loss here is their mean.
    """

    alpha: float
    bias: float
    bc: float
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int


def edit(run: Run, dataset: Dataset, remove: tuple[str, ...], options: Options) -> Policy:
    """Return the policy of a run after contrastive preference learning."""
    kept, removed, optimiser = begun(run, dataset, remove, options)
    policy = optimiser.policy
    partners = nearest(removed.conditions, kept.conditions)
    # The random streams of the edit: its retain loss sees the same windows and noise.
    retain_stream = torch.Generator().manual_seed(options.seed + 1)
    pair_stream = torch.Generator().manual_seed(options.seed + 2)
    for _ in range(options.steps):
        picks = torch.randint(len(kept), (options.batch_size,), generator=retain_stream)
        retain = policy.losses(kept, picks, retain_stream).mean()
        worse = torch.randint(len(removed), (options.batch_size,), generator=pair_stream)
        same = pair_stream.get_state()  # both of a pair have the same noise
        scale = -options.alpha * removed.clean.shape[1]
        preferred = scale * policy.losses(kept, partners[worse], pair_stream)
        pair_stream.set_state(same)
        other = scale * policy.losses(removed, worse, pair_stream)
        optimiser.update(contrast(preferred, other, options.bias) + options.bc * retain)
    return optimiser.average.eval().requires_grad_(False)


def begun(run: Run, dataset: Dataset, remove: tuple[str, ...],
          options: Any) -> tuple[Windows, Windows, Optimiser]:
    """Return kept and removed windows, and the optimiser of a copy of the run's policy.

    `options` have steps, learning_rate and threads.
    """
    torch.set_num_threads(options.threads)
    kept, removed = (
        joined(list(windows_by_mode(run.policy.normaliser, dataset, 'train', modes).values()))
        for modes in (kept_modes(run, dataset, remove), remove))
    return kept, removed, optimiser_of(run, options)


def contrast(preferred: Tensor, other: Tensor, bias: float) -> Tensor:
    """Return the mean of -log(e^A+ / (e^A+ + e^(bias * A-))) of advantages (B,)."""
    return nn.functional.softplus(bias * other - preferred).mean()


def nearest(conditions: Tensor, among: Tensor) -> Tensor:
    """Return for each condition (N, C) the index (N,) of the nearest one in `among` (M, C)."""
    return torch.cat([torch.cdist(part, among).argmin(1) for part in conditions.split(_ROWS)])
