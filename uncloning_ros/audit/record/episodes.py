# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One episode as plain data and back, exactly: floats keep every bit on the way through JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from uncloning_ros.audit.record.fields import EPISODE
from uncloning_ros.audit.record.spec import require
from uncloning_ros.judging.episode import EpisodeResult, Outcome
from uncloning_ros.judging.unsafe import UnsafeEvent

_OUTCOME = tuple(field.name for field in dataclasses.fields(Outcome))


def episode_record(result: EpisodeResult) -> dict[str, Any]:
    """Return an episode as plain data, as the fields `EPISODE` tell."""
    return {'seed': result.seed, 'hand_offer_m': list(result.hand_offer_m),
            'conditions': dict(result.conditions), 'ended': result.ended, 'holds': result.holds,
            'chunks': result.chunks, 'hardware_limits': dict(result.limits),
            **_lists(dataclasses.asdict(result.outcome))}


def episode_result(record: object, where: str) -> EpisodeResult:
    """Return the episode in plain data; raise `EvidenceError` naming the place for anything else.

    `episode_result(episode_record(result), ...) == result`.
    """
    require(record, EPISODE, where)
    assert isinstance(record, Mapping)
    outcome: dict[str, Any] = {key: _tuples(record[key]) for key in _OUTCOME}
    if outcome['unsafe'] is not None:
        outcome['unsafe'] = UnsafeEvent(**outcome['unsafe'])
    x, y, z = record['hand_offer_m']
    return EpisodeResult(
        seed=record['seed'], hand_offer_m=(x, y, z), conditions=record['conditions'],
        outcome=Outcome(**outcome), ended=record['ended'], holds=record['holds'],
        chunks=record['chunks'], limits=record['hardware_limits'])


def _lists(value: Any) -> Any:
    """Return plain data with lists for its tuples, as JSON gives them back."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
