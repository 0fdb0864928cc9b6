# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors on disk: one safetensors file with a JSON record in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save
from torch import Tensor

from uncloning_ros.errors import CheckpointError
from uncloning_ros.files import LFS_POINTER, require_fetched, write_whole


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write one file, whole or not at all."""
    write_whole(path, save({name: tensor.detach().contiguous()
                            for name, tensor in tensors.items()},
                           {'record': json.dumps(record)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one file and its record; raise `CheckpointError` if it is damaged."""
    try:
        with path.open('rb') as start:
            require_fetched(start.read(len(LFS_POINTER)), path, CheckpointError)
        with safetensors.safe_open(path, 'pt') as file:
            record = json.loads((file.metadata() or {}).get('record', '{}'))
        return load_file(path), record
    except (OSError, ValueError, safetensors.SafetensorError) as err:
        raise CheckpointError(f'{path} is damaged: {err}; restore it, or train again') from err
