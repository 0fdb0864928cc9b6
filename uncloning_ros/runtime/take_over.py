# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person takes the arm over from the policy: asked for, pressed, let go, given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.still import Stillness
from uncloning_ros.runtime.watchdog import Complaint


@dataclass(frozen=True, eq=False)
class Person:
    """The newest words of the contract's teleoperation.

    `pressed` is the value of its dead man's switch, `receive_ns` the arrival of that value on the
    clock of the samples; `commands` are the newest on the command topics, by key of the action.
    """

    pressed: bool = False
    receive_ns: int = 0
    commands: Mapping[str, Sample] = field(default_factory=dict)


ABSENT = Person()


class TakeOver:
    """Remember whether a person asked for the arm, and judge in each cycle who has it."""

    def __init__(self, contract: Contract, still: Stillness) -> None:
        self._still = still
        self._source = contract.deployment.teleoperation
        interface = contract.interface
        self._grippers = {signal.key: interface.action_slices[signal.key]
                          for signal in interface.actions if signal.kind == 'gripper_width'}
        self._limiter = Limiter(contract)  # of its own: the policy's counts are of its commands
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self.asked = self.pressed = self._commanded = self._has_arm = False
        self._left = ''  # the measurement at which an arm that was let go cannot be held
        self._since_ns = 0  # arrival of the word that the switch is pressed
        self._previous: Array | None = None

    def ask(self, moving: bool) -> bool:
        """Have the policy hold if it is in motion; tell whether it will."""
        self.asked |= moving and self._source is not None
        return self.asked

    def end(self) -> bool:
        """Give the arm back to the policy; tell whether a person had asked for it."""
        asked = self.asked
        self.reset()
        return asked

    def hear(self, person: Person, now_ns: int, step_ns: int) -> None:
        """Judge the switch: pressed, and heard of lately; `now_ns` is known to `step_ns` only."""
        pressed = (self._source is not None and person.pressed and
                   now_ns - person.receive_ns - step_ns <= self._source.max_age_s * 1e9)
        if pressed and not self.pressed:
            self._since_ns, self._previous = person.receive_ns, None
        self.pressed = pressed

    def has_arm(self, samples: Mapping[str, Sample], complaints: Sequence[Complaint]) -> bool:
        """Tell whether the person has the arm: for as long as the switch is pressed.

        An arm that was left where it cannot be held stays with the person: it would leap.
        """
        self._left = '' if self.pressed or not self._has_arm else next(
            iter(self._still.obstacles(samples, complaints).values()), '')
        self._has_arm = self.pressed or self._left != ''
        return self._has_arm

    def followed(self, last: Array | None, person: Person, samples: Mapping[str, Sample],
                 complaints: Sequence[Complaint]) -> Array:
        """Return the command (action_dim,) that keeps the arm where the person has it now.

        The gripper is as the person commands it, else as in the command `last`. The person has
        the arm from here on, without having asked as well.
        """
        self.asked = self._commanded = True
        followed = self._still.measured(samples) if last is None else last.copy()
        for key, part in self._grippers.items():
            command = person.commands.get(key)
            if command is not None and command.receive_ns >= self._since_ns:
                followed[part] = command.values.clip(min=0.0)
        return self._still.latched(followed, samples, complaints)

    def would(self, action: Array | None, samples: Mapping[str, Sample]) -> Array | None:
        """Return the policy's command (action_dim,) within the limits; None without a plan."""
        if action is None:
            self._previous = None
        else:
            measured = self._still.measured(samples)
            self._previous = self._limiter.apply(
                action, measured if self._previous is None else self._previous, measured)
        return self._previous

    def told(self, complaints: Sequence[Complaint]) -> tuple[str, str]:
        """Return reason and sentence of a silent cycle."""
        if self._left:
            return 'left_outside', (f'the switch is let go, and {self._left} is unusable or '
                                    f'outside the limits, so the arm is not commanded; press the '
                                    f'switch and move it inside')
        return 'person', ('a person commands the arm; let the switch go and call ~/give_back to '
                          'return it to the policy' + ''.join(
                              f'; warning: {one.sentence}' for one in complaints[:1]))

    def complaints(self) -> Sequence[Complaint]:
        """Return the complaint that makes the policy hold for a person, none without one."""
        if not self.asked or self._source is None:
            return ()
        if not self._commanded:
            return (Complaint('person', 'take_over', f'a person asked for the arm; press the '
                              f'switch on {self._source.topic} and command it, or call '
                              f'~/give_back'),)
        return (Complaint('person', 'let_go', f'the switch on {self._source.topic} is let go; '
                          f'press it again, or call ~/give_back to return the arm to the '
                          f'policy'),)
