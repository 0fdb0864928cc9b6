# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser keeps to its schedule and its average, and goes on exactly from saved tensors."""

import copy

import pytest
import torch
from learning_toys import toy_contract

from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning.optimiser import Optimiser, learning_rate_at
from uncloning_ros.learning.options import NetworkOptions
from uncloning_ros.learning.policies import Policy, build_policy


@pytest.fixture
def policy() -> Policy:
    torch.manual_seed(0)
    return build_policy(toy_contract(), NetworkOptions(8, 1))


def loss_of(policy: Policy) -> torch.Tensor:
    return torch.stack([weight.square().sum() for weight in policy.parameters()]).sum()


def first(policy: Policy) -> torch.Tensor:
    return next(policy.parameters()).detach()


def test_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate_at(step, 100, 1.0, 0.1) for step in range(1, 101)]
    assert rates[9] == max(rates) == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(('from_scratch', 'rates', 'decays'), [
    (True, [0.5e-2, 1e-2], [2 / 11, 3 / 12]), (False, [1e-2, 1e-2], [0.98, 0.98])])
def test_new_weights_get_a_warm_up_and_an_average_that_follows_closely(
        policy: Policy, from_scratch: bool, rates: list[float], decays: list[float]) -> None:
    optimiser = Optimiser(policy, 40, 1e-2, from_scratch=from_scratch)
    for rate, decay in zip(rates, decays, strict=True):
        before = first(optimiser.average).clone()
        assert optimiser.update(loss_of(policy)) > 0
        assert optimiser.rate == pytest.approx(rate, rel=0.01)
        torch.testing.assert_close(first(optimiser.average),
                                   decay * before + (1 - decay) * first(policy))


def test_a_large_gradient_is_clipped_and_its_norm_reported(policy: Policy) -> None:
    optimiser = Optimiser(policy, 40, 1e-2, from_scratch=False)
    assert optimiser.update(1e6 * loss_of(policy)) > 1e6
    norm = torch.stack([weight.grad.square().sum() for weight in policy.parameters()
                        if weight.grad is not None]).sum().sqrt()
    assert float(norm) == pytest.approx(1.0, rel=1e-3)


def test_restored_tensors_go_on_to_the_same_weights(policy: Policy) -> None:
    other = copy.deepcopy(policy)
    optimiser = Optimiser(policy, 9, 1e-2, from_scratch=True)
    for _ in range(4):
        optimiser.update(loss_of(policy))
    saved = {name: tensor.clone() for name, tensor in optimiser.tensors().items()}
    resumed = Optimiser(other, 9, 1e-2, from_scratch=True)
    resumed.restore(saved, 4)
    for one in (optimiser, resumed):
        for _ in range(5):
            one.update(loss_of(one.policy))
    assert resumed.step == 9
    for one, two in ((policy, other), (optimiser.average, resumed.average)):
        assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    with pytest.raises(RuntimeError, match='Missing key'):
        resumed.restore({}, 0)


def test_a_loss_that_is_not_finite_is_refused_before_the_step(policy: Policy) -> None:
    before = first(policy).clone()
    optimiser = Optimiser(policy, 9, 3e-2, from_scratch=False)
    with pytest.raises(CheckpointError, match=r'loss is nan at step 1; .* lower --lr than 0\.03'):
        optimiser.update(loss_of(policy) * float('nan'))
    assert torch.equal(first(policy), before)
    with pytest.raises(CheckpointError, match='loss is None after step 9'):
        optimiser.require_finite(None, 'after step 9')
