# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training and sampler of the flow policy agree on the mix of chunks and noise."""

import pytest
import torch
from learning_toys import toy_contract

from uncloning_ros.learning.policies.flow import (
    SAMPLER_STEPS,
    FlowPolicy,
    error_weight,
    mix,
    sample,
)
from uncloning_ros.learning.windows import Windows


def test_level_zero_is_the_clean_chunk_and_level_one_is_noise() -> None:
    clean, noise = torch.randn(2, 5), torch.randn(2, 5)
    mixed = mix(clean, noise, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(mixed[0], clean[0])
    torch.testing.assert_close(mixed[1], noise[1])


def test_a_perfect_prediction_is_returned_whatever_the_noise() -> None:
    target = torch.randn(3, 7)
    found = sample(lambda x, level: target, torch.randn(3, 7))
    torch.testing.assert_close(found, target)


def test_sampler_sees_what_training_mixes() -> None:
    # Where the prediction is right from the first step on, every noisy chunk that the sampler
    # makes is the mix of that chunk with the noise it began with.
    clean, noise = torch.randn(3, 7), torch.randn(3, 7)
    seen = []

    def predict(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        torch.testing.assert_close(x, mix(clean, noise, level.expand(3)),
                                   atol=1e-5, rtol=1e-5)
        seen.append(float(level))
        return clean

    sample(predict, noise)
    assert seen == pytest.approx([1.0 - i / SAMPLER_STEPS for i in range(SAMPLER_STEPS)])


def test_sampler_recovers_a_normal_distribution() -> None:
    # The best prediction for chunks from N(m, s^2) is known in closed form.
    mean, std = 2.0, 0.5

    def best(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        keep, scale = 1.0 - level, level
        gain = keep * std ** 2 / (keep ** 2 * std ** 2 + scale ** 2)
        return mean + gain * (x - keep * mean)

    found = sample(best, torch.randn(20000, 1, generator=torch.Generator().manual_seed(0)))
    assert float(found.mean()) == pytest.approx(mean, abs=0.05)
    assert float(found.std()) == pytest.approx(std, rel=0.2)


def test_weights_are_finite_positive_and_at_least_one() -> None:
    weight = error_weight(torch.tensor([1e-7, 0.01, 0.3, 0.7, 0.99, 1.0]))
    assert torch.isfinite(weight).all()
    assert (weight >= 1.0).all()
    assert (weight.diff() <= 0).all(), 'less noise never weighs less'


def test_the_weight_of_the_error_is_that_of_the_velocity_up_to_its_limit() -> None:
    levels = torch.tensor([1.0, 0.5, 1e-6])
    torch.testing.assert_close(error_weight(levels), torch.tensor([1.0, 4.0, 10.0]))


class TestPolicy:
    """The flow policy's three methods, on windows whose condition is their number."""

    @pytest.fixture
    def policy(self, monkeypatch: pytest.MonkeyPatch) -> FlowPolicy:
        """Return a policy that predicts the condition, in parts of two windows."""
        contract = toy_contract()
        policy = FlowPolicy(contract.interface, contract.policy, 8, 1)
        monkeypatch.setattr(policy, 'ROWS', 2)
        monkeypatch.setattr(policy.denoiser, 'forward', lambda noisy, level, condition: (
            condition[:, :1].expand(-1, noisy.shape[1])))
        policy.normaliser.action_low.fill_(-9.0)
        policy.normaliser.action_high.fill_(6.0)
        return policy

    @pytest.fixture
    def windows(self, policy: FlowPolicy) -> Windows:
        """Return windows whose clean chunk is half their number."""
        numbers = torch.arange(8.0)[:, None]
        return Windows(numbers.expand(-1, policy.normaliser.condition_dim),
                       numbers.expand(-1, policy.chunk_dim) / 2)

    def test_predictions_belong_to_their_windows_and_stay_in_range(
            self, policy: FlowPolicy, windows: Windows) -> None:
        picks = torch.tensor([5, 1, 7, 1, 0])
        clean, level = policy.predicted(windows, picks, torch.Generator().manual_seed(0))
        assert clean[:, 0].tolist() == [5.0, 1.0, 6.0, 1.0, 0.0]
        expected = 1.0 - torch.rand(5, generator=torch.Generator().manual_seed(0))
        assert torch.equal(level, expected)

    def test_losses_are_weighted_squares_of_the_unheld_error(self, policy: FlowPolicy,
                                                             windows: Windows) -> None:
        picks = torch.tensor([7, 2])
        losses = policy.losses(windows, picks, torch.Generator().manual_seed(0))
        level = 1.0 - torch.rand(2, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(losses, error_weight(level) * torch.tensor([12.25, 1.0]))

    def test_plans_are_in_range(self, policy: FlowPolicy, windows: Windows) -> None:
        plans = policy.plan(windows.conditions, torch.randn(8, policy.chunk_dim))
        torch.testing.assert_close(plans[:, 0], windows.conditions[:, 0].clamp(max=6.0))
