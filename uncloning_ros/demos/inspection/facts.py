# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of one recorded episode: its labels, how its streams arrived, where it took place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Contract, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.labels import SOURCES, Label, newest_label, standing_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.demos.dataset.corrections import align_taught, corrected_spans, seconds_of
from uncloning_ros.demos.dataset.spans import frames_in_span
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection.strips import Strip, strip_of
from uncloning_ros.demos.labelling.clusters import approach, tracks_of, way
from uncloning_ros.demos.recording.health import rule_names, topic_rules
from uncloning_ros.errors import DatasetError, UncloningError
from uncloning_ros.geometry import Array

_PATH_POINTS = 40  # points of a path in a picture: more would not be seen
_THERE_M = 0.02  # distance (m) to the nearest point at the hand: an object this near has come


@dataclass(frozen=True)
class Stream:
    """How one observation or action arrived in one episode, but for pictures that are no use.

    `longest_gap_s` began `gap_at_s` after the first message of the episode; `allowed_s` is the
    longest gap with which the recorder's verdict is good.
    """

    messages: int
    rate_hz: float
    longest_gap_s: float
    gap_at_s: float
    allowed_s: float


@dataclass(frozen=True)
class Scene:
    """Where one handover took place, in m, in the base frame.

    `object_path` (N, 3) until the object came to the hand, `hand` (3,) then; `approach`
    (STEPS, 3, 3) in the hand's frame and `way` (WAY_STEPS, 3), by which episodes are clustered.
    """

    object_path: Array
    hand: Array
    approach: Array
    way: Array

    @property
    def side(self) -> str:
        """Return on which side of the arm the hand was offered: its +y is its left."""
        return 'left' if self.hand[1] > 0.0 else 'right'


@dataclass(frozen=True)
class EpisodeFacts:
    """One episode that can be read.

    `left_out` tells why a dataset would leave it out though it has a label; '' if it would not.
    `findings` are those of the recorder's verdict, none for a good take; None without a verdict.
    `scene` is None without a tracked object and hand. `strips` are those of the cameras.
    `correction_s` is the begin and end of the part that a person commanded after a take-over.
    """

    name: str
    session: str
    operator: str
    begin_ns: int
    length_s: float
    planned_mode: str | None
    labels: tuple[Label, ...]
    streams: Mapping[str, Stream]
    left_out: str
    findings: tuple[str, ...] | None
    scene: Scene | None
    strips: tuple[Strip, ...] = ()
    correction_s: tuple[float, float] | None = None

    @property
    def label(self) -> Label | None:
        """Return the label that counts."""
        return standing_label(self.labels)

    @property
    def mode(self) -> str | None:
        """Return the mode that counts, None without a label."""
        return None if self.label is None else self.label.mode

    @property
    def opinions(self) -> dict[str, str]:
        """Return the mode that stands for each source of labels."""
        newest = ((source, newest_label(self.labels, source)) for source in SOURCES)
        return {source: one.mode for source, one in newest
                if one is not None and one.mode is not None}


def facts_of(ref: EpisodeRef, reading: Reading) -> EpisodeFacts | LeftOut:
    """Return the facts of one episode, or why it cannot be read.

    The reading's contract is the session's.
    """
    try:
        episode = ref.read(reading, without_pictures=True)
        labels = ref.labels(episode.contract.interface)
    except UncloningError as err:
        return LeftOut(ref.name, str(err))
    left_out, correction_s = episode.clock_fault or episode.picture_fault, None
    try:
        correction_s = seconds_of(corrected_spans(episode), episode)
        label = standing_label(labels)
        if not episode.picture_fault:
            frames, _ = align_taught(episode, episode.contract)
            if label is not None:
                frames_in_span(label, episode, frames.ticks_ns)
    except DatasetError as err:
        left_out = left_out or str(err)
    begin_ns, end_ns = episode.bounds_ns
    health = recorded_health(episode.events)
    return EpisodeFacts(
        ref.name, episode.metadata.session, episode.metadata.operator, begin_ns,
        (end_ns - begin_ns) * 1e-9, episode.metadata.planned_mode, labels,
        _streams(episode, begin_ns), left_out,
        None if health is None else tuple(map(str, health.findings)),
        scene_of(episode) if {OBJECT_KEY, HAND_KEY} <= set(episode.samples) else None,
        tuple(strip_of(signal.key, episode.samples[signal.key], begin_ns)
              for signal in episode.contract.interface.cameras if episode.samples[signal.key]),
        correction_s)


def signals_of(contract: Contract) -> tuple[tuple[Signal, str], ...]:
    """Return the observations and actions of a contract, each with its topic."""
    deployment = contract.deployment
    return (*((one, deployment.observations[one.key].topic)
              for one in contract.interface.observations),
            *((one, deployment.actions[one.key].topic) for one in contract.interface.actions))


def scene_of(episode: Episode) -> Scene:
    """Return where an episode took place; raise `ContractError` as `tracks_of` does."""
    objects, hands = tracks_of(episode)
    path, palms = objects.values[:, :3], hands.at(objects.stamps_ns)[:, :3]
    distance = np.linalg.norm(path - palms, axis=1)
    # Once the hand has it, they stay as near: the first time is when it came.
    there = int(np.argmax(distance <= distance.min() + _THERE_M))
    thinned = np.linspace(0, there, min(there + 1, _PATH_POINTS)).astype(int)
    return Scene(path[thinned], palms[there], approach(episode), way(episode))


def _streams(episode: Episode, begin_ns: int) -> dict[str, Stream]:
    rules, names = topic_rules(episode.contract), rule_names(episode.contract)
    return {signal.key: _stream(episode.samples[signal.key], begin_ns,
                                rules[names[signal.key]].max_gap_s)
            for signal, _ in signals_of(episode.contract)}


def _stream(samples: Sequence[Sample], begin_ns: int, allowed_s: float) -> Stream:
    times_ns = np.array([sample.receive_ns for sample in samples], dtype=np.int64)
    if len(times_ns) < 2:
        return Stream(len(times_ns), 0.0, 0.0, 0.0, allowed_s)
    span_s = float(times_ns[-1] - times_ns[0]) * 1e-9
    rate_hz = (len(times_ns) - 1) / span_s if span_s > 0.0 else 0.0
    gaps_ns = np.diff(times_ns)
    at = int(np.argmax(gaps_ns))
    return Stream(len(times_ns), rate_hz, float(gaps_ns[at]) * 1e-9,
                  float(times_ns[at] - begin_ns) * 1e-9, allowed_s)
