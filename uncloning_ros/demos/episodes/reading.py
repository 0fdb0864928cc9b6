# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose how bags are read: with which contract, from which topics, cut by what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import EVENT_TOPIC
from uncloning_ros.errors import DatasetError

CUTS = ('event', 'gripper', 'idle')
LEAST_IDLE_S = 1.0  # stillness (s): half of it stays with the motion on either side


@dataclass(frozen=True)
class Cutting:
    """How bags are cut: `by` is one of `CUTS`; the topic is for event, the time (s) for idle."""

    by: str
    event_topic: str = EVENT_TOPIC
    idle_s: float = 3.0

    def __post_init__(self) -> None:
        if self.by not in CUTS:
            raise DatasetError(f'expected a cut by {", ".join(CUTS)}, got {self.by!r}')
        if not self.idle_s >= LEAST_IDLE_S:
            raise DatasetError(f'expected at least {LEAST_IDLE_S:g} s of stillness to cut at, got '
                               f'{self.idle_s:g}')


@dataclass(frozen=True)
class Reading:
    """How bags are read: a contract where they carry none, other topics by key, how to cut."""

    contract: Contract | None = None
    topics: Mapping[str, str] = field(default_factory=dict)
    cutting: Cutting | None = None
