# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A classifier that tells the mode of a handover from a policy's condition and a clean chunk.

It is trained on the original policy's predictions and then frozen; it steers an edit and is thrown
away (Wang et al. 2026, Behavior Uncloning, arXiv 2606.29201).
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from uncloning_ros.learning.windows import Windows, joined
from uncloning_ros.progress import progress_bar

LEVEL_BINS = 10  # reports are by tenths of the level that a policy reports with its predictions

_WIDTH, _BATCH = 256, 256
_RATE, _DECAY = 3e-4, 1e-4
_EPOCHS = 20  # as published, each mode as often as it is in the data
_BALANCED_STEPS = 600

_PARTING_SHARE = 0.1  # share of the held-out windows that count as lying where modes part


class Predictor(Protocol):
    """A policy, or another source of the chunks that a classifier learns to judge."""

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return chunks and the share that was hidden, as `Policy.predicted` does."""


class Demonstrated:
    """The demonstrated chunks, as a source of chunks for the classifier."""

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the chunks of the picked windows, of which nothing was hidden."""
        return windows.clean[picks], torch.zeros(len(picks))


class ModeClassifier(nn.Module):
    """Tell the mode from a condition (B, C) and a flat clean chunk (B, D).

    The first `kept` of its classes are the kept modes.
    """

    def __init__(self, condition_dim: int, chunk_dim: int, modes: int, kept: int) -> None:
        super().__init__()
        self.kept = kept
        width = _WIDTH
        sizes = (condition_dim + chunk_dim, width, width)
        layers = [nn.Sequential(nn.Linear(size, width), nn.LayerNorm(width), nn.SiLU())
                  for size in sizes]
        self.layers = nn.Sequential(*layers, nn.Linear(width, modes))

    def forward(self, condition: Tensor, clean: Tensor) -> Tensor:
        """Return logits (B, modes)."""
        logits: Tensor = self.layers(torch.cat([condition, clean], dim=1))
        return logits

    @torch.no_grad()
    def kept_probability(self, condition: Tensor, clean: Tensor) -> Tensor:
        """Return the probability (B,) that chunks are of a kept mode."""
        probabilities: Tensor = self(condition, clean).softmax(1)
        return probabilities[:, :self.kept].sum(1)


def train_classifier(policy: Predictor, data: Mapping[str, Windows],
                     held_out: Mapping[str, Windows], kept: int, seed: int,
                     balanced: bool) -> tuple[ModeClassifier, dict[str, Any]]:
    """Train a classifier on the policy's predictions; return it frozen, with its report.

    The first `kept` modes of the data are the kept ones. With `balanced` every mode counts the
    same, however many windows it has, in a fixed number of steps; else this is the published
    training. The report has accuracies on held-out windows, None where there are none.
    """
    began_s = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    windows, labels = joined(list(data.values())), labels_of(data)
    chunks = _predictions(policy, windows, generator)[0]
    torch.manual_seed(seed)  # the first weights
    classifier = ModeClassifier(windows.conditions.shape[1], windows.clean.shape[1], len(data),
                                kept)
    optimizer = torch.optim.AdamW(classifier.parameters(), _RATE,
                                  weight_decay=_DECAY, fused=True)
    batches = list((_balanced_batches if balanced else _epochs)(labels, generator))
    with progress_bar('mode classifier', len(batches), 'step') as bar:
        for picks in batches:
            loss = nn.functional.cross_entropy(
                classifier(windows.conditions[picks], chunks[picks]), labels[picks])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.update()
    classifier.eval().requires_grad_(False)
    report: dict[str, Any] = {'modes': list(data), 'balanced': balanced, 'steps': len(batches)}
    report |= _accuracy(policy, classifier, held_out, generator)
    report['choice'] = _where_modes_part(classifier, held_out)
    return classifier, report | {'elapsed_s': time.monotonic() - began_s}


def _epochs(labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    batch = min(_BATCH, len(labels))
    for _ in range(_EPOCHS):
        order = torch.randperm(len(labels), generator=generator)
        yield from order[:len(labels) // batch * batch].view(-1, batch)


def _balanced_batches(labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    weights = (1.0 / labels.bincount().clamp(min=1))[labels]
    for _ in range(_BALANCED_STEPS):
        yield torch.multinomial(weights, _BATCH, replacement=True, generator=generator)


@torch.no_grad()
def _predictions(policy: Predictor, windows: Windows,
                 generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a prediction for every window."""
    return policy.predicted(windows, torch.arange(len(windows)), generator)


@torch.no_grad()
def _accuracy(policy: Predictor, classifier: ModeClassifier, held_out: Mapping[str, Windows],
              generator: torch.Generator) -> dict[str, Any]:
    """Return the accuracy on held-out windows, in all and by level, and the calibration.

    The calibration error is the mean distance of confidence from accuracy over tenths of the
    confidence (expected calibration error; Guo et al. 2017, arXiv 1706.04599).
    """
    windows, labels = joined(list(held_out.values())), labels_of(held_out)
    if not len(windows):
        return {'accuracy': None, 'accuracy_by_level': [None] * LEVEL_BINS,
                'calibration_error': None, 'windows': 0}
    clean, level = _predictions(policy, windows, generator)
    confidence, found = classifier(windows.conditions, clean).softmax(1).max(1)
    right = (found == labels).float()
    tenths = [_tenth(confidence) == i for i in range(LEVEL_BINS)]
    error = sum(float((right[tenth] - confidence[tenth]).sum().abs()) for tenth in tenths)
    return {'accuracy': float(right.mean()), 'accuracy_by_level': by_level(right, level),
            'calibration_error': error / len(right), 'windows': len(windows)}


@torch.no_grad()
def _where_modes_part(classifier: ModeClassifier,
                      held_out: Mapping[str, Windows]) -> dict[str, Any] | None:
    """Return whether the classifier listens to the chunk where kept and removed modes part.

    `right` is the share of `parting` windows in which the classifier tells the window's side from
    its own chunk, `swapped` the share in which it tells the other side from the other one's chunk.
    None where only one side is held out.
    """
    windows, removed = joined(list(held_out.values())), labels_of(held_out) >= classifier.kept
    if len(removed.unique()) < 2:
        return None
    places, partners = parting(windows, removed)
    count = len(places)

    def share(clean: Tensor, expected: Tensor) -> float:
        kept = classifier.kept_probability(windows.conditions[places], clean)
        return float(((kept < 0.5) == expected).float().mean())

    return {'windows': count, 'right': share(windows.clean[places], removed[places]),
            'swapped': share(windows.clean[partners], removed[partners])}


def parting(windows: Windows, removed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places (P,) of windows where kept and `removed` modes part, and their partners.

    That is where a demonstration of the other side was nearly in the same place and went
    elsewhere: the tenth of the windows with the greatest distance of chunks for the distance of
    conditions, each to its partner, the window of the other side with the nearest condition.
    `removed` (N,) tells the side of each window; there are windows of both.
    """
    distances, partners = _nearest_of_other_side(windows.conditions, removed)
    apart = (windows.clean - windows.clean[partners]).norm(dim=1)
    count = max(1, round(_PARTING_SHARE * len(windows)))
    places = (apart / distances.clamp(min=1e-6)).topk(count).indices
    return places, partners[places]


def _nearest_of_other_side(conditions: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) to the nearest condition of the other side, and its place (N,)."""
    distances, places = [], []
    for part in torch.arange(len(side)).split(1024):
        apart = torch.cdist(conditions[part], conditions)
        apart[side[part, None] == side[None]] = math.inf
        least, place = apart.min(1)
        distances.append(least)
        places.append(place)
    return torch.cat(distances), torch.cat(places)


def by_level(values: Tensor, level: Tensor) -> list[float | None]:
    """Return the mean of values (N,) for each tenth of the levels (N,); None for an empty one."""
    tenth = _tenth(level)
    return [float(values[tenth == i].mean()) if bool((tenth == i).any()) else None
            for i in range(LEVEL_BINS)]


def _tenth(values: Tensor) -> Tensor:
    """Return which tenth of (0, 1] each value (N,) lies in, from 0."""
    return (values * LEVEL_BINS).ceil().long().clamp(1, LEVEL_BINS) - 1


def labels_of(data: Mapping[str, Windows]) -> Tensor:
    """Return the class of each window: the place of its mode in `data`."""
    return torch.cat([torch.full((len(windows),), i) for i, windows in enumerate(data.values())])
