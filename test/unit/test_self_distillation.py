# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit learns own chunks of kept modes, and only where the policy is torn."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from learning_toys import classified
from torch import Tensor

from uncloning_ros.learning.options import EDIT
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.windows import Windows

DIM = 4


class Planner(Policy):
    """Plans the noise it is given: a chunk's first number is negative as often as positive.

    `seen` has the windows of every loss, which is 1.
    """

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.chunk_dim = DIM
        self.seen: list[Windows] = []

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        return noise

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        self.seen.append(windows.picked(picks))
        return torch.ones(len(picks))

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def by_sign(condition: Tensor, chunk: Tensor) -> Tensor:
    """Logits of (kept, removed): positive chunks are kept; at -1 none is, at 2 all are."""
    kept = (condition[:, 0] > 1) | (chunk[:, 0] > 0) & (condition[:, 0] >= 0)
    return torch.stack([kept, ~kept], 1) * 20.0


def distillation(logits: Any, conditions: Tensor, steps: int = 20, kept: int = 1,
                 batch_size: int = 256) -> SelfDistillation:
    removed = {'removed': Windows(conditions, torch.zeros(len(conditions), DIM))}
    return SelfDistillation(classified(logits, kept), removed,
                            replace(EDIT, steps=steps, batch_size=2 * batch_size))


def test_learns_kept_chunks_where_the_policy_is_torn_and_nothing_elsewhere() -> None:
    # GIVEN observations of which a third is committed to the removed mode, a third to the kept one
    conditions = torch.tensor([1.0, -1.0, 2.0]).repeat(300)[:, None]
    removal = distillation(by_sign, conditions)
    # WHEN the edit takes some steps
    policy = Planner()
    losses = [removal.loss(policy, policy, step) for step in range(1, 21)]
    # THEN it saw kept chunks at the third that is torn alone
    assert len(policy.seen) == 20
    for windows in policy.seen:
        assert bool((windows.clean[:, 0] > 0).all())
        assert bool((windows.conditions == 1.0).all())
    looks = removal.report()['looks']
    assert [look['step'] for look in looks] == list(range(0, 20, 2))
    # Where there are both, of four draws one at least is kept in 15 of 16 cases, ...
    assert looks[0]['open'] / looks[0]['observations'] == pytest.approx(31 / 48, abs=0.07)
    # ... and one at least of each in 14.
    assert looks[0]['torn'] / looks[0]['open'] == pytest.approx(14 / 31, abs=0.07)
    assert losses == [pytest.approx(looks[at // 2]['torn'] / looks[at // 2]['open'])
                      for at in range(20)], 'the loss itself is 1'
    assert removal.open_share == looks[-1]['open'] / looks[-1]['observations']


@pytest.mark.parametrize('choice', [1.0, 2.0], ids=['torn', 'not torn'])
def test_open_observations_are_looked_at_again(choice: float) -> None:
    # GIVEN that a choice is rare
    conditions = torch.full((6000, 1), -1.0)
    conditions[::60] = choice
    removal = distillation(by_sign, conditions)
    for step in range(1, 5):
        removal.loss(Planner(), Planner(), step)
    first, second = removal.report()['looks'][:2]
    # THEN the second look has seen many more
    assert first['open'] < 20 < 300 < second['open']


def test_chunks_are_taken_by_their_probability() -> None:
    # GIVEN a classifier that finds large chunks three times as likely as small ones
    def likely(condition: Tensor, chunk: Tensor) -> Tensor:
        kept = torch.where(chunk[:, 0] > 0, 0.9, 0.3)
        return torch.stack([kept, 1 - kept], 1).log()

    removal = distillation(likely, torch.ones(4000, 1), steps=1)
    policy = Planner()
    removal.loss(policy, policy, 1)
    large = (policy.seen[0].clean[:, 0] > 0).float().mean()
    # Of four draws k are large: the expectation of 3k / (3k + 4 - k), given that some are.
    chances = torch.tensor([4.0, 6.0, 4.0]) / 14
    k = torch.arange(1, 4)
    assert float(large) == pytest.approx(float((chances * 3 * k / (4 + 2 * k)).sum()), abs=0.08)


def test_two_kept_modes_keep_their_shares() -> None:
    # GIVEN a policy with three modes, by its first number, the first two of them kept
    def three(condition: Tensor, chunk: Tensor) -> Tensor:
        mode = (chunk[:, 0] > -1.0).long() + (chunk[:, 0] > 0.5).long()
        return 20.0 * torch.nn.functional.one_hot(2 - mode, 3)

    policy = Planner()
    distillation(three, torch.ones(4000, 1), 1, kept=2, batch_size=4000).loss(policy, policy, 1)
    [seen] = policy.seen
    upper = float((seen.clean[:, 0] > 0.5).float().mean())
    lower = float((seen.clean[:, 0] <= -1.0).float().mean())
    assert lower == 0.0
    assert upper == pytest.approx(0.3085 / 0.8413, abs=0.06), 'normal: P(x > 0.5 | x > -1)'


def test_without_any_choice_there_is_no_loss() -> None:
    removal = distillation(by_sign, torch.full((50, 1), -1.0))
    policy = Planner()
    assert removal.loss(policy, policy, 1) is None
    assert (policy.seen, removal.open_share) == ([], 0.0)


def test_where_nothing_is_to_be_removed_there_is_no_loss() -> None:
    # GIVEN a policy that is torn until its second look, and then plans kept chunks alone
    class Edited(Planner):
        def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
            return torch.ones_like(noise)

    removal = distillation(by_sign, torch.ones(600, 1), steps=10)
    policy = Planner()
    assert removal.loss(policy, policy, 1) is not None
    assert removal.loss(policy, Edited(), 2) is None
    assert [(look['open'] > 0, look['torn'] > 0) for look in removal.report()['looks']] == [
        (True, True), (True, False)]
    assert len(policy.seen) == 1


def test_what_was_taken_four_looks_ago_is_forgotten() -> None:
    # GIVEN a policy that is torn in its first look, then in none of three, then again
    class Committed(Planner):
        def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
            return torch.ones_like(noise)

    class Doubled(Planner):
        def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
            return noise.sign() * 2

    removal = distillation(by_sign, torch.ones(600, 1), steps=10)
    looks = [Planner(), Committed(), Committed(), Committed(), Doubled()]
    policy = Planner()
    for step, average in enumerate(looks, 1):
        removal.loss(policy, average, step)
    # THEN it clones chunks of that last look alone
    assert [bool((windows.clean[:, 0] == 2).all()) for windows in policy.seen] == [
        False, True]


def test_draws_and_probabilities_belong_to_their_condition() -> None:
    class Echo(Planner):
        def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
            return conditions.expand(-1, DIM)

    conditions = torch.arange(5.0)[:, None]
    chunks = Echo().draw(conditions, 3, torch.Generator())
    assert torch.equal(chunks, conditions[:, :, None].expand(5, 3, DIM))

    def logits(condition: Tensor, chunk: Tensor) -> Tensor:
        return torch.stack([condition[:, 0], chunk[:, 0], chunk[:, 0] * 0], 1)

    repeated = conditions.repeat_interleave(3, 0)
    found = classified(logits, 2).kept_probability(repeated, chunks.flatten(0, 1))
    expected = torch.stack([repeated[:, 0]] * 2 + [repeated[:, 0] * 0], 1).softmax(1)[:, :2]
    assert torch.allclose(found, expected.sum(1))
