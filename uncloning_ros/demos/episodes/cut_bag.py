# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut a bag into its episodes; read only the topics that the cut goes by."""

from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uncloning_ros.contract import OBJECT_KEY, Contract
from uncloning_ros.contract.kinds import turns_counted
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.clock import ReceiveOrder
from uncloning_ros.demos.bags.decoding import Decoder, deserialise, listed, with_topics
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.messages import (
    EVER,
    BagContents,
    Query,
    RawMessage,
    require_one_clock,
)
from uncloning_ros.demos.bags.pieces import Cut
from uncloning_ros.demos.bags.reader import contract_for, raw_messages
from uncloning_ros.demos.episodes.cutting import (
    EVENT_TYPES,
    Mark,
    cut_by_events,
    cut_by_gripper,
    cut_by_idle,
    read_mark,
)
from uncloning_ros.demos.episodes.reading import Cutting
from uncloning_ros.demos.episodes.tracks import Times
from uncloning_ros.errors import BagError, ContractError, DatasetError
from uncloning_ros.geometry import Array


def cut_bag(path: Path, contract: Contract | None, topics: Mapping[str, str],
            cutting: Cutting) -> Cut:
    """Read a bag to its end and find where its episodes lie.

    Raise as `read_episode` does; `ContractError` if the contract lacks a signal that the cut
    goes by, or a mode that an event names; `BagError` for an event topic of another type,
    `DatasetError` for one without a start, and if the clock was set back between events.
    """
    info = read_info(path)
    used = with_topics(contract_for(info, contract), topics)
    tracks = {key: _Arrivals() for key in _keys(used, cutting.by)}
    every, contents = Decoder(path, used), BagContents()
    decoder = Decoder(path, used, {key: track.add for key, track in tracks.items()})
    event_topics = {'/' + cutting.event_topic.lstrip('/')} if cutting.by == 'event' else set()
    command_topics = {topic.bag_name for topic in used.deployment.actions.values()}
    marks: list[Mark] = []
    order = ReceiveOrder()  # of the marks: a piece tells of a step within it when it is read
    command_ns = array('q')
    first_ns, last_ns = EVER[1], EVER[0]
    for raw in raw_messages(info, Query(every.topics | event_topics), contents):
        if raw.topic in every.topics:
            first_ns, last_ns = min(first_ns, raw.receive_ns), max(last_ns, raw.receive_ns)
        if raw.topic in decoder.topics:
            decoder.take(raw)
        if raw.topic in command_topics:
            command_ns.append(raw.receive_ns)
        if raw.topic in event_topics:
            order.see(raw.topic, raw.receive_ns)
            marks.append(_mark(path, raw))
    every.require_topics(contents)
    require_one_clock(first_ns, last_ns)
    decoder.finish()
    decoder.require_accepted()
    decoder.require_samples()
    if cutting.by == 'event':
        if fault := order.fault():
            raise DatasetError(fault)
        try:
            return _known(path, used, cut_by_events(marks, first_ns, last_ns))
        except DatasetError as err:
            raise DatasetError(f'{err}, on {event_topics.pop()}; name the event topic with '
                           f'--event-topic; there are {listed(contents.types, EVENT_TYPES)}'
                           ) from err
        except BagError as err:
            raise BagError(f'{path}: an event: {err}') from err
    first, *others = (track.arrays() for track in tracks.values())
    if cutting.by == 'idle':
        signal, = (s for s in used.interface.observations if s.key in tracks)
        first = first[0], turns_counted(signal, first[1], np.zeros(signal.dim))
        return cut_by_idle(*first, cutting.idle_s, first_ns, last_ns)
    width_ns, width_m = first
    return cut_by_gripper(width_ns, width_m[:, 0], *_apart(*others),
                          np.sort(np.array(command_ns, dtype=np.int64)),
                          used.deployment.episode_end, first_ns, last_ns)


class _Arrivals:
    """Receive times and values of one signal, packed: a day of them fits into memory."""

    def __init__(self) -> None:
        self._times_ns, self._values = array('q'), array('d')

    def add(self, sample: Sample) -> None:
        self._times_ns.append(sample.receive_ns)
        self._values.frombytes(sample.values.tobytes())

    def arrays(self) -> tuple[Times, Array]:
        """Return the times (N,), sorted, and the values (N, dim)."""
        times_ns = np.array(self._times_ns, dtype=np.int64)
        order = np.argsort(times_ns, kind='stable')
        return times_ns[order], np.array(self._values).reshape(len(times_ns), -1)[order]


def _known(path: Path, contract: Contract, cut: Cut) -> Cut:
    """Return a cut; raise `ContractError` if an event names a mode that the contract lacks."""
    modes = [mode for piece in cut.pieces
             for mode in (piece.planned_mode, *(label.mode for label in piece.labels))
             if mode is not None]
    try:
        contract.interface.require_modes(modes)
    except ContractError as err:
        raise ContractError(f'{path}: an event: {err}') from err
    return cut


def _mark(path: Path, raw: RawMessage) -> Mark:
    if raw.type not in EVENT_TYPES:
        raise BagError(f'{path}: expected event topic {raw.topic} to be a '
                       f'{" or a ".join(EVENT_TYPES)}, got a {raw.type}')
    message = deserialise(path, raw)
    try:
        return read_mark(raw.receive_ns, message)
    except BagError as err:
        raise BagError(f'{path}: an event: {err}') from err


def _keys(contract: Contract, by: str) -> list[str]:
    """Return the signals that a cut goes by: tool, or width, tool and object."""
    interface = contract.interface
    if by == 'event':
        return []
    tool = interface.arm_pose_key
    if by == 'idle':
        tool = tool or next((s.key for s in interface.observations
                             if s.kind == 'joint_positions'), None)
        if tool is None:
            others = 'event' if interface.width_key is None else 'event or gripper'
            raise ContractError(f'expected an observed pose or joints to see when the tool stands '
                                f'still, got neither in the contract; cut by {others}')
        return [tool]
    width = interface.width_key
    if width is None:
        raise ContractError('expected an observed gripper width to cut by, got none in the '
                            'contract; cut by event or idle')
    if tool is None or all(s.key != OBJECT_KEY for s in interface.observations):
        return [width]
    return [width, tool, OBJECT_KEY]


def _apart(*tracks: tuple[Times, Array]) -> tuple[Times, Array]:
    """Return times and distances from each tool pose to the newest object pose by then."""
    if not tracks:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    (times_ns, poses), (object_ns, object_poses) = tracks
    seen = times_ns >= object_ns[0]
    newest = np.searchsorted(object_ns, times_ns[seen], side='right') - 1
    return times_ns[seen], np.linalg.norm(poses[seen, :3] - object_poses[newest, :3], axis=1)
