# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tell the mode of a handover from a policy's condition and the clean chunk that it predicts.

Trained on the original policy's predictions and then frozen, it steers an edit and is thrown away
(Wang et al. 2026, Behavior Uncloning, arXiv 2606.29201).
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uncloning_ros.learning.cloning import Windows, joined, progress_bar
from uncloning_ros.learning.generative import mix
from uncloning_ros.learning.network import Policy

LEVEL_BINS = 10  # noise levels are reported in tenths

_WIDTH, _EPOCHS = 256, 20
_RATE, _DECAY = 3e-4, 1e-4


class ModeClassifier(nn.Module):
    """Tell the mode from a condition (B, C) and a flat normalised clean chunk (B, D)."""

    def __init__(self, condition_dim: int, chunk_dim: int, modes: int) -> None:
        super().__init__()
        width = _WIDTH
        sizes = (condition_dim + chunk_dim, width, width)
        layers = [nn.Sequential(nn.Linear(size, width), nn.LayerNorm(width), nn.SiLU())
                  for size in sizes]
        self.layers = nn.Sequential(*layers, nn.Linear(width, modes))

    def forward(self, condition: Tensor, clean: Tensor) -> Tensor:
        """Return logits (B, modes)."""
        logits: Tensor = self.layers(torch.cat([condition, clean], dim=1))
        return logits


def train_classifier(policy: Policy, data: Mapping[str, Windows],
                     held_out: Mapping[str, Windows],
                     seed: int) -> tuple[ModeClassifier, dict[str, Any]]:
    """Train the classifier on the original policy's predictions; return it frozen."""
    began_s = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    windows, labels = joined(list(data.values())), labels_of(data)
    features, _ = predictions(policy, windows, generator)
    torch.manual_seed(seed)  # the first weights
    classifier = ModeClassifier(windows.conditions.shape[1], windows.clean.shape[1], len(data))
    optimizer = torch.optim.AdamW(classifier.parameters(), _RATE,
                                  weight_decay=_DECAY, fused=True)
    batch = min(256, len(windows))
    batches = len(windows) // batch
    with progress_bar('mode classifier', _EPOCHS * batches) as bar:
        for _ in range(_EPOCHS):
            order = torch.randperm(len(windows), generator=generator)
            for picks in order[:batches * batch].view(batches, batch):
                loss = nn.functional.cross_entropy(
                    classifier(windows.conditions[picks], features[picks]), labels[picks])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                bar.update()
    classifier.eval().requires_grad_(False)
    seen: dict[str, Any] = {'modes': list(data), 'steps': _EPOCHS * batches}
    seen |= _accuracy(policy, classifier, held_out, generator)
    return classifier, seen | {'elapsed_s': time.monotonic() - began_s}


@torch.no_grad()
def _accuracy(policy: Policy, classifier: ModeClassifier, held_out: Mapping[str, Windows],
              generator: torch.Generator) -> dict[str, Any]:
    """Return the accuracy on held-out windows, in all and by noise level."""
    windows, labels = joined(list(held_out.values())), labels_of(held_out)
    if not len(windows):
        return {'accuracy': None, 'accuracy_by_level': [None] * LEVEL_BINS, 'windows': 0}
    clean, level = predictions(policy, windows, generator)
    right = (classifier(windows.conditions, clean).argmax(1) == labels).float()
    return {'accuracy': float(right.mean()), 'accuracy_by_level': by_level(right, level),
            'windows': len(windows)}


@torch.no_grad()
def predictions(policy: Policy, windows: Windows,
                generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return one predicted clean chunk (N, D) for each window, and its noise level (N,)."""
    level = 1.0 - torch.rand(len(windows), generator=generator)
    found = []
    for start in range(0, len(windows), 4096):
        part = slice(start, start + 4096)
        clean = windows.clean[part]
        noise = torch.randn(clean.shape, generator=generator)
        noisy = mix(clean, noise, level[part])
        found.append(policy.clean(noisy, level[part], windows.conditions[part]))
    return torch.cat(found), level


def by_level(values: Tensor, level: Tensor) -> list[float | None]:
    """Return the mean of values (N,) for each tenth of the noise levels; None where no sample."""
    bins = (level * LEVEL_BINS).ceil().long().clamp(1, LEVEL_BINS) - 1
    return [float(values[bins == i].mean()) if bool((bins == i).any()) else None
            for i in range(LEVEL_BINS)]


def labels_of(data: Mapping[str, Windows]) -> Tensor:
    """Return the class of each window: the place of its mode in `data`."""
    return torch.cat([torch.full((len(windows),), i) for i, windows in enumerate(data.values())])
