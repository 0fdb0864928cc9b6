# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record the machine and the software of an audit, on which the bits of its episodes depend."""

import hashlib
import importlib.metadata
import importlib.resources
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from typing import Annotated

import numpy as np

from uncloning_ros.runtime.incident import Machine, this_machine
from uncloning_ros.schema import Doc, Sha256


@dataclass(frozen=True)
class AuditMachine(Machine):
    """The processor, versions and code that an episode's bits depend on."""

    code_sha256: Annotated[Sha256, Doc('of its Python files')]
    numpy: Annotated[str, Doc('version')]
    pybullet: Annotated[str, Doc('version')]


def machine() -> AuditMachine:
    """Return processor, versions, and the digest of this package's own code."""
    try:
        pybullet = importlib.metadata.version('pybullet')
    except importlib.metadata.PackageNotFoundError:
        pybullet = 'none'
    return AuditMachine(**vars(this_machine()), code_sha256=code_sha256(), numpy=np.__version__,
                        pybullet=pybullet)


@cache
def code_sha256() -> str:
    """Return the sha256 of this package's Python files, by name: a version alone may be edited."""
    digest = hashlib.sha256()
    for name, data in sorted(_files(importlib.resources.files('uncloning_ros'), '')):
        digest.update(f'{name}\0{len(data)}\0'.encode() + data)
    return digest.hexdigest()


def _files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        name = f'{prefix}{entry.name}'
        if entry.is_dir():
            found += _files(entry, f'{name}/')
        elif name.endswith('.py'):
            found.append((name, entry.read_bytes()))
    return found
