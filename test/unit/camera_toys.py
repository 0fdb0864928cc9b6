# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A toy task with two cameras: where the target is shows in their pictures alone.

The front camera shows a blob whose place tells y of the target, the wrist camera one that tells z.
Along x some episodes go left, some right, and nothing tells which.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from learning_toys import FRAMES, toy_contract
from numpy.typing import NDArray

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.demos.dataset.store import (
    Dataset,
    DatasetWriter,
    Description,
    EpisodeRecord,
    load_dataset,
)
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import RunConfig, dataset_record
from uncloning_ros.learning.options import CAMERA_TRAINING, NetworkOptions, PictureOptions
from uncloning_ros.schema import plain

FRONT, WRIST = 'front_camera', 'wrist_camera'
SEEN_M, AROUND_M = 0.1, 0.1  # of the target from the tool: at most by its blob, and by the mode
_WAY_PX = 10  # of a blob from the centre of its picture, at most


def camera_contract(**interface: Any) -> Contract:
    """Return the toy contract with cameras of other sizes and encodings in place of the object."""
    data = plain(toy_contract())
    size = {'kind': 'image', 'unit': 'level', 'camera_size': [64, 48]}
    data['interface'] |= {'observations': [
        data['interface']['observations'][0],
        {'key': FRONT, 'width': 32, 'height': 40, 'encoding': 'rgb8', **size},
        {'key': WRIST, 'width': 32, 'height': 32, 'encoding': 'mono8', **size}]} | interface
    topics = data['deployment']['observations']
    del topics['object_pose']
    for key in (FRONT, WRIST):
        topics[key] = {'topic': key, 'type': 'sensor_msgs/msg/CompressedImage', 'max_age_s': 0.2}
    return contract_from_dict(data)


def blobs(places: NDArray[Any], shape: tuple[int, ...], noise: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pictures (N, *shape) of a light blob at x, y (N, 2), in px from the centre."""
    height, width, channels = shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width / 2 - places[:, 0, None, None],
                        y - height / 2 - places[:, 1, None, None])
    light = 40 + 180 * np.exp(-(distance / 3) ** 2) + noise
    return np.repeat(light[..., None], channels, -1).clip(0, 255).astype(np.uint8)


def camera_dataset(folder: Path, episodes: int = 60, seed: int = 0) -> Dataset:
    """Write a dataset as the builder does; every fifth episode of a mode is for validation."""
    contract = camera_contract()
    rng = np.random.default_rng(seed)
    rows, commands, records = [], [], []
    with DatasetWriter(folder) as writer:
        for i in range(episodes):
            mode = ('left', 'right')[i % 2]
            places = np.zeros((2, FRAMES, 2))
            ways = rng.uniform(-1, 1, (2, 1)) + np.cumsum(rng.normal(0, 0.1, (2, FRAMES)), 1)
            places[0, :, 0], places[1, :, 1] = ways.clip(-1, 1)
            writer.add({camera.key: blobs(_WAY_PX * places[j], camera.shape,
                                          rng.normal(0, 5, (FRAMES, *camera.shape[:2])))
                        for j, camera in enumerate(contract.interface.cameras)})
            observations = np.tile([0.3, 0, 0.2, 1, 0, 0, 0, 1, 0], (FRAMES, 1))
            observations[:, :3] += rng.normal(0, 0.02, (FRAMES, 3))
            actions = np.tile([0.3, 0, 0.2, 1, 0, 0, 0, 1, 0, 0.04], (FRAMES, 1))
            actions[:, :3] = observations[:, :3]
            actions[:, 0] += AROUND_M if mode == 'left' else -AROUND_M
            actions[:, 1] += SEEN_M * places[0, :, 0]
            actions[:, 2] += SEEN_M * places[1, :, 1]
            rows.append(observations)
            commands.append(actions)
            records.append(EpisodeRecord(
                f'episode_{i:06d}', mode, 'truth', f'{i:064x}',
                'validation' if i // 2 % 5 == 4 else 'train', FRAMES, 100 + i))
        writer.finish(np.concatenate(rows).astype(np.float32),
                      np.concatenate(commands).astype(np.float32),
                      Description(software_version='0', scenario='toy', scenario_sha256='0',
                                  contract=contract, labels='truth', split_seed=0, validation=0.2,
                                  episodes=tuple(records), left_out=()))
    return load_dataset(folder)


def camera_config(dataset: Dataset, steps: int, **options: Any) -> RunConfig:
    """Return the config of a run with a small network."""
    training = dataclasses.replace(CAMERA_TRAINING, **{
        'steps': steps, 'batch_size': 32, 'learning_rate': 3e-3,
        'pictures': PictureOptions(draws=4, shift_px=1, light=0.1)} | options)
    return RunConfig('0', dataset.contract, NetworkOptions(48, 2), training,
                     dataset_record(dataset))


def train_camera(dataset: Dataset, folder: Path, steps: int, **options: Any) -> RunConfig:
    """Train a run to its end."""
    config = camera_config(dataset, steps, **options)
    folder.mkdir(parents=True)
    checkpoint.write_config(folder, config)
    assert cloning.train(dataset, folder, config).ended
    return config
