# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training and sampler agree on how chunks and noise are mixed."""

import pytest
import torch

from uncloning_ros.learning.policies.flow import SAMPLER_STEPS, error_weight, mix, sample


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
