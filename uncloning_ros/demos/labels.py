# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which mode an episode shows: a versioned sidecar beside the bag, and a geometric rule.

The sidecar of `demos/episode_000003/` is `demos/episode_000003.labels.json`:

    {"schema": "uncloning/labels@1",
     "labels": [{"mode": "handle_first", "source": "rule", "confidence": 1.0,
                 "at": "2026-01-31T12:00:00+00:00"}]}

A label is never changed or removed, a newer one is added; the newest of a source counts. The
sources are `operator` (a person said so), `rule` (the geometric rule below) and `truth` (a
simulator that knows).
"""

import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import Contract, Interface
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bag import Episode
from uncloning_ros.errors import BagError, ContractError
from uncloning_ros.geometry import (
    Array,
    angle_between,
    segment_distance,
    transform_point,
    x_axis_of,
)
from uncloning_ros.scenario import Scenario
from uncloning_ros.strict_yaml import Fields

SCHEMA = 'uncloning/labels@1'
SOURCES = ('operator', 'rule', 'truth')

Times = NDArray[np.int64]

_SUFFIX = '.labels.json'

_WINDOW_NS = 500_000_000  # the angle is the median over so long before the exchange
_LEAST_SAMPLES = 5  # of the tool in that window: a median of fewer is no evidence
# Fingers that hold something are still; this much more than the held width is letting go. Half
# the thickness of a thin handle, and ten times what a gripper's encoder jitters.
_LET_GO_M = 0.008
# A tool this near to the tool centre point is between the fingers: half a finger's length, and
# the tracking noise of two poses.
_HELD_M = 0.05
# A hand that takes a tool has its palm this near to it: the thickness of a hand, and noise.
_TAKEN_M = 0.10


@dataclass(frozen=True)
class Label:
    """One opinion on the mode of an episode.

    `source` is one of `SOURCES`, `confidence` in [0, 1], `at` an ISO 8601 time with its zone.
    """

    mode: str
    source: str
    confidence: float
    at: str

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise BagError(f'expected a label source of {", ".join(SOURCES)}, got '
                           f'{self.source!r}')
        if not 0.0 <= self.confidence <= 1.0:
            raise BagError(f'expected a label confidence in [0, 1], got {self.confidence}')
        _time(self.at)


@dataclass(frozen=True)
class RuleLabel:
    """What the geometric rule says; `mode` is None where it abstains, and `reason` tells why.

    `angle_rad` is the blade-to-hand angle at the exchange, None where there was no exchange.
    `confidence` is the share of the samples that alone would say the same.
    """

    mode: str | None
    angle_rad: float | None
    confidence: float
    reason: str


def labels_path(episode: Path) -> Path:
    """Return where the sidecar of a bag directory lies."""
    return episode.with_name(episode.name + _SUFFIX)


def read_labels(episode: Path, interface: Interface) -> tuple[Label, ...]:
    """Return the labels of an episode, oldest first; none if it has no sidecar.

    Raise `BagError` for a sidecar that is damaged, `ContractError` for a mode that the contract
    does not have.
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
    fields.schema(SCHEMA)
    labels = []
    for item in fields.list_of_fields('labels'):
        label = Label(item.text('mode'), item.text('source'),
                      item.number('confidence', 0.0, 1.0), item.text('at'))
        item.done()
        try:
            interface.require_modes([label.mode])
        except ContractError as err:
            raise ContractError(f'{path}: {err}') from err
        labels.append(label)
    fields.done()
    return tuple(sorted(labels, key=lambda label: _time(label.at)))


def add_label(episode: Path, label: Label, interface: Interface) -> None:
    """Add one label to an episode's sidecar; the labels that are there stay."""
    interface.require_modes([label.mode])
    labels = (*read_labels(episode, interface), label)
    data = {'schema': SCHEMA,
            'labels': [{'mode': one.mode, 'source': one.source, 'confidence': one.confidence,
                        'at': one.at} for one in labels]}
    path = labels_path(episode)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    try:
        try:
            with temporary.open('x', encoding='utf-8') as file:
                file.write(json.dumps(data, indent=2) + '\n')
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as err:
        raise BagError(f'cannot write {path}: {err.strerror or err}') from err


def newest_label(labels: Sequence[Label], source: str) -> Label | None:
    """Return the newest label of a source, None if there is none; `labels` as read, in time."""
    return next((label for label in reversed(labels) if label.source == source), None)


def rule_label(contract: Contract, scenario: Scenario, episode: Episode) -> RuleLabel:
    """Recognise the mode of an episode from what was recorded, or abstain.

    The exchange is the last time that the gripper lets go of the tool while the hand is at it.
    The mode is the scenario's for the median blade-to-hand angle over the last 0.5 s before
    that; the angle lies between the tool's +x and the line from its handle point to the palm.
    Times are the stamps of the measurements, so the tracking's latency does not count.
    """
    keys = ('object_pose', 'hand_pose')
    width_key = next((signal.key for signal in contract.interface.observations
                      if signal.kind == 'gripper_width'), None)
    tool_key = next((signal.key for signal in contract.interface.observations
                     if signal.kind == 'pose'), None)
    if width_key is None or tool_key is None or any(key not in episode.samples for key in keys):
        return _abstain(f'the contract has no gripper width, or not {" and ".join(keys)}')
    width_ns, width = _series(episode.samples[width_key])
    tool_ns, tool = _series(episode.samples[tool_key])
    object_ns, objects = _series(episode.samples['object_pose'])
    hand_ns, hands = _series(episode.samples['hand_pose'])
    ends = _tool_ends(scenario)

    def gap(pose: Array, point: Array) -> Array:
        """Return how far points (..., 3) lie from the tool's length at poses (..., 9)."""
        return segment_distance(transform_point(pose, ends[0]), transform_point(pose, ends[1]),
                                point, point)

    exchange_ns, reason = None, 'the gripper never let go of anything'
    for release_ns in _releases(width_ns, width[:, 0],
                                contract.deployment.episode_end.open_width_m):
        pose = _newest(object_ns, objects, release_ns)
        held_m = float(gap(pose, _newest(tool_ns, tool, release_ns)[:3]))
        hand_m = float(gap(pose, _newest(hand_ns, hands, release_ns)[:3]))
        if held_m > _HELD_M:
            reason = f'the gripper opened {held_m:.2f} m away from the tool'
        elif hand_m > _TAKEN_M:
            reason = (f'the gripper let go with the hand {hand_m:.2f} m from the tool, farther '
                      f'than {_TAKEN_M} m')
        else:
            exchange_ns = release_ns
    if exchange_ns is None:
        return _abstain(reason)
    if float(gap(objects[-1], hands[-1][:3])) > _TAKEN_M:
        return _abstain('the tool did not stay with the hand')
    window = (object_ns > exchange_ns - _WINDOW_NS) & (object_ns <= exchange_ns)
    if np.count_nonzero(window) < _LEAST_SAMPLES:
        return _abstain(f'expected at least {_LEAST_SAMPLES} tool poses in the last 0.5 s before '
                        f'the exchange, got {np.count_nonzero(window)}')
    poses = objects[window]
    palms = _newest(hand_ns, hands, object_ns[window])[..., :3]
    handle = transform_point(poses, np.asarray(scenario.tool.handle_point_m))
    angles = angle_between(x_axis_of(poses), palms - handle)
    angle_rad = float(np.median(angles))
    mode = scenario.mode_of_angle(angle_rad)
    degrees = np.degrees(angle_rad)
    if mode is None:
        return RuleLabel(None, angle_rad, 0.0, f'the blade-to-hand angle of {degrees:.0f} degrees '
                                               f'at the exchange belongs to no mode')
    if mode not in contract.interface.modes:
        return RuleLabel(None, angle_rad, 0.0, f'the contract has no mode {mode!r}')
    confidence = float(np.mean([scenario.mode_of_angle(float(angle)) == mode for angle in angles]))
    return RuleLabel(mode, angle_rad, confidence,
                     f'blade-to-hand angle {degrees:.0f} degrees at the exchange')


def _abstain(reason: str) -> RuleLabel:
    return RuleLabel(None, None, 0.0, reason)


def _releases(width_ns: Times, width_m: Array, open_m: float) -> list[int]:
    """Return when the gripper began to open, for each time that it was closed and opened.

    Closed is below `open_m`; the fingers hold at the smallest width of that stretch.
    """
    closed = np.concatenate(([False], width_m < open_m, [False]))
    starts, ends = np.flatnonzero(np.diff(closed.astype(np.int8)) == 1), np.flatnonzero(
        np.diff(closed.astype(np.int8)) == -1)
    releases = []
    for start, end in zip(starts, ends, strict=True):
        if end == len(width_m):
            continue  # still closed when the recording ended
        stretch = width_m[start:end]
        held = np.flatnonzero(stretch < stretch.min() + _LET_GO_M)
        releases.append(int(width_ns[start + held[-1]]))
    return releases


def _series(samples: Sequence[Sample]) -> tuple[Times, Array]:
    """Return stamps (N,) and values (N, dim) in the order of the stamps."""
    stamps = np.array([sample.stamp_ns for sample in samples], dtype=np.int64)
    order = np.argsort(stamps, kind='stable')
    return stamps[order], np.stack([sample.values for sample in samples])[order]


def _newest(stamps_ns: Times, values: Array, at_ns: Times | int) -> Array:
    """Return the newest values (..., dim) at or before the times; the first one before it."""
    index = np.searchsorted(stamps_ns, at_ns, side='right') - 1
    return values[np.maximum(index, 0)]


def _tool_ends(scenario: Scenario) -> tuple[Array, Array]:
    """Return the two ends of the tool's length, on its own x axis."""
    low = min(part.center_m[0] - part.size_m[0] / 2 for part in scenario.tool.parts.values())
    high = max(part.center_m[0] + part.size_m[0] / 2 for part in scenario.tool.parts.values())
    return np.array([low, 0.0, 0.0]), np.array([high, 0.0, 0.0])


def _time(text: str) -> datetime.datetime:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as err:
        raise BagError(f'expected an ISO 8601 time, got {text!r}') from err
    if time.tzinfo is None:
        raise BagError(f'expected a time with its zone, as in 2026-01-31T12:00:00+00:00, got '
                       f'{text!r}')
    return time
