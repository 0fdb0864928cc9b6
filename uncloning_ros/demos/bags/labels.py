# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label episodes with modes: a versioned sidecar beside the bag says who saw which mode.

The sidecar of `demos/episode_000003/` is `demos/episode_000003.labels.json`:

    {"schema": "uncloning/labels@2",
     "labels": [{"mode": "handle_first", "source": "rule", "confidence": 1.0,
                 "at": "2026-01-31T12:00:00+00:00", "by": "knife@3f2a9c81d0b4",
                 "software_version": "0.1.0"}]}

A label is never changed or removed, another is added below it; of each source the last one
counts. Clocks of several machines may disagree, so the order in the file decides, not `at`. A
label without a mode (null) withdraws the label of its source before it. The sources, those that
outrank others first:

    operator  a person saw it; `by` is the name
    rule      the geometric rule; `by` is the scenario and the beginning of its sha256
    cluster   a person named the cluster that the episode lies in; `by` has cluster and person
    truth     the simulator

A label that was decided for a part of its episode has `"from_s": 0.5, "to_s": 4.0` as well, in
seconds since the episode's first message; one of the two may be left out.

Labels of a piece of a bag, as in `demos/monday#3.labels.json`, have its first and last receive
time as well, `"span_ns": [1769860800000000000, 1769860808000000000]`: a bag that is cut in
another way has another third piece.

Schema 1, which had neither `by` nor `software_version`, is read as well.
"""

import contextlib
import datetime
import fcntl
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from uncloning_ros import __version__
from uncloning_ros.contract import Interface
from uncloning_ros.errors import BagError, ContractError, UncloningError, shown
from uncloning_ros.files import disk_errors, parse_json, require_fetched, write_lasting
from uncloning_ros.schema import plain, read

Source = Literal['operator', 'rule', 'cluster', 'truth']
SOURCES: tuple[Source, ...] = get_args(Source)
_SUFFIX = '.labels.json'


@dataclass(frozen=True)
class Label:
    """One opinion on the mode of an episode; `mode` None withdraws the source's label before.

    `confidence` is in [0, 1], `at` an ISO 8601 time with its zone. `by` names the operator, the
    rule or the cluster. `software_version` is that of the package that added the label. Both are
    '' where an older package did not write them. The mode was decided for the span from `from_s`
    to `to_s`, both included, in s since the episode began; None for its begin and its end.
    """

    mode: str | None
    source: Source
    confidence: float
    at: str
    by: str = ''
    software_version: str = ''
    from_s: float | None = None
    to_s: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise BagError(f'expected a label confidence in [0, 1], got {self.confidence}')
        if self.by != ' '.join(self.by.split()):
            raise BagError(f'expected the author of a label as one line of words, got '
                           f'{shown(self.by)}')
        try:
            zone = datetime.datetime.fromisoformat(self.at).tzinfo
        except ValueError as err:
            raise BagError(f'expected an ISO 8601 time, got {shown(self.at)}') from err
        if zone is None:
            raise BagError(f'expected a time with its zone, as in 2026-01-31T12:00:00+00:00, got '
                           f'{shown(self.at)}')
        if self.mode is None and self.has_span:
            raise BagError(f'expected no span of a label that withdraws another, got {self.span}; '
                           f'leave it out')
        for end_s in (self.from_s, self.to_s):
            if end_s is not None and not 0.0 <= end_s < math.inf:
                raise BagError(f'expected the span of a label in seconds since its episode began, '
                               f'0 or above, got {end_s}; label again with another span')
        if self.from_s is not None and self.to_s is not None and self.from_s >= self.to_s:
            raise BagError(f'expected the span of a label to end after its begin at '
                           f'{self.from_s:g} s, got an end at {self.to_s:g} s; label again with '
                           f'another span')

    @property
    def has_span(self) -> bool:
        """Tell whether the mode was decided for a part of the episode."""
        return self.from_s is not None or self.to_s is not None

    @property
    def span(self) -> str:
        """Return the part of the episode in words, '' for all of it."""
        begin = '' if self.from_s is None else f'from {self.from_s:g} s'
        end = '' if self.to_s is None else f'to {self.to_s:g} s'
        return ' '.join(filter(None, (begin, end)))

    def says_the_same(self, other: 'Label | None') -> bool:
        """Tell whether another label is the same opinion of the same source, at any time."""
        return other is not None and (
            replace(self, at=other.at, software_version=other.software_version) == other)


@dataclass(frozen=True, kw_only=True)
class _Sidecar:
    """The labels of one episode; `span_ns` is that of a piece of a bag."""

    SCHEMAS: ClassVar = ('uncloning/labels@2', 'uncloning/labels@1')
    span_ns: tuple[int, int] | None = None
    labels: tuple[Label, ...]


def labels_path(episode: Path) -> Path:
    """Return where the sidecar of a bag directory lies."""
    return episode.with_name(episode.name + _SUFFIX)


def read_labels(episode: Path, interface: Interface,
                span_ns: tuple[int, int] | None = None) -> tuple[Label, ...]:
    """Return the labels of an episode in the order they were added; none if it has no sidecar.

    `span_ns` is that of a piece of a bag. Raise `BagError` for a sidecar that is damaged or of
    another span, `ContractError` for a mode that the contract does not have.
    """
    path = labels_path(episode)
    with disk_errors(f'cannot read {path}', BagError):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return ()
    require_fetched(data, path, BagError)
    sidecar = read(_Sidecar, parse_json(data, path, BagError), str(path), BagError)
    if sidecar.span_ns != span_ns:
        raise BagError(f'{path}: expected labels of {_spoken(span_ns)}, got those of '
                       f'{_spoken(sidecar.span_ns)}; cut the bag as it was cut for its labels, or '
                       f'move that file away and label again')
    try:
        interface.require_modes([label.mode for label in sidecar.labels
                                 if label.mode is not None])
    except ContractError as err:
        raise ContractError(f'{path}: {err}') from err
    return sidecar.labels


def add_label(episode: Path, label: Label, interface: Interface,
              span_ns: tuple[int, int] | None = None) -> None:
    """Add one label to an episode's sidecar; the labels that are there stay.

    `span_ns` is that of a piece of a bag. Raise as `read_labels` does.
    The bag is locked meanwhile, so that of two labels that are added at once none is lost.
    """
    if label.mode is not None:
        interface.require_modes([label.mode])
    path = labels_path(episode)
    with _locked(episode):
        label = replace(label, software_version=__version__)
        sidecar = _Sidecar(span_ns=span_ns,
                           labels=(*read_labels(episode, interface, span_ns), label))
        with disk_errors(f'cannot write {path}', BagError):
            write_lasting(path, (json.dumps(plain(sidecar), indent=2) + '\n').encode())


def add_recorded_labels(episode: Path, labels: Sequence[Label], interface: Interface) -> str:
    """Add the labels that a bag's events have; return those that failed as a sentence's end."""
    failed = ''
    for label in labels:
        try:
            add_label(episode, label, interface)
        except UncloningError as err:
            failed += f'; its label {label.mode} is in the bag alone: {err}'
    return failed


def newest_label(labels: Sequence[Label], source: str) -> Label | None:
    """Return the last label of a source, None if there is none or it was withdrawn."""
    last = next((label for label in reversed(labels) if label.source == source), None)
    return None if last is None or last.mode is None else last


def standing_label(labels: Sequence[Label]) -> Label | None:
    """Return the label that counts: the last one of the first source that has one."""
    return next((found for source in SOURCES
                 if (found := newest_label(labels, source)) is not None), None)


def iso_time(time_ns: int) -> str:
    """Return an instant in ns since 1970 in the form of a label's `at`."""
    return datetime.datetime.fromtimestamp(time_ns * 1e-9, datetime.UTC).isoformat(
        timespec='milliseconds')


def _spoken(span_ns: Sequence[float] | None) -> str:
    """Return the words for a span of a bag."""
    if span_ns is None:
        return 'a whole bag'
    return 'the piece from {:.3f} to {:.3f} s'.format(*(time_ns * 1e-9 for time_ns in span_ns))


@contextlib.contextmanager
def _locked(episode: Path) -> Iterator[None]:
    """Lock a bag; wait until no other process locks it.

    An episode that is one piece of a bag has no file of its own; then its folder is locked.
    """
    with disk_errors(f'cannot label {episode}', BagError):
        descriptor = os.open(episode if episode.exists() else episode.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
