# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The variety of an audited model's handovers within each desired mode, as plain data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from uncloning_ros.audit.figures.diversity import Spread, spread, spread_ratio
from uncloning_ros.audit.subject import Audited
from uncloning_ros.judging.episode import EpisodeResult

# What is spread, by the name of the figure: a field of the outcome.
_FEATURES = {'offered': 'offered_m', 'path': 'path_bow_m'}
# Conditions that a handover has to follow. The person's timing and pull come after the path.
_START = ('hand_x_m', 'hand_y_m', 'hand_z_m', 'hand_yaw_jitter_rad', 'object_x_m', 'object_y_m',
          'object_yaw_rad')


def variety(audited: Audited) -> dict[str, dict[str, Any]]:
    """Return the spread of offered pose and path for each desired mode, None for too few."""
    return {mode: {name: None if found is None else {
        'value_m': found.value, 'interval95_m': list(found.interval95),
        'episodes': found.episodes} for name, found in spreads.items()}
        for mode, spreads in _spreads(audited).items()}


def variety_ratio(one: Audited, other: Audited) -> dict[str, dict[str, Any]]:
    """Return the spreads of one model over those of another, for the modes desired of the one."""
    ones, others = _spreads(one), _spreads(other)
    ratios: dict[str, dict[str, Any]] = {}
    for mode, spreads in ones.items():
        ratios[mode] = {}
        for name, found in spreads.items():
            against = others.get(mode, {}).get(name)
            ratios[mode][name] = (None if found is None or against is None
                                  else dataclasses.asdict(spread_ratio(found, against)))
    return ratios


def _spreads(audited: Audited) -> dict[str, dict[str, Spread | None]]:
    return {mode: {name: _spread([r for r in audited.results if r.outcome.completed
                                  and r.outcome.mode == mode], field)
                   for name, field in _FEATURES.items()}
            for mode in audited.subject.desired_modes}


def _spread(results: Sequence[EpisodeResult], field: str) -> Spread | None:
    measured = [(getattr(r.outcome, field), r) for r in results
                if getattr(r.outcome, field) is not None]
    if not measured:
        return None
    return spread([features for features, _ in measured],
                  [[r.conditions[name] for name in _START if name in r.conditions]
                   for _, r in measured])
