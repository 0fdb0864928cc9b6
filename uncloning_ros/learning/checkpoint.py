# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training runs on disk: what made them, their weights, and where an unfinished one stands.

A run is a folder:
  config.json           what it was made of and how (schema uncloning/run@1)
  weights.safetensors   the weights, their average, and some recorded observations; a run that
                        has not ended does not have this file
  resume.safetensors    everything that an unfinished run needs to go on; gone when it has ended
  log.csv, tensorboard/ what happened on the way
Each file is written under a temporary name and renamed, so that it is whole or not there.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save
from torch import Tensor

import uncloning_ros
from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.errors import CheckpointError
from uncloning_ros.files import write_whole
from uncloning_ros.learning.network import Policy
from uncloning_ros.schema import Fields, plain

SCHEMA = 'uncloning/run@1'

_CONFIG, _WEIGHTS, _RESUME = 'config.json', 'weights.safetensors', 'resume.safetensors'
_AVERAGE, _NEWEST = 'average.', 'newest.'
_OBSERVATIONS = 'recorded_observations'


@dataclass(frozen=True)
class NetworkShape:
    """What is needed to build the network anew, apart from the contract."""

    width: int
    depth: int


@dataclass(frozen=True)
class TrainingOptions:
    """How a run was trained; the same options and data give the same weights."""

    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int
    only_modes: tuple[str, ...]


@dataclass(frozen=True)
class RunConfig:
    """Everything that made a run.

    `data` is what the dataset says of itself (`Dataset` provenance); `edit` is the record of
    the edit that made these weights from those of another run, None for a cloned policy.
    """

    contract: Contract
    network: NetworkShape
    training: TrainingOptions
    data: Mapping[str, Any]
    edit: Mapping[str, Any] | None = None
    software_version: str = uncloning_ros.__version__


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    `policy` has the averaged weights, those that are exported; `observations` are some
    recorded windows (N, history, obs_dim); `sha256` is that of weights.safetensors.
    """

    config: RunConfig
    policy: Policy
    observations: Tensor
    sha256: str


def build_policy(config: RunConfig) -> Policy:
    """Build the network of a run, its weights drawn from torch's random state."""
    shape = config.network
    return Policy(config.contract.interface, config.contract.policy, shape.width, shape.depth)


def write_config(folder: Path, config: RunConfig) -> None:
    """Write config.json."""
    write_json(folder / _CONFIG, config_to_dict(config))


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Return the config as plain data, which `read_config` reads back."""
    data = {'schema': SCHEMA, 'software_version': config.software_version,
            'contract': plain(config.contract), 'network': asdict(config.network),
            'training': asdict(config.training), 'data': dict(config.data)}
    return data if config.edit is None else data | {'edit': dict(config.edit)}


def read_config(folder: Path) -> RunConfig:
    """Read config.json; raise `CheckpointError` for a folder that is not a run."""
    path = folder / _CONFIG
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except OSError as err:
        raise CheckpointError(f'{folder} is not a training run: cannot read {path} '
                              f'({err.strerror}); make one with uncloning train') from err
    except ValueError as err:
        raise CheckpointError(f'{path} is not valid JSON: {err}') from err
    fields = Fields(data, str(path), CheckpointError)
    fields.schema(SCHEMA)
    version = fields.text('software_version')
    contract = contract_from_dict(fields.fields('contract').plain(), f'{path}: contract')
    network = fields.fields('network')
    shape = NetworkShape(network.count('width'), network.count('depth'))
    network.done()
    part = fields.fields('training')
    training = TrainingOptions(
        part.count('steps'), part.count('batch_size'), part.number('learning_rate', 0.0),
        part.count('seed', 0), part.count('threads'),
        part.texts('only_modes') if part.plain().get('only_modes') else ())
    part.has('only_modes')
    part.done()
    data_record = fields.fields('data').plain()
    edit = fields.fields('edit').plain() if fields.has('edit') else None
    fields.done()
    return RunConfig(contract, shape, training, data_record, edit, version)


def save_weights(folder: Path, newest: Policy, average: Mapping[str, Tensor],
                 observations: Tensor) -> None:
    """Write weights.safetensors, which marks the run as ended."""
    tensors = {_NEWEST + name: tensor for name, tensor in newest.state_dict().items()}
    tensors |= {_AVERAGE + name: tensor for name, tensor in average.items()}
    save_tensors(folder / _WEIGHTS, tensors | {_OBSERVATIONS: observations}, {})


def load_run(folder: Path) -> Run:
    """Read a run that has ended; raise `CheckpointError` for anything else."""
    config = read_config(folder)
    path = folder / _WEIGHTS
    if not path.is_file():
        raise CheckpointError(f'{folder} has not ended: it has no {_WEIGHTS}; finish it with '
                              f'uncloning train DATA --out {folder} --resume')
    tensors, _ = load_tensors(path)
    policy = build_policy(config)
    observations = tensors.pop(_OBSERVATIONS, None)
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
    if observations is None:
        raise CheckpointError(f'{path}: expected {_OBSERVATIONS}, got nothing; train anew')
    policy.load_state_dict(state)
    policy.eval().requires_grad_(False)
    return Run(config, policy, observations, file_sha256(path))


def save_resume(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write where an unfinished run stands."""
    save_tensors(folder / _RESUME, tensors, record)


def load_resume(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read where an unfinished run stands; None if it has not got anywhere yet."""
    path = folder / _RESUME
    return load_tensors(path) if path.is_file() else None


def drop_resume(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    (folder / _RESUME).unlink(missing_ok=True)


def has_ended(folder: Path) -> bool:
    """Tell whether the run has its final weights."""
    return (folder / _WEIGHTS).is_file()


def remove_folder(folder: Path) -> None:
    """Remove a folder that was never finished."""
    shutil.rmtree(folder, ignore_errors=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write one safetensors file with a JSON record in its header, whole or not at all."""
    write_whole(path, save({name: tensor.detach().contiguous()
                            for name, tensor in tensors.items()},
                           {'record': json.dumps(record)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one safetensors file and its record; raise `CheckpointError` if it is damaged."""
    try:
        with safetensors.safe_open(path, 'pt') as file:
            record = json.loads((file.metadata() or {}).get('record', '{}'))
        return load_file(path), record
    except (OSError, ValueError, safetensors.SafetensorError) as err:
        raise CheckpointError(f'{path} is damaged: {err}; restore it, or train anew') from err


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write one JSON file, whole or not at all."""
    text = json.dumps(data, indent=2, allow_nan=False) + '\n'
    write_whole(path, text.encode('utf-8'))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
