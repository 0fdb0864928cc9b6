# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records of edits, as a run and an exported policy carry them: the newest, and those before."""

from collections.abc import Iterator, Mapping
from typing import Any


def edits(newest: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield the records of all edits that made a policy, the newest first; none if it is None."""
    while newest is not None:
        yield newest
        newest = newest.get('previous')


def removed_modes(newest: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the modes that any of the edits removed, those of the first edit first."""
    chain = list(edits(newest))[::-1]
    return tuple(dict.fromkeys(mode for edit in chain for mode in edit['remove']))
