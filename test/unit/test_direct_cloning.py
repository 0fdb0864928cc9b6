# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of direct cloning on worked examples, and the choice that a noise makes."""

import math

import numpy as np
import pytest
import torch
from learning_toys import toy_contract
from torch import Tensor

from uncloning_ros.learning.options import NetworkOptions
from uncloning_ros.learning.policies import Policy, build_policy
from uncloning_ros.learning.policies.choice import chosen
from uncloning_ros.learning.policies.k_means import centres
from uncloning_ros.learning.policies.regression import squared_error
from uncloning_ros.learning.windows import Windows


def policy_of(kind: str) -> Policy:
    """Return a small policy whose networks return zeros."""
    policy = build_policy(toy_contract(), NetworkOptions(8, 1, kind)).requires_grad_(False)
    for name, weight in policy.named_parameters():
        if name.endswith(('.3.weight', '.3.bias')):
            weight.zero_()
    return policy


def windows_of(policy: Policy, clean: Tensor) -> Windows:
    return Windows(torch.zeros(len(clean), policy.condition_dim), clean)


def losses(policy: Policy, clean: Tensor) -> Tensor:
    return policy.losses(windows_of(policy, clean), torch.arange(len(clean)), torch.Generator())


def test_squared_error_of_one_number_of_two_that_is_off_by_one_is_a_half() -> None:
    assert float(squared_error(torch.tensor([[0.3, 1.0]]), torch.tensor([[0.3, 2.0]]))) == 0.5


def test_regression_is_cloned_with_the_mean_of_squared_errors() -> None:
    policy = policy_of('regression')
    each = losses(policy, torch.tensor([0.2, 0.5, 0.3])[:, None].sqrt().expand(
        3, policy.chunk_dim))
    torch.testing.assert_close(each, torch.tensor([0.2, 0.5, 0.3]))
    assert float(each.mean()) == pytest.approx(1 / 3)


def test_cross_entropy_of_a_probability_of_0_7() -> None:
    policy = policy_of('categorical')
    policy.vocabulary[:, 0] = torch.arange(float(len(policy.vocabulary)))
    others = math.log(0.3 / (len(policy.vocabulary) - 1))
    policy.choice[-1].bias.copy_(torch.full((len(policy.vocabulary),), others))
    policy.choice[-1].bias[5] = math.log(0.7)
    # The chunk is a token, so nothing is left for the offset.
    assert float(losses(policy, policy.vocabulary[5:6])) == pytest.approx(0.357, abs=5e-4)
    assert float(losses(policy, policy.vocabulary[5:6] + 0.1)) == pytest.approx(0.357 + 0.01,
                                                                               abs=5e-4)


def test_a_mixture_has_the_density_of_its_gaussians() -> None:
    policy = policy_of('mixture')
    count, dim = 8, policy.chunk_dim
    generator = torch.Generator().manual_seed(0)
    bias = torch.randn(count * (1 + 2 * dim), generator=generator)
    policy.network[-1].bias.copy_(bias)
    clean = torch.randn(4, dim, generator=generator)
    weights = bias[:count].double().softmax(0)
    means = bias[count:count * (1 + dim)].view(count, dim).double()
    scales = 0.03 + bias[count * (1 + dim):].view(count, dim).double().sigmoid()
    normal = torch.distributions.Independent(torch.distributions.Normal(means, scales), 1)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights), normal)
    torch.testing.assert_close(policy.surprise(windows_of(policy, clean)),
                               -mixture.log_prob(clean.double()).float(), rtol=1e-4, atol=1e-2)
    assert float(losses(policy, clean)[0]) == pytest.approx(
        -float(mixture.log_prob(clean[0].double())) / dim, rel=1e-4)


def test_plans_of_a_mixture_have_its_means_and_scales() -> None:
    policy = policy_of('mixture')
    dim = policy.chunk_dim
    policy.normaliser.action_low.fill_(-9.0)
    policy.normaliser.action_high.fill_(9.0)
    bias = policy.network[-1].bias
    bias[:8] = -50.0
    bias[[2, 6]] = torch.tensor([0.25, 0.75]).log()
    bias[8 + 2 * dim:8 + 3 * dim] = -3.0
    bias[8 + 6 * dim:8 + 7 * dim] = 3.0
    plans = policy.draw(torch.zeros(1, policy.condition_dim), 8000,
                        torch.Generator().manual_seed(0))[0]
    high = plans[:, 0] > 0
    assert float(high.float().mean()) == pytest.approx(0.75, abs=0.02)
    assert float(plans[high, :-1].mean()) == pytest.approx(3.0, abs=0.02)
    assert float(plans[high, :-1].std()) == pytest.approx(0.53, abs=0.02)
    torch.testing.assert_close(plans[high, -1], torch.full((int(high.sum()),), 3.0))


def test_a_noise_chooses_each_place_as_often_as_its_probability() -> None:
    probabilities = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    noise = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0))
    logits = probabilities.clamp(min=1e-30).log()
    picks = chosen(logits.expand(len(noise), -1), noise)
    assert set(picks.unique().tolist()) == {0.0, 1.0}
    assert bool((picks.sum(1) == 1.0).all())
    np.testing.assert_allclose(picks.mean(0), probabilities, atol=0.01)


@pytest.mark.parametrize('noise', [-40.0, -5.5, 5.5, 40.0])
def test_rounding_never_chooses_a_place_without_probability(noise: float) -> None:
    logits = torch.tensor([[-60.0, 0.1, 0.3, -60.0]])
    assert int(chosen(logits, torch.tensor([[noise]])).argmax()) == (1 if noise < 0 else 2)


def test_k_means_finds_groups_and_takes_few_points() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = groups.repeat(50, 1) + 0.1 * torch.randn(150, 2, generator=generator)
    found = centres(points, 3, generator)
    assert float(torch.cdist(found, groups).amin(0).max()) < 0.1
    few = centres(groups[:2].repeat(3, 1), 4, generator)
    assert few.shape == (4, 2)
    assert float(torch.cdist(groups[:2], few).amin(1).max()) < 1e-6
