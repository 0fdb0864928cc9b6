# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which mode an episode shows, and who says so: a versioned sidecar beside the bag.

The sidecar of `demos/episode_000003/` is `demos/episode_000003.labels.json`:

    {"schema": "uncloning/labels@2",
     "labels": [{"mode": "handle_first", "source": "rule", "confidence": 1.0,
                 "at": "2026-01-31T12:00:00+00:00", "by": "knife@3f2a9c81d0b4",
                 "software_version": "0.1.0"}]}

A label is never changed or removed, another is added below it; of each source the last one
counts. Clocks of several machines may disagree, so the order in the file decides, not `at`. A
label without a mode (null) withdraws what its source said before. The sources, those that
outrank others first:

    operator  a person said so; `by` is the name
    rule      the geometric rule; `by` is the scenario and the beginning of its sha256
    cluster   a person named the cluster that the episode lies in; `by` says which, and who
    truth     a simulator that knows

Labels of a piece of a bag, as in `demos/monday#3.labels.json`, name its first and last receive
time as well, `"span_ns": [1769860800000000000, 1769860808000000000]`, for a bag that is cut in
another way has another third piece.

Schema 1, which had neither `by` nor `software_version`, is read as well.
"""

import contextlib
import datetime
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncloning_ros import __version__
from uncloning_ros.contract import Interface
from uncloning_ros.errors import BagError, ContractError
from uncloning_ros.files import whole_file
from uncloning_ros.schema import Fields

SCHEMA = 'uncloning/labels@2'
SOURCES = ('operator', 'rule', 'cluster', 'truth')

_READ = ('uncloning/labels@1', SCHEMA)
_SUFFIX = '.labels.json'


@dataclass(frozen=True)
class Label:
    """One opinion on the mode of an episode; `mode` None withdraws what its source said before.

    `source` is one of `SOURCES`, `confidence` in [0, 1], `at` an ISO 8601 time with its zone.
    `by` names the operator, the rule or the cluster; it and the version are '' where an older
    package did not write them.
    """

    mode: str | None
    source: str
    confidence: float
    at: str
    by: str = ''
    software_version: str = __version__

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise BagError(f'expected a label source of {", ".join(SOURCES)}, got '
                           f'{self.source!r}')
        if not 0.0 <= self.confidence <= 1.0:
            raise BagError(f'expected a label confidence in [0, 1], got {self.confidence}')
        if self.by != ' '.join(self.by.split()):
            raise BagError(f'expected who gave a label as one line of words, got {self.by!r}')
        _require_time(self.at)

    def says_the_same(self, other: 'Label | None') -> bool:
        """Tell whether another label is the same opinion of the same source, whenever given."""
        return other is not None and (
            (self.mode, self.source, self.confidence, self.by)
            == (other.mode, other.source, other.confidence, other.by))


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
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise BagError(f'cannot read {path}: {err.strerror or err}') from err
    except (ValueError, RecursionError) as err:
        raise BagError(f'{path} is not JSON: {err}') from err
    fields = Fields(data, str(path), BagError)
    if fields.text('schema') not in _READ:
        raise fields.fail('schema', ' or '.join(map(repr, _READ)))
    labels = tuple(_label(item) for item in fields.list_of_fields('labels'))
    found_ns = fields.numbers('span_ns', 2) if fields.has('span_ns') else None
    fields.done()
    if found_ns != (None if span_ns is None else tuple(map(float, span_ns))):
        raise BagError(f'{path} labels {_spoken(found_ns)}, but {episode.name} is '
                       f'{_spoken(span_ns)} now; cut the bag as it was cut for its labels, or '
                       f'move that file away and label anew')
    try:
        interface.require_modes([label.mode for label in labels if label.mode is not None])
    except ContractError as err:
        raise ContractError(f'{path}: {err}') from err
    return labels


def add_label(episode: Path, label: Label, interface: Interface,
              span_ns: tuple[int, int] | None = None) -> None:
    """Add one label to an episode's sidecar; the labels that are there stay.

    `span_ns` is that of a piece of a bag. Raise as `read_labels` does.
    The bag is held meanwhile, so that of two labels that are added at once none is lost.
    """
    if label.mode is not None:
        interface.require_modes([label.mode])
    path = labels_path(episode)
    with _held(episode):
        labels = (*read_labels(episode, interface, span_ns), label)
        data = {'schema': SCHEMA, **({} if span_ns is None else {'span_ns': span_ns}),
                'labels': [_as_data(one) for one in labels]}
        try:
            with whole_file(path) as partial, partial.open('w', encoding='utf-8') as file:
                file.write(json.dumps(data, indent=2) + '\n')
                file.flush()
                os.fsync(file.fileno())
        except OSError as err:
            raise BagError(f'cannot write {path}: {err.strerror or err}') from err


def newest_label(labels: Sequence[Label], source: str) -> Label | None:
    """Return the last label of a source, None if there is none or it was withdrawn."""
    last = next((label for label in reversed(labels) if label.source == source), None)
    return None if last is None or last.mode is None else last


def standing_label(labels: Sequence[Label]) -> Label | None:
    """Return the label that counts: the last one of the first source that has one."""
    return next((found for source in SOURCES
                 if (found := newest_label(labels, source)) is not None), None)


def iso_time(time_ns: int) -> str:
    """Return an instant in ns since 1970 as labels tell theirs."""
    return datetime.datetime.fromtimestamp(time_ns * 1e-9, datetime.UTC).isoformat(
        timespec='milliseconds')


def _label(item: Fields) -> Label:
    """Return one label of a sidecar."""
    withdrawn = item.has('mode') and item.plain()['mode'] is None
    mode = None if withdrawn else item.text('mode')
    values = (mode, item.text('source'), item.number('confidence', 0.0, 1.0), item.text('at'),
              item.text('by') if item.has('by') else '',
              item.text('software_version') if item.has('software_version') else '')
    item.done()
    try:
        return Label(*values)
    except BagError as err:
        raise BagError(f'{item.where}: {err}') from err


def _as_data(label: Label) -> dict[str, Any]:
    """Return one label as the sidecar has it; what nobody told is left out."""
    return {key: value for key, value in vars(label).items() if value != ''}


def _spoken(span_ns: Sequence[float] | None) -> str:
    """Return which part of a bag a span is, for a sentence."""
    if span_ns is None:
        return 'no piece of a bag'
    return 'the piece from {:.3f} to {:.3f} s'.format(*(time_ns * 1e-9 for time_ns in span_ns))


@contextlib.contextmanager
def _held(episode: Path) -> Iterator[None]:
    """Hold a bag, waiting until nobody else does.

    An episode that is one piece of a bag has no file of its own; then its folder is held.
    """
    try:
        descriptor = os.open(episode if episode.exists() else episode.parent, os.O_RDONLY)
    except OSError as err:
        raise BagError(f'cannot label {episode}: {err.strerror or err}') from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _require_time(text: str) -> None:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as err:
        raise BagError(f'expected an ISO 8601 time, got {text!r}') from err
    if time.tzinfo is None:
        raise BagError(f'expected a time with its zone, as in 2026-01-31T12:00:00+00:00, got '
                       f'{text!r}')
