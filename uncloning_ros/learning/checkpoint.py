# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training runs on disk: their config, their weights, and the state of an unfinished one.

A run is a folder:
  config.json           contract, network, options, data and edit (schema uncloning/run@1)
  weights.safetensors   the weights, their average, and some recorded observations and pictures;
                        a run that has not ended does not have this file
  resume.safetensors    everything that an unfinished run needs to go on; gone when it has ended
  log.csv, tensorboard/ loss and learning rate by step
Each file is written under a temporary name and renamed, so that it is whole or not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from uncloning_ros.contract import Contract
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.files import file_sha256, read_json, write_json
from uncloning_ros.learning.edit_record import edits
from uncloning_ros.learning.options import NetworkOptions, TrainingOptions
from uncloning_ros.learning.policies import POLICIES, Policy, build_policy
from uncloning_ros.learning.tensor_files import load_tensors, save_tensors
from uncloning_ros.pictures import require_decoder
from uncloning_ros.schema import plain, read

_CONFIG, _WEIGHTS, _RESUME = 'config.json', 'weights.safetensors', 'resume.safetensors'
_AVERAGE, _NEWEST = 'average.', 'newest.'
_OBSERVATIONS, _PICTURES = 'recorded_observations', 'recorded_pictures.'


@dataclass(frozen=True)
class RunConfig:
    """Everything that made a run, as it is written in config.json.

    `software_version` is that of this package, `data` the `dataset_record` of the training;
    `edit` is the record of the edit that made these weights from those of another run, None for
    a cloned policy.
    """

    SCHEMAS: ClassVar = ('uncloning/run@1',)
    software_version: str
    contract: Contract
    network: NetworkOptions
    training: TrainingOptions
    data: Mapping[str, Any]
    edit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    `policy` has the averaged weights, those that are exported; `observations` are some
    recorded windows (N, history, obs_dim), `pictures` the pictures of each camera that belong to
    them, uint8 (N, height, width, channels); `sha256` is that of weights.safetensors.
    """

    config: RunConfig
    policy: Policy
    observations: Tensor
    pictures: Mapping[str, Tensor]
    sha256: str


def dataset_record(dataset: Dataset) -> dict[str, Any]:
    """Return the provenance of a dataset, as a run and an exported policy have it.

    It names the scenario and the decoder of the dataset, if that has them. `outside_spans` is the
    number of training windows outside of the spans of labels, if any are.
    """
    outside = len(dataset.frames_without_mode('train', labelled=True))
    scenario = {} if dataset.scenario is None else {'scenario': dataset.scenario}
    return {
        'sha256': dataset.sha256,
        **scenario,
        'seeds': list(dataset.seeds),
        'episodes': [{'name': episode.name, 'mode': episode.mode, 'split': episode.split,
                      'digest': episode.digest} for episode in dataset.episodes],
    } | ({'outside_spans': outside} if outside else {}) | (
        {} if dataset.decoder is None else {'decoder': list(dataset.decoder)})


def require_decoders(config: RunConfig) -> None:
    """Raise `ModelError` if this machine decodes pictures otherwise than those of any dataset.

    Older datasets do not tell how theirs were decoded.
    """
    views = [one.view for one in config.contract.interface.cameras]
    for data in (config.data, *(edit['data'] for edit in edits(config.edit))):
        if 'decoder' in data:
            require_decoder('the run', data['decoder'], views)


def write_config(folder: Path, config: RunConfig) -> None:
    """Write config.json."""
    write_json(folder / _CONFIG, plain(config))


def read_config(folder: Path) -> RunConfig:
    """Read config.json; raise `CheckpointError` for a folder that is not a run."""
    path = folder / _CONFIG
    data = read_json(path, CheckpointError,
                     f'{folder} is not a training run; make one with uncloning train')
    config = read(RunConfig, data, str(path), CheckpointError)
    if config.network.kind not in POLICIES:
        raise CheckpointError(f'{path}.network.kind: expected {" or ".join(POLICIES)}, got '
                              f'{config.network.kind!r}; train again with this version')
    return config


def save_weights(folder: Path, newest: Policy, average: Policy, observations: Tensor,
                 pictures: Mapping[str, Tensor]) -> None:
    """Write weights.safetensors, which marks the run as ended."""
    tensors = {_NEWEST + name: tensor for name, tensor in newest.state_dict().items()}
    tensors |= {_AVERAGE + name: tensor for name, tensor in average.named_parameters()}
    tensors |= {_PICTURES + key: pixels for key, pixels in pictures.items()}
    save_tensors(folder / _WEIGHTS, tensors | {_OBSERVATIONS: observations}, {})


def load_run(folder: Path) -> Run:
    """Read a run that has ended; raise `CheckpointError` for anything else."""
    config = read_config(folder)
    path = folder / _WEIGHTS
    if not path.is_file():
        raise CheckpointError(f'{folder} has not ended: it has no {_WEIGHTS}; finish it with '
                              f'uncloning train DATA --out {folder} --resume')
    tensors, _ = load_tensors(path)
    policy = build_policy(config.contract, config.network)
    state = {name.removeprefix(_AVERAGE): tensor for name, tensor in tensors.items()
             if name.startswith(_AVERAGE)}
    # The average is kept of what is trained; the normaliser is the same for both.
    for name, tensor in policy.state_dict().items():
        found = state.get(name, tensors.get(_NEWEST + name))
        if found is None or found.shape != tensor.shape or found.dtype != tensor.dtype:
            shown = 'nothing' if found is None else f'{found.dtype} {tuple(found.shape)}'
            raise CheckpointError(f'{path}: expected {name} as {tensor.dtype} '
                                  f'{tuple(tensor.shape)}, got {shown}; the file does not '
                                  f'belong to {folder / _CONFIG}')
        state[name] = found
    for name in (_OBSERVATIONS, *(_PICTURES + key for key in policy.cameras)):
        if name not in tensors:
            raise CheckpointError(f'{path}: expected {name}, got nothing; train again')
    policy.load_state_dict(state)
    policy.eval().requires_grad_(False)
    return Run(config, policy, tensors[_OBSERVATIONS],
               {key: tensors[_PICTURES + key] for key in policy.cameras}, file_sha256(path))


def resume_file(folder: Path) -> Path:
    """Return the file of tensors that an unfinished run needs to go on."""
    return folder / _RESUME


def has_ended(folder: Path) -> bool:
    """Tell whether the run has its final weights."""
    return (folder / _WEIGHTS).is_file()
