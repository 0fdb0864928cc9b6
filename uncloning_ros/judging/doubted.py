# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The doubt of a policy in one episode."""

from dataclasses import dataclass
from typing import Annotated

from uncloning_ros.schema import Doc


@dataclass(frozen=True)
class Doubted:
    """The doubt of an episode: the greatest that lasted, and the alarm above the threshold."""

    greatest: Annotated[float | None, Doc('greatest doubt that lasted; null: none did')]
    alarmed_s: Annotated[float | None, Doc('first alarm; null: none')]
    held: Annotated[bool, Doc('the loop held the arm for it, to the end of the episode')]
