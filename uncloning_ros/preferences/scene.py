# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of a handover as plain data for the page that draws it, and its features."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.episodes.tracks import Track
from uncloning_ros.errors import UncloningError
from uncloning_ros.preferences.features import features_of
from uncloning_ros.scenario import Scenario

_EVERY_NS = 100_000_000  # period (ns) of the drawn poses; the page draws those between
_DIGITS = 4  # of a metre, or of a direction


@dataclass(frozen=True)
class Handover:
    """One episode that can be judged: `motion` is the JSON of its poses for the page."""

    name: str
    features: Mapping[str, float]
    motion: str


def handover_of(ref: EpisodeRef, reading: Reading, scenario: Scenario) -> Handover | LeftOut:
    """Return the handover of one episode, or why it cannot be judged."""
    episode = ref.read_or_leave_out(reading)
    if isinstance(episode, LeftOut):
        return episode
    try:
        features = features_of(episode.contract, scenario, episode)
    except UncloningError as err:
        return LeftOut(ref.name, str(err))
    motion = motion_json(episode)
    assert motion is not None  # `features_of` has seen its poses
    return Handover(ref.name, features, motion)


def motion_json(episode: Episode) -> str | None:
    """Return the JSON of an episode's poses for the page that draws them.

    `start_s` is the time since the episode's first message at which they begin. Tool, hand and
    width are null without a signal of them. None without the pose of the arm.
    """
    keys = {'arm': TOOL_KEY, 'tool': OBJECT_KEY, 'hand': HAND_KEY,
            'width': episode.contract.interface.width_key}
    tracks = {name: Track.of(episode.samples[key]) for name, key in keys.items()
              if key is not None and episode.samples.get(key)}
    if 'arm' not in tracks:
        return None
    begin_ns = max(track.stamps_ns[0] for track in tracks.values())
    # In receive times, of which an episode's begin is one.
    start_ns = max(episode.samples[str(keys[name])][0].receive_ns for name in tracks)
    end_ns = max(track.stamps_ns[-1] for track in tracks.values())
    times_ns = np.arange(begin_ns, end_ns + 1, _EVERY_NS)
    drawn = {name: None if name not in tracks else
             np.round(tracks[name].at(times_ns), _DIGITS).tolist() for name in keys}
    return json.dumps({'every_s': _EVERY_NS * 1e-9,
                       'start_s': round((start_ns - episode.bounds_ns[0]) * 1e-9, _DIGITS),
                       **drawn}, separators=(',', ':'))


def tool_json(scenario: Scenario) -> str:
    """Return the JSON of the tool that the page draws: its boxes, and its edge."""
    tool = scenario.tool
    return json.dumps({
        'boxes': [{'size': part.size_m, 'center': part.center_m, 'color': part.color}
                  for part in tool.parts.values()],
        'edge': [tool.hazard.heel_m, tool.hazard.tip_m]}, separators=(',', ':'))
