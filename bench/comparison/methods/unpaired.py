# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unlearning and preference learning from labels alone, without pairs, beside the cloning loss.

With r, the log of how much likelier a chunk is than it was for the policy before the edit,

    npo   (2 / beta) * softplus(beta * r)                on removed chunks
    kto   1 - sigmoid(beta * (r - z)), and with z - r    on kept, and on removed chunks

npo is negative preference optimisation (Zhang et al. 2024, arXiv 2404.05868), a bounded gradient
ascent. kto is Kahneman-Tversky optimisation as Diffusion-KTO has it (Li et al. 2024, arXiv
2404.04465); z is the mean of r over the batch, at least 0, without a gradient. RKO (arXiv
2602.09583) joins kto with a regulariser of its own; here it is the cloning loss that all edits
have. A flow has no cheap likelihood: its loss, summed over the numbers of a chunk, replaces
-log p, with the same noise for both policies.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from comparison.methods.contrastive import begun
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows


@dataclass(frozen=True)
class Options:
    """Options of a loss without pairs; `weight` is its weight beside the cloning loss."""

    loss: Literal['npo', 'kto']
    beta: float
    weight: float
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int


def edit(run: Run, dataset: Dataset, remove: tuple[str, ...], options: Options) -> Policy:
    """Return the policy of a run after an edit by a loss without pairs."""
    kept, removed, optimiser = begun(run, dataset, remove, options)
    policy = optimiser.policy
    # The random streams of the edit: its retain loss sees the same windows and noise.
    retain_stream = torch.Generator().manual_seed(options.seed + 1)
    stream = torch.Generator().manual_seed(options.seed + 2)

    def likelier(windows: Windows) -> Tensor:
        picks = torch.randint(len(windows), (options.batch_size,), generator=stream)
        same = stream.get_state()  # both policies have the same noise
        with torch.no_grad():
            before = run.policy.losses(windows, picks, stream)
        stream.set_state(same)
        return windows.clean.shape[1] * (before - policy.losses(windows, picks, stream))

    for _ in range(options.steps):
        picks = torch.randint(len(kept), (options.batch_size,), generator=retain_stream)
        retain = policy.losses(kept, picks, retain_stream).mean()
        loss = (npo(likelier(removed), options.beta) if options.loss == 'npo' else
                kto(likelier(kept), likelier(removed), options.beta))
        optimiser.update(retain + options.weight * loss)
    return optimiser.average.eval().requires_grad_(False)


def npo(removed: Tensor, beta: float) -> Tensor:
    """Return the loss of log ratios (B,) of removed chunks."""
    return 2.0 / beta * nn.functional.softplus(beta * removed).mean()


def kto(kept: Tensor, removed: Tensor, beta: float) -> Tensor:
    """Return the loss of log ratios (B,) of kept and of removed chunks."""
    middle = torch.cat([kept, removed]).mean().detach().clamp(min=0.0)
    return (2.0 - torch.sigmoid(beta * (kept - middle)).mean()
            - torch.sigmoid(beta * (middle - removed)).mean())
