# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Match the signals of a contract with the features of a LeRobot set.

A signal is, the first of these that is there:

    the feature that the user names, or some numbers of it
    a feature of its key: observation.KEY, observation.images.KEY, action.KEY, KEY
    the numbers of observation.state or action that are named KEY.COMPONENT
    those that are named as its joints, also with a word behind: elbow.pos for elbow
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.demos.lerobot.layout import ACTION, IMAGES, STATE, Feature, LeRobotSet
from uncloning_ros.errors import DatasetError, names_shown

_OPTION = re.compile(r'(?P<feature>[^\[\]]+)(\[(?P<first>\d+):(?P<end>\d+)\])?')
_POSE = ('x', 'y', 'z', 'xx', 'xy', 'xz', 'yx', 'yy', 'yz')


@dataclass(frozen=True)
class Source:
    """The feature of a signal, and which of its numbers; none of a camera."""

    signal: Signal
    feature: str
    picks: tuple[int, ...]


def components(signal: Signal) -> tuple[str, ...]:
    """Return the names of a signal's numbers in a LeRobot set."""
    names = (signal.names if len(signal.names) == signal.dim else
             _POSE if signal.kind == 'pose' else tuple(map(str, range(signal.dim))))
    return tuple(f'{signal.key}.{name}' for name in names)


def sources(contract: Contract, found: LeRobotSet, given: Mapping[str, str]) -> list[Source]:
    """Return the source of every signal; raise `DatasetError` for one that is not found.

    `given` are the user's features by key, as in 'observation.state[0:6]'.
    """
    interface = contract.interface
    keys = [signal.key for signal in (*interface.observations, *interface.actions)]
    for key in given:
        if key not in keys:
            raise DatasetError(f'--column names {key!r}, expected a key of the contract '
                               f'({", ".join(keys)}); correct it')
    return [_source(signal, whole, found, given.get(signal.key))
            for whole, signals in ((STATE, interface.observations), (ACTION, interface.actions))
            for signal in signals]


def values(source: Source, feature: Feature, frames: pa.Table) -> NDArray[np.float64]:
    """Return the values (T, dim) of a signal; raise `DatasetError` for a damaged column."""
    try:
        column: Any = frames[source.feature].combine_chunks()
        rows = np.stack([np.atleast_1d(row) for row in column.to_numpy(zero_copy_only=False)])
        found = np.ascontiguousarray(rows[:, list(source.picks)], dtype=np.float64)
        if rows.shape[1:] != feature.shape or not np.isfinite(found).all():
            raise ValueError(f'{rows.shape[1]} in a frame, {np.sum(~np.isfinite(found))} of the '
                             f'signal not finite')
        return found
    except (KeyError, ValueError, TypeError, IndexError, pa.ArrowException) as err:
        raise DatasetError(f'{source.feature}: expected {feature.shape[0]} finite numbers in each '
                           f'frame, got others: {err}; the set is damaged') from err


def _source(signal: Signal, whole: str, found: LeRobotSet, given: str | None) -> Source:
    camera = KINDS[signal.kind].pictures
    if given is not None:
        return _given(signal, found, given)
    features = found.info.features
    for name in (f'{IMAGES}{signal.key}', f'observation.{signal.key}', f'action.{signal.key}',
                 signal.key):
        if name in features and features[name].pictures == camera and (
                camera or features[name].shape == (signal.dim,)):
            return Source(signal, name, tuple(range(signal.dim)))
    if not camera and whole in features:
        named = features[whole].listed_names
        for wanted in (components(signal), signal.names):
            picks = _picks(wanted, named)
            if picks and len(picks) == signal.dim:
                return Source(signal, whole, picks)
    raise DatasetError(f'expected a feature for {signal.key} ({_wanted(signal)}), got '
                       f'{names_shown(list(features))}; name it, as in --column '
                       f'{signal.key}={whole}[0:{signal.dim}]')


def _picks(wanted: Sequence[str], named: Sequence[str]) -> tuple[int, ...]:
    """Return the places of the wanted names; () unless each is there once."""
    for bare in (named, [name.rpartition('.')[0] for name in named]):
        if wanted and all(list(bare).count(name) == 1 for name in wanted):
            return tuple(list(bare).index(name) for name in wanted)
    return ()


def _given(signal: Signal, found: LeRobotSet, text: str) -> Source:
    match = _OPTION.fullmatch(text)
    if match is None:
        raise DatasetError(f'--column {signal.key}: expected FEATURE or FEATURE[FROM:TO], got '
                           f'{text!r}; correct it')
    name = match['feature']
    feature = found.feature(name)
    if KINDS[signal.kind].pictures:
        picks = range(0)
        fits = feature.pictures and match['first'] is None
    else:
        picks = range(feature.shape[0])[slice(*(
            None if match[end] is None else int(match[end]) for end in ('first', 'end')))]
        fits = not feature.pictures and len(feature.shape) == 1 and len(picks) == signal.dim
    if not fits:
        raise DatasetError(f'--column {signal.key}: expected {_wanted(signal)}, got {text} of '
                           f'{feature.dtype} {list(feature.shape)}; correct it')
    return Source(signal, name, tuple(picks))


def _wanted(signal: Signal) -> str:
    if KINDS[signal.kind].pictures:
        return 'pictures as a video'
    return f'{signal.dim} numbers' + (f' named {", ".join(signal.names)}' if signal.names else '')
