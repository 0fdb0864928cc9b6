# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One kind of input: how a valid one is made, mutated and read, and what a right end is."""

import hashlib
import shutil
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from uncloning_ros.errors import UncloningError

_RECORDINGS = ('.mcap', '.db3', '.zstd')
# What Python prints where a sentence was forgotten.
_NO_SENTENCE = ('Traceback', ' object at 0x', '<class ', '<function ')

# Ends that are refusals; not everything refuses with an error.
REFUSED = ('refused', 'left out', 'quarantined', 'refused_input')


class Kind(ABC):
    """One kind of input. An instance has a valid one, made once, in its folder if it is a file."""

    reader: ClassVar[str]  # the part of the program that reads it
    weight: ClassVar[int]  # its share of the mutations, relative to those of the others

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def mutated(self, rng: Generator, folder: Path) -> Any:
        """Write a mutated input into an empty folder; return what is to be read."""

    @abstractmethod
    def read(self, changed: Any) -> Any:
        """Return what the program reads; an `UncloningError` is a refusal."""

    @abstractmethod
    def require_right(self, changed: Any, result: Any) -> str:
        """Assert that the result is right; return a word for it."""

    def require_kept(self, changed: Any) -> None:  # noqa: B027 - most leave nothing to check
        """Assert that a refusal left everything as it was."""


def try_one(kind: Kind, seed: int, number: int) -> str:
    """Mutate, read and judge one input; return 'refused', or a word for the right result.

    Raise `AssertionError` for a wrong end, and whatever else comes up.
    """
    folder = kind.folder / f'{number}'
    folder.mkdir()
    try:
        changed = kind.mutated(generator(kind, seed, number), folder)
        before = recordings(folder)
        try:
            result = kind.read(changed)
        except UncloningError as err:
            require_sentence(str(err))
            kind.require_kept(changed)
            end = 'refused'
        else:
            end = kind.require_right(changed, result)
        assert not before - recordings(folder), 'a recording is lost'
        return end
    finally:
        shutil.rmtree(folder)


def generator(kind: Kind, seed: int, number: int) -> Generator:
    """Return the generator of one mutation, which depends on nothing else."""
    return np.random.default_rng([seed, number, zlib.crc32(type(kind).__name__.encode())])


def recordings(folder: Path) -> Counter[str]:
    """Return the storage files below a folder by their bytes, wherever they lie."""
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest()
                   for path in folder.rglob('*') if path.suffix in _RECORDINGS and path.is_file())


def require_sentence(text: str) -> None:
    """Assert that an error is a sentence in one line that can be printed."""
    assert text.encode(), 'an empty sentence'
    assert '\n' not in text, f'more than one line: {text!r:.300}'
    assert len(text) < 1000, f'{len(text)} characters: {text!r:.300}'
    assert not any(part in text for part in _NO_SENTENCE), f'not a sentence: {text!r:.300}'
