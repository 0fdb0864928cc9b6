# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A toy task with two modes: from the same start the target goes left or goes right."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import RunConfig, dataset_record
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.options import TRAINING, NetworkOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import tensors_of_frames
from uncloning_ros.schema import plain

FRAMES = 12  # of each episode


def toy_contract(**interface: Any) -> Contract:
    """Return a small contract; `interface` replaces parts of the interface."""
    deployment = {
        'command_rate_hz': 10,
        'observations': {
            'tool_pose': {'topic': 'tool', 'type': 'geometry_msgs/msg/PoseStamped',
                          'max_age_s': 0.1},
            'object_pose': {'topic': 'object', 'type': 'geometry_msgs/msg/PoseStamped',
                            'max_age_s': 0.1}},
        'actions': {'target_pose': {'topic': 'target', 'type': 'geometry_msgs/msg/PoseStamped'},
                    'target_width': {'topic': 'width',
                                     'type': 'std_msgs/msg/Float64MultiArray'}},
        'limits': {'workspace_min_m': [-1, -1, -1], 'workspace_max_m': [1, 1, 1],
                   'speed_m_s': 1.0, 'rotation_speed_rad_s': 1.0, 'joint_speed_rad_s': 1.0,
                   'jump_m': 0.5, 'jump_rad': 1.0},
        'episode_end': {'open_width_m': 0.06, 'object_distance_m': 0.1, 'max_episode_s': 10.0}}
    return contract_from_dict({
        'schema': 'uncloning/contract@1',
        'interface': {
            'base_frame': 'base',
            'observations': [{'key': 'tool_pose', 'kind': 'pose', 'unit': 'm'},
                             {'key': 'object_pose', 'kind': 'pose', 'unit': 'm'}],
            'actions': [{'key': 'target_pose', 'kind': 'pose', 'unit': 'm'},
                        {'key': 'target_width', 'kind': 'gripper_width', 'unit': 'm',
                         'names': ['gripper']}],
            'modes': {'left': {'desired': True}, 'right': {'desired': False}}} | interface,
        'policy': {'rate_hz': 10, 'history': 2, 'horizon': 4, 'execute': 2},
        'deployment': deployment})


def toy_dataset(folder: Path, modes: tuple[str, ...] = ('left', 'right'), episodes: int = 40,
                contract: Contract | None = None, seed: int = 0) -> Dataset:
    """Write a dataset as the builder does; every fifth episode of a mode is for validation.

    Whichever way an episode goes, its observations are the same but for noise.
    """
    contract = contract or toy_contract()
    rng = np.random.default_rng(seed)
    rows, commands, records = [], [], []
    for i in range(episodes):
        mode = modes[i % len(modes)]
        observations = np.tile([0.3, 0, 0.2, 1, 0, 0, 0, 1, 0,
                                0.5, 0, 0.1, 1, 0, 0, 0, 1, 0], (FRAMES, 1))
        observations[:, [0, 1, 2, 9, 10, 11]] += rng.normal(0, 0.02, (FRAMES, 6))
        actions = np.tile([0.3, 0, 0.2, 1, 0, 0, 0, 1, 0, 0.04], (FRAMES, 1))
        actions[:, :3] = observations[:, :3]
        actions[:, 1] += 0.1 if mode == 'left' else -0.1
        actions[:, :3] += rng.normal(0, 0.003, (FRAMES, 3))
        rows.append(observations)
        commands.append(actions)
        records.append({'name': f'episode_{i:06d}', 'mode': mode, 'label_source': 'truth',
                        'digest': f'{i:064x}', 'frames': FRAMES, 'seed': 100 + i,
                        'split': 'validation' if i // len(modes) % 5 == 4 else 'train'})
    arrays = save({'observations': np.concatenate(rows).astype(np.float32),
                   'actions': np.concatenate(commands).astype(np.float32)})
    description = {
        'schema': 'uncloning/dataset@1', 'software_version': '0', 'scenario': 'toy',
        'scenario_sha256': '0', 'contract': plain(contract), 'labels': 'truth',
        'split_seed': 0, 'validation': 0.2,
        'episodes': records, 'left_out': [],
        'arrays_sha256': hashlib.sha256(arrays).hexdigest()}
    folder.mkdir(parents=True)
    (folder / 'dataset.safetensors').write_bytes(arrays)
    (folder / 'dataset.json').write_text(json.dumps(description), encoding='utf-8')
    return load_dataset(folder)


def partly_labelled(dataset: Dataset) -> Dataset:
    """Return the toy dataset with spans of four frames, and without the labels of episodes 0 to 9.

    The spans begin at frame 2.
    """
    return replace(dataset, episodes=tuple(
        replace(one, mode=None, label_source=None) if i < 10 else replace(one, span=(2, 6))
        for i, one in enumerate(dataset.episodes)))


def toy_config(dataset: Dataset, steps: int, **options: Any) -> RunConfig:
    """Return the config of a run with a small network."""
    training = replace(TRAINING, **{'steps': steps, 'batch_size': 64,
                                    'learning_rate': 3e-3} | options)
    return RunConfig('0', dataset.contract, NetworkOptions(48, 2), training,
                     dataset_record(dataset))


def train_toy(dataset: Dataset, folder: Path, steps: int, **options: Any) -> RunConfig:
    """Train a run to its end."""
    config = toy_config(dataset, steps, **options)
    folder.mkdir(parents=True)
    checkpoint.write_config(folder, config)
    assert cloning.train(dataset, folder, config).ended
    return config


def shares(policy: Policy, dataset: Dataset, draws: int = 400) -> dict[str, float]:
    """Return the shares of sampled chunks that go left, go right, and end up between."""
    observations, _ = tensors_of_frames(dataset, dataset.window_frames('validation'))
    generator = torch.Generator().manual_seed(5)
    picks = torch.randint(len(observations), (draws,), generator=generator)
    noise = torch.randn(draws, *policy.normaliser.chunk_shape, generator=generator)
    with torch.no_grad():
        chunks = policy(observations[picks], noise)
    sideways = (chunks[:, :, 1] - observations[picks, -1:, 1])[:, 0]
    return {'left': float((sideways > 0.06).float().mean()),
            'right': float((sideways < -0.06).float().mean()),
            'between': float((sideways.abs() <= 0.06).float().mean())}


def classified(logits: Callable[[Tensor, Tensor], Tensor], kept: int) -> ModeClassifier:
    """Return a classifier whose logits are a function of condition and chunk."""
    classifier = ModeClassifier(1, 1, 1, kept)
    classifier.forward = logits  # type: ignore[method-assign, assignment]
    return classifier
