# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run recorder and policy from a terminal, over SSH as well: one key for each service.

Start it in a terminal of its own, `ros2 run uncloning_ros keyboard`; `ros2 launch` gives its
nodes no keyboard.
"""

import contextlib
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from uncloning_ros.nodes.parameters import KEYBOARD, contract_at
from uncloning_ros.nodes.process import declare, refuse, run_node, steady_timer
from uncloning_ros.nodes.recorder import service_words

_KEYS = {'s': 'start_episode', 'e': 'stop_episode', ' ': 'stop_episode', 'd': 'discard_episode',
         'u': 'undo_last', '+': 'judge_good', '-': 'judge_bad', 't': 'take_over', 'g': 'give_back'}
_OF_POLICY = ('take_over', 'give_back')
_END = '\x04'  # Ctrl-D
_LEAVE = ('q', _END)
_CALLED = '\0'  # stands for a key whose service was called already
_SEQUENCE = re.compile(r'\x1b[O\[][0-9;]*.')
# Period (s) at which typed keys are read.
_LOOK_S = 0.05
# Time (s) in which an existing service is discovered.
_DISCOVERY_S = 3.0
# Time (s) after which an answer is given up; keeping an episode takes a while, and a take-over
# must not wait long for the answer before it.
_PATIENCE_S = {'recorder': 30.0, 'policy': 5.0}


class Keys:
    """The meaning of each key: `press()` turns one character into an action."""

    def __init__(self, modes: Sequence[str]) -> None:
        self._modes = tuple(modes)[:9]
        self._words = service_words(modes)
        self._planning = False

    def help(self) -> str:
        """Return the keys and their actions, for the screen."""
        modes = [f'  {number}        label the open or the last take {mode}'
                 for number, mode in enumerate(self._modes, start=1)]
        plans = f'  p {"/".join(map(str, range(1, len(self._modes) + 1)))}' .ljust(11)
        return '\n'.join(['  s        start a take',
                          '  e, space stop and keep it',
                          '  d        discard the open take',
                          '  u        undo: put the last kept take aside',
                          *modes,
                          f'{plans}plan the mode of the next takes',
                          '  +, -     the receiver calls the open or the last take good, bad',
                          '  t        take the arm over from the policy',
                          '  g        give it back, with the switch let go',
                          '  h        show this list',
                          '  q        quit'])

    def press(self, key: str) -> str | None:
        """Return a service's name, 'help', 'quit', or None for a key that does nothing yet."""
        planning, self._planning = self._planning, key == 'p'
        if key.isdecimal() and key.isascii() and 1 <= int(key) <= len(self._modes):
            word = self._words[self._modes[int(key) - 1]]
            return f'plan_{word}' if planning else f'label_{word}'
        if key in _LEAVE:
            return 'quit'
        if key in ('h', '?'):
            return 'help'
        return _KEYS.get(key)


class Keyboard(Node):
    """Call the services of recorder and policy at the press of a key; print their answers.

    `source` is the file descriptor that keys are read from. Ctrl-C, q and the end of the
    terminal end it; the recorder goes on, and an open take with it, which q asks about first.
    """

    def __init__(self, source: int, **node_options: Any) -> None:
        super().__init__('keyboard', **node_options)
        values = declare(self, KEYBOARD)
        self._source = source
        modes = contract_at(values['contract_path']).interface.mode_names
        self._keys = Keys(modes)
        self._recorder: str = values['recorder'].rstrip('/')
        self._policy: str = values['policy'].rstrip('/')
        # Of the policy before any key: a take-over does not wait until a service is discovered.
        self._callers = {name: self._caller(name) for name in _OF_POLICY}
        self._typed = ''
        # The call under way by the kind of node, advanced at each look.
        self._calls: dict[str, Iterator[bool]] = {}
        self._asked: list[str] = []  # of the policy, in order; the first is under way
        self._warned = ''
        self._take = ''  # the open one, by the recorder's diagnostics
        self._leaving = False  # whether q was pressed, and asked about the open take
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        steady_timer(self, _LOOK_S, self._look)
        self._say(self._keys.help())

    def close(self) -> None:
        """Print which take goes on without the keyboard, and destroy the node."""
        if self._take:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._say(f'{self._take} is still being recorded')
        self.destroy_node()

    def _look(self) -> None:
        """Go on with the calls; read keys. Those of a node wait for its last answer, q for all."""
        self._calls = {kind: call for kind, call in self._calls.items() if next(call, False)}
        if select.select([self._source], [], [], 0)[0]:
            for key in self._read():
                if _KEYS.get(key) in _OF_POLICY:
                    self._ask_policy(_KEYS[key])
                    key = _CALLED
                self._typed += key
        while self._typed and 'recorder' not in self._calls:
            if self._asked and self._typed[0] in _LEAVE:
                return
            key, self._typed = self._typed[0], self._typed[1:]
            action = self._keys.press(key)
            if action == 'quit' and self._take and not self._leaving and key != _END:
                self._leaving = True
                self._say(f'! {self._take} is being recorded and goes on without the keyboard: e '
                          f'keeps it, d discards it, q leaves it open')
                continue
            self._leaving = False
            if action == 'quit':
                signal.raise_signal(signal.SIGINT)  # as Ctrl-C does: run_node() ends in order
                return
            if action == 'help':
                self._say(self._keys.help())
            elif action is not None:
                self._begin('recorder', self._call('recorder', action))

    def _read(self) -> str:
        """Return the typed characters, without the sequences of arrows and other such keys."""
        try:
            typed = os.read(self._source, 1024).decode('ascii', 'replace')
        except OSError:  # the terminal is gone
            typed = ''
        return _SEQUENCE.sub('', typed) if typed else _END

    def _ask_policy(self, name: str) -> None:
        if self._asked[-1:] != [name]:  # else a key that was pressed again for want of an answer
            self._asked.append(name)
            if len(self._asked) == 1:
                self._begin('policy', self._call_policy())

    def _call_policy(self) -> Iterator[bool]:
        while self._asked:
            yield from self._call('policy', self._asked[0])
            del self._asked[0]

    def _begin(self, kind: str, call: Iterator[bool]) -> None:
        if next(call, False):
            self._calls[kind] = call

    def _caller(self, name: str) -> Any:
        node = self._policy if name in _OF_POLICY else self._recorder
        return self.create_client(Trigger, f'{node}/{name}')

    def _call(self, kind: str, name: str) -> Iterator[bool]:
        """Call a service once it is discovered; yield for as long as the answer is awaited."""
        if name not in self._callers:
            self._callers[name] = self._caller(name)
        client, until_s = self._callers[name], time.monotonic() + _DISCOVERY_S
        while not client.service_is_ready():
            if time.monotonic() > until_s:
                modes = (', or its contract with -p contract_path:=FILE'
                         if name.startswith(('label_', 'plan_')) else '')
                self._say(f'! no node offers {client.srv_name}; start the {kind}, or name it with '
                          f'-p {kind}:=/NAME{modes}')
                return
            yield True
        future = client.call_async(Trigger.Request())
        future.add_done_callback(partial(self._on_answer, name))
        until_s = time.monotonic() + _PATIENCE_S[kind]
        while not future.done():
            if time.monotonic() > until_s:
                self._say(f'! {name}: no answer within {_PATIENCE_S[kind]:g} s; is its node busy?')
                return
            yield True

    def _on_answer(self, name: str, future: Any) -> None:
        answer = future.result()
        if answer.success and name == 'start_episode':
            self._take = 'the take'
        elif answer.success and name in ('stop_episode', 'discard_episode'):
            self._take = ''
        self._say(f'{"" if answer.success else "! "}{answer.message or name}')

    def _on_diagnostics(self, array: Any) -> None:
        """Learn of the open take; print a warning once for as long as it is the same.

        Ages and rates in it change every second; it stays the same warning.
        """
        recorder = self.resolve_service_name(self._recorder).lstrip('/')  # in its namespace
        for status in array.status:
            if status.name == f'{recorder}: recording':
                self._take = next((one.value for one in status.values if one.key == 'episode'), '')
                warning = '' if status.level == DiagnosticStatus.OK else status.message
                without_numbers = re.sub(r'\b\d+(\.\d+)? (s|Hz)\b', '', warning)
                if warning and without_numbers != self._warned:
                    self._say(f'! {warning}')
                self._warned = without_numbers

    @staticmethod
    def _say(text: str) -> None:
        print(text, flush=True)


@contextlib.contextmanager
def key_by_key(terminal: int) -> Iterator[None]:
    """Have a terminal hand over every key at once and unseen; restore it at the end."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def main(args: Sequence[str] | None = None) -> int:
    """Run the keyboard until q, Ctrl-C or the end of the terminal."""
    if not sys.stdin.isatty():
        return refuse('the keyboard needs a terminal to read keys from; start it with ros2 run '
                      'in one of its own, not with ros2 launch')
    terminal = sys.stdin.fileno()
    with key_by_key(terminal):
        return run_node(partial(Keyboard, terminal), args)


if __name__ == '__main__':
    sys.exit(main())
