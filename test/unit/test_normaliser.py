# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The normaliser keeps to the demonstrations, and a policy to the contract's units."""

import dataclasses

import pytest
import torch
from learning_toys import toy_contract

from uncloning_ros.learning.policies.flow import FlowPolicy


@pytest.fixture
def policy() -> FlowPolicy:
    torch.manual_seed(0)
    contract = toy_contract()
    policy = FlowPolicy(contract.interface, contract.policy, 16, 1)
    policy.normaliser.fit(*_windows(200))
    return policy.requires_grad_(False)


def _windows(count: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    observations = 0.1 * torch.randn(count, 2, 18, generator=generator)
    chunks = 0.1 * torch.randn(count, 4, 10, generator=generator)
    chunks[..., :3] += observations[:, -1:, :3]
    return observations, chunks


def test_restore_undoes_normalise(policy: FlowPolicy) -> None:
    observations, chunks = _windows(50, seed=2)
    normaliser = policy.normaliser
    back = normaliser.restore(observations, normaliser.normalise(observations, chunks))
    torch.testing.assert_close(back, chunks, atol=1e-6, rtol=1e-5)


def test_normalised_chunks_of_the_training_windows_have_unit_size(policy: FlowPolicy) -> None:
    clean = policy.normaliser.normalise(*_windows(200))
    torch.testing.assert_close(clean.mean(0), torch.zeros(40), atol=1e-5, rtol=0)
    torch.testing.assert_close(clean.std(0), torch.ones(40), atol=1e-5, rtol=0)


def test_positions_follow_the_anchor(policy: FlowPolicy) -> None:
    # Moving robot, object and target together changes no number that the network predicts.
    observations, chunks = _windows(50, seed=2)
    moved, moved_chunks = observations.clone(), chunks.clone()
    shift = torch.tensor([0.1, -0.2, 0.3])
    for start in (0, 9):
        moved[..., start:start + 3] += shift
    moved_chunks[..., :3] += shift
    torch.testing.assert_close(policy.normaliser.normalise(moved, moved_chunks),
                               policy.normaliser.normalise(observations, chunks),
                               atol=1e-4, rtol=1e-4)


def test_condition_has_where_the_object_lies_from_the_tool(policy: FlowPolicy) -> None:
    observations, _ = _windows(1)
    normaliser = policy.normaliser
    features = normaliser.condition(observations).view(2, 21)
    raw = features * normaliser.condition_std + normaliser.condition_mean
    torch.testing.assert_close(raw[:, :18], observations[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(raw[:, 18:], observations[0, :, 9:12] - observations[0, :, :3],
                               atol=1e-5, rtol=1e-4)


def test_the_anchor_is_the_arms_pose_wherever_it_stands() -> None:
    contract = toy_contract()
    interface = dataclasses.replace(contract.interface,
                                    observations=contract.interface.observations[::-1])
    normaliser = FlowPolicy(interface, contract.policy, 16, 1).normaliser
    observations, chunks = _windows(50)
    turned = torch.cat([observations[..., 9:], observations[..., :9]], dim=-1)
    normaliser.fit(turned, chunks)
    features = normaliser.condition(turned[:1]).view(2, 21)
    raw = features * normaliser.condition_std + normaliser.condition_mean
    torch.testing.assert_close(raw[:, 18:], observations[0, :, 9:12] - observations[0, :, :3],
                               atol=1e-5, rtol=1e-4)
    ours = FlowPolicy(contract.interface, contract.policy, 16, 1).normaliser
    ours.fit(observations, chunks)
    torch.testing.assert_close(normaliser.normalise(turned, chunks),
                               ours.normalise(observations, chunks))


def test_a_value_that_never_varied_is_not_blown_up() -> None:
    contract = toy_contract()
    policy = FlowPolicy(contract.interface, contract.policy, 16, 1)
    observations, chunks = torch.zeros(10, 2, 18), torch.zeros(10, 4, 10)
    policy.normaliser.fit(observations, chunks)
    nudged = observations + 1e-4
    assert policy.normaliser.condition(nudged).abs().max() < 0.1
    assert policy.normaliser.normalise(observations, chunks + 1e-4).abs().max() < 0.1


def test_a_knock_on_a_sensor_is_held_in_bounds(policy: FlowPolicy) -> None:
    observations, _ = _windows(1)
    observations[0, 0, 5] = 1e6
    assert policy.normaliser.condition(observations).abs().max() <= 5.0


def test_chunks_stay_in_the_range_of_the_demonstrations(policy: FlowPolicy) -> None:
    observations, chunks = _windows(200)
    torch.nn.init.constant_(policy.denoiser.to_chunk.bias, 1e3)
    found = policy(observations, torch.randn(200, 4, 10))
    seen = (chunks[..., :3] - observations[:, -1:, :3]).amax(0)
    assert ((found[..., :3] - observations[:, -1:, :3]) <= seen + 1e-5).all()


def test_same_noise_gives_the_same_chunk_and_a_batch_changes_nothing(policy: FlowPolicy) -> None:
    observations, _ = _windows(3)
    noise = torch.randn(3, 4, 10)
    together = policy(observations, noise)
    assert torch.equal(together, policy(observations, noise))
    torch.testing.assert_close(policy(observations[1:2], noise[1:2]), together[1:2])


def test_training_leaves_the_normaliser_alone(policy: FlowPolicy) -> None:
    trained = {name for name, _ in policy.named_parameters()}
    assert trained
    assert not any(name.startswith('normaliser.') for name in trained)
    assert all(f'normaliser.{name}' in policy.state_dict() for name in (
        'lift', 'anchor', 'condition_mean', 'condition_std', 'action_mean', 'action_std',
        'action_low', 'action_high'))


def test_joint_actions_without_a_pose_are_absolute() -> None:
    from uncloning_ros.contract import Interface, PolicyTiming, Signal

    joints = Signal('joints', 'joint_positions', 'rad', '', ('a', 'b'))
    target = Signal('target', 'joint_positions', 'rad', '', ('a', 'b'))
    policy = FlowPolicy(Interface((joints,), (target,), {'left': True}, base_frame='base'),
                    PolicyTiming(10, 2, 4, 2), 16, 1)
    assert policy.normaliser.lift.shape == (2, 2)
    assert not policy.normaliser.anchor.any()
    assert policy(torch.zeros(1, 2, 2), torch.zeros(1, 4, 2)).shape == (1, 4, 2)
