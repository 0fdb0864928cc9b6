# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit holds the policy to what it was outside of the spans of labels."""

import copy
from pathlib import Path

import pytest
import torch
from learning_toys import partly_labelled
from torch import Tensor

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.anchor import Anchor
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.kept_loss import KeptLoss
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows, windows_outside_spans


@pytest.fixture
def original(mixed_dir: Path) -> Policy:
    """Return the policy before an edit."""
    return load_run(mixed_dir).policy


@pytest.fixture
def outside(original: Policy, dataset: Dataset) -> Windows:
    """Return the windows outside of spans."""
    return windows_outside_spans(original.normaliser, partly_labelled(dataset), 'train')


def moved(original: Policy) -> Policy:
    """Return a copy with other weights."""
    policy = copy.deepcopy(original).requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    return policy


def plans(policy: Policy, windows: Windows) -> Tensor:
    return policy.draw(windows.conditions, 1, torch.Generator().manual_seed(1))[:, 0]


def test_the_policy_as_it_was_is_at_no_distance(original: Policy, outside: Windows) -> None:
    anchor = Anchor(original, outside, 64, 0)
    assert float(anchor.loss(original)) == float(anchor.loss(copy.deepcopy(original))) == 0.0
    assert float(anchor.loss(moved(original))) > 0.0


def test_the_loss_brings_plans_back(original: Policy, outside: Windows) -> None:
    policy, anchor = moved(original), Anchor(original, outside, 64, 0)
    optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
    wanted = plans(original, outside)
    before = (plans(policy, outside) - wanted).square().mean()
    for _ in range(100):
        optimiser.zero_grad()
        anchor.loss(policy).backward()
        optimiser.step()
    assert (plans(policy, outside) - wanted).square().mean() < 0.1 * before


def test_the_loss_on_kept_modes_has_it_where_labels_have_spans(original: Policy,
                                                               dataset: Dataset) -> None:
    away = moved(original)
    losses = {}
    for name, data in (('spans', partly_labelled(dataset)), ('none', dataset)):
        for own in (original, away):
            # GIVEN kept windows on which both policies have the same loss
            kept = KeptLoss(own, data, ['left'], 0.0, 64, 0)
            losses[name, own is away] = float(kept.loss(away).detach())
    assert losses['none', False] == losses['none', True]
    assert losses['spans', False] > losses['spans', True]
