# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow a policy's status: the words with which a bag marks a take-over."""

import json
from collections.abc import Iterator

# Events of a bag: a person asked for the arm, commands it, let its switch go, gave it back.
TAKEN, COMMANDS, LET_GO, GIVEN_BACK = 'take_over', 'person', 'let_go', 'give_back'


class TakeOverWatch:
    """Turn the texts of ~/status into the events of take-overs, each once."""

    def __init__(self) -> None:
        self._taken = self._commands = False

    def see(self, text: str) -> Iterator[str]:
        """Yield the events between the status before and this one; other texts have none."""
        try:
            said = json.loads(text)
            state, reason = said['state'], said['reason']
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        commands = (state, reason) == ('taken_over', 'person')
        taken = state == 'taken_over' or reason in ('take_over', 'let_go')
        if taken and not self._taken:
            yield TAKEN
        if commands != self._commands:
            yield COMMANDS if commands else LET_GO
        if self._taken and not taken:
            yield GIVEN_BACK
        self._taken, self._commands = taken, commands
