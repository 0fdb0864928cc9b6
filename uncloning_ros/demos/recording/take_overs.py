# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow a policy's status: the words with which a bag marks a take-over."""

import json
from collections.abc import Iterator

from uncloning_ros.demos.bags.verdict import Finding

# Events of a bag: a person asked for the arm, commands it, let its switch go, gave it back.
TAKEN, COMMANDS, LET_GO, GIVEN_BACK = 'take_over', 'person', 'let_go', 'give_back'
# Silence (s) of a policy that does not come back: it says its status once a second or more often,
# and most pauses of a network are shorter.
SILENT_S = 5.0
# Longest time (s) between two looks that counts as silence: a recorder that waits for its disk
# hears nothing meanwhile.
_LOOK_S = 0.5


class TakeOverWatch:
    """Turn the texts of ~/status into the events of take-overs, each once.

    `topic` is the name of the status.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._taken = self._commands = False
        self._silent_ns = self._looked_ns = 0

    def see(self, text: str) -> Iterator[str]:
        """Yield the events between the status before and this one; other texts have none."""
        try:
            said = json.loads(text)
            state, reason = said['state'], said['reason']
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        self._silent_ns = 0
        commands = (state, reason) == ('taken_over', 'person')
        taken = state == 'taken_over' or reason in ('take_over', 'let_go')
        if taken and not self._taken:
            self._taken = True
            yield TAKEN
        if commands != self._commands:
            self._commands = commands
            yield COMMANDS if commands else LET_GO
        if self._taken and not taken:
            self._taken = False
            yield GIVEN_BACK

    def standing(self) -> list[str]:
        """Return the events that mark the present take-over, if any, in a late recording."""
        return [TAKEN] * self._taken + [COMMANDS] * self._commands

    def silence(self, now_ns: int) -> Finding | None:
        """Return the finding that the policy fell silent in a take-over, None while it is heard.

        Look every few tenths of a second, on a clock that never jumps. The take-over is forgotten
        with the finding: a policy that comes back in it begins another.
        """
        self._silent_ns += min(now_ns - self._looked_ns, round(_LOOK_S * 1e9))
        self._looked_ns = now_ns
        if not self._taken or self._silent_ns < SILENT_S * 1e9:
            return None
        self._taken = self._commands = False
        return Finding('unheard', self._topic, f'nothing for {SILENT_S:g} s in a take-over, so '
                                               f'the recording ended; start the policy again')
