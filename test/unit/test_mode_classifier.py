# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report and batches of a mode classifier keep to their definitions."""

from typing import Any

import pytest
import torch
from learning_toys import classified
from torch import Tensor

from uncloning_ros.learning.mode_classifier import (
    _accuracy,
    _balanced_batches,
    _epochs,
    _where_modes_part,
    by_level,
)
from uncloning_ros.learning.windows import Windows

KEPT, REMOVED = 1.0, -1.0  # chunks of either side


class Predictor:
    """Predicts the demonstrated chunk."""

    @staticmethod
    def predicted(windows: Windows, picks: Tensor, generator: Any) -> tuple[Tensor, Tensor]:
        return windows.clean[picks], torch.ones(len(picks))


def windows(conditions: list[Any], chunk: float) -> Windows:
    found = torch.tensor(conditions, dtype=torch.float32).view(len(conditions), -1)
    return Windows(found, torch.full((len(found), 3), chunk))


def test_calibration_error_is_the_distance_of_confidence_from_accuracy() -> None:
    # GIVEN a classifier that is sure of one mode as far as the condition says
    def by_condition(condition: Tensor, chunk: Tensor) -> Tensor:
        return torch.cat([condition, 1.0 - condition], 1).log()

    # AND of 10 windows at 0.95 it is right about 8, of 10 at 0.65 about 7
    held_out = {'a': windows([0.95] * 8 + [0.65] * 7, KEPT),
                'b': windows([0.95] * 2 + [0.65] * 3, REMOVED)}
    found = _accuracy(Predictor(), by_condition, held_out,  # type: ignore[arg-type]
                      torch.Generator().manual_seed(0))
    assert (found['accuracy'], found['windows']) == (0.75, 20)
    assert found['calibration_error'] == pytest.approx((1.5 + 0.5) / 20, abs=1e-5)


def by_chunk(condition: Tensor, chunk: Tensor) -> Tensor:
    """Logits of (kept, removed): listens to the chunk, but is wrong far from where modes part."""
    kept = (chunk[:, 0] > 0) == (condition[:, 0] < 50)
    return torch.stack([kept, ~kept], 1) * 9.0


def by_observation(condition: Tensor, chunk: Tensor) -> Tensor:
    kept = condition[:, 1] == 0
    return torch.stack([kept, ~kept], 1) * 9.0


@pytest.mark.parametrize(('classifier', 'swapped'), [(by_chunk, 1.0), (by_observation, 0.0)])
def test_windows_where_modes_part_swap_chunks(classifier: Any, swapped: float) -> None:
    # GIVEN that 10 of 100 windows of a mode lie near one of the other side
    near, far = [float(i) for i in range(10)], [float(i) for i in range(90)]
    held_out = {
        'kept': windows([(x, 0.0) for x in near] + [(100 + x, 0.0) for x in far], KEPT),
        'removed': windows([(x, 0.01) for x in near] + [(1000 + x, 0.01) for x in far], REMOVED)}
    found = _where_modes_part(classified(classifier, 1), held_out)
    assert found == {'windows': 20, 'right': 1.0, 'swapped': swapped}


def test_where_modes_part_the_side_counts_and_not_the_mode() -> None:
    # GIVEN two kept modes that the classifier cannot tell apart
    def halves(condition: Tensor, chunk: Tensor) -> Tensor:
        removed = torch.where(chunk[:, 0] < 0, 0.6, 0.4)  # at 0.4 still the likeliest of three
        return torch.stack([(1 - removed) / 2, (1 - removed) / 2, removed], 1).log()

    held_out = {'a': windows([0.0, 1.0], KEPT), 'b': windows([0.1, 1.1], KEPT),
                'c': windows([0.2, 1.2], REMOVED)}
    assert _where_modes_part(classified(halves, 2), held_out) == {
        'windows': 1, 'right': 1.0, 'swapped': 1.0}


@pytest.mark.parametrize('removed', [[], None])
def test_modes_do_not_part_with_one_side_alone(removed: Any) -> None:
    none = Windows(torch.zeros(0, 1), torch.zeros(0, 3))
    held_out = {'kept': none if removed is None else windows([0.0, 1.0], KEPT), 'removed': none}
    assert _where_modes_part(classified(by_chunk, 1), held_out) is None


def test_balanced_every_mode_is_seen_as_often() -> None:
    labels = torch.tensor([0] * 960 + [1] * 30 + [2] * 10)
    batches = list(_balanced_batches(labels, torch.Generator().manual_seed(0)))
    seen = labels[torch.cat(batches)].bincount() / (len(batches) * len(batches[0]))
    assert seen.tolist() == pytest.approx([1 / 3] * 3, abs=0.01)


@pytest.mark.parametrize('count', [10, 256, 600])
def test_an_epoch_sees_no_window_twice(count: int) -> None:
    batches = list(_epochs(torch.zeros(count), torch.Generator().manual_seed(0)))
    first = torch.cat(batches[:len(batches) // 20])
    assert len(first.unique()) == len(first) == count // min(count, 256) * min(count, 256)


def test_means_by_level_are_of_the_tenths_up_to_one() -> None:
    found = by_level(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.05, 0.1, 1.0]))
    assert found == [0.5, *[None] * 8, 1.0]
