# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder's verdict on an episode: good, or with findings.

The verdict is part of the recorder's last event in the bag, under `health`:

    {"schema": "uncloning/health@1", "verdict": "findings",
     "findings": [{"kind": "gap", "topic": "/hand_pose", "text": "nothing for 1.30 s ..."}],
     "topics": {"/hand_pose": {"messages": 312, "rate_hz": 39.8, "longest_gap_s": 1.3,
                               "lost": 0, "dropped": 0}, ...}}

`lost` are messages that never reached the recorder (their publisher numbered them), `dropped`
those that the recorder left out because the disk was too slow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from uncloning_ros.errors import BagError
from uncloning_ros.schema import Note, read


@dataclass(frozen=True)
class Finding:
    """One fault of an episode.

    `kind` is one of empty, refused, encoding, leap, gap, rate, frozen, clock, late, short, lost,
    dropped, unheard, recovered; `topic` is '' where it concerns the whole episode.
    """

    kind: str
    topic: Annotated[str, Note.MAY_BE_EMPTY]
    text: str

    def __str__(self) -> str:
        return f'{self.topic}: {self.text}' if self.topic else self.text


@dataclass(frozen=True)
class Health:
    """The verdict on one episode, and each topic's figures."""

    SCHEMAS: ClassVar = ('uncloning/health@1',)
    verdict: Literal['good', 'findings']
    findings: Annotated[tuple[Finding, ...], Note.MAY_BE_EMPTY]
    topics: Mapping[str, Mapping[str, Any]]

    def sentence(self) -> str:
        """Return the verdict for a person, on one line."""
        if not self.findings:
            return 'good'
        return '; '.join(str(finding) for finding in self.findings)


def recorded_health(events: Sequence[tuple[int, Mapping[str, Any]]]) -> Health | None:
    """Return the verdict that a bag's events carry, None if there is none or it is damaged."""
    for _, event in reversed(events):
        if event.get('health') is not None:
            try:
                return read(Health, event['health'], 'health', BagError)
            except BagError:
                return None
    return None
