# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder from a plain terminal: keys become calls, and the terminal is as it was before."""

import contextlib
import itertools
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from hypothesis import given
from hypothesis import strategies as st
from processes import REPOSITORY
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from uncloning_ros.nodes.keyboard import Keys, key_by_key

PATIENCE_S = 30.0


# --- what keys mean ---

def pressed(text: str) -> list[str | None]:
    keys = Keys(['handle_first', 'blade first'])
    return [keys.press(key) for key in text]


def test_each_key_is_one_service() -> None:
    assert pressed('se du12+-tghq') == [
        'start_episode', 'stop_episode', 'stop_episode', 'discard_episode', 'undo_last',
        'label_handle_first', 'label_blade_first', 'judge_good', 'judge_bad', 'take_over',
        'give_back', 'help', 'quit']


def test_a_digit_after_p_plans_and_the_next_one_labels_again() -> None:
    assert pressed('p2' '2' 'px1') == [None, 'plan_blade_first', 'label_blade_first',
                                       None, None, 'label_handle_first']


@given(st.characters())
def test_any_other_key_does_nothing(key: str) -> None:
    action = Keys(['a', 'b']).press(key)
    assert (action is None) == (key not in 'se du12+-tghq?\x04')


def test_the_help_names_every_key_and_mode() -> None:
    text = Keys(['handle_first', 'blade_first']).help()
    for words in ('s        start', 'e, space stop', 'd        discard', 'u        undo',
                  '+, -     the receiver', 't        take', 'g        give', '1        label',
                  '2        label', 'p 1/2', 'q        quit'):
        assert words in text
    assert 'handle_first' in text and 'blade_first' in text


# --- the terminal ---

@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Give both ends of a pseudo-terminal: the person's, and the program's."""
    person, program = pty.openpty()
    yield person, program
    for end in (person, program):
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize('error', [KeyboardInterrupt, ValueError, SystemExit, None])
def test_the_terminal_is_restored_whatever_happens(terminal: tuple[int, int],
                                                   error: type[BaseException] | None) -> None:
    _, program = terminal
    before = termios.tcgetattr(program)

    def use() -> None:
        with key_by_key(program):
            assert not termios.tcgetattr(program)[3] & (termios.ICANON | termios.ECHO)
            if error is not None:
                raise error

    if error is None:
        use()
    else:
        with pytest.raises(error):
            use()
    assert termios.tcgetattr(program) == before


class Typist:
    """A person at a terminal in which the keyboard node runs as a process."""

    def __init__(self, terminal: tuple[int, int], graph: Any, *arguments: str) -> None:
        self._person, program = terminal
        self._graph = graph
        self.shown = ''
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'uncloning_ros.nodes.keyboard', *arguments], stdin=program,
            stdout=program, stderr=program, start_new_session=True, cwd=REPOSITORY)

    def type(self, text: str) -> None:
        os.write(self._person, text.encode())

    def until(self, words: str, times: int = 1) -> None:
        """Wait until the screen shows these words so often; the graph goes on meanwhile."""
        end_s = time.monotonic() + PATIENCE_S
        while self.shown.count(words) < times:
            if time.monotonic() > end_s or self.process.poll() is not None:
                self._read()
                if self.shown.count(words) >= times:
                    return
                pytest.fail(f'waited in vain for {words!r}; the screen shows: {self.shown}')
            self._graph.executor.spin_once(timeout_sec=0.02)
            self._read()

    def _read(self) -> None:
        while select.select([self._person], [], [], 0)[0]:
            self.shown += os.read(self._person, 4096).decode()

    def ended(self) -> int:
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end_s:
            self._graph.executor.spin_once(timeout_sec=0.02)
        return self.process.wait(1.0)


@pytest.fixture
def recorder(robot: Any) -> list[str]:
    """Answer for a recorder; return the list of what it was asked."""
    asked: list[str] = []

    def answer(name: str, response: Any) -> Any:
        asked.append(name)
        response.success = name != 'stop_episode'
        response.message = f'did {name}' if response.success else 'no episode is open'
        return response

    for name in ('start_episode', 'stop_episode', 'undo_last', 'label_handle_first',
                 'plan_blade_first'):
        robot.create_service(Trigger, f'/recorder/{name}',
                             lambda _, response, name=name: answer(name, response))
    return asked


def test_keys_call_the_recorder_and_print_its_answers(
        terminal: tuple[int, int], graph: Any, recorder: list[str]) -> None:
    before = termios.tcgetattr(terminal[1])
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    while not recorder:  # on a busy machine it may take long to be discovered
        seen = typist.shown.count('start_episode')
        typist.type('s')
        typist.until('start_episode', times=seen + 1)
    typist.type('\x1b[1~1')  # the key Home is no digit
    typist.until('did label_handle_first')
    typist.type('p2eu')
    typist.until('did undo_last')
    assert '! no episode is open' in typist.shown
    assert recorder == ['start_episode', 'label_handle_first', 'plan_blade_first', 'stop_episode',
                        'undo_last']
    typist.type('qq')
    assert typist.ended() == 0
    assert termios.tcgetattr(terminal[1]) == before


@pytest.mark.parametrize('recorder', ['recorder', 'left/recorder'])
def test_what_the_recorder_warns_of_is_shown_once(terminal: tuple[int, int], graph: Any,
                                                  robot: Any, recorder: str) -> None:
    out = robot.create_publisher(DiagnosticArray, '/diagnostics', 10)

    ages = itertools.count()

    def tell() -> None:
        for name in ('recorder: recording', 'left/recorder: recording', 'policy: control'):
            out.publish(DiagnosticArray(status=[DiagnosticStatus(
                name=name, level=DiagnosticStatus.WARN,
                message=f'{name} is unwell (stale {next(ages)}.5 s)')]))

    robot.create_timer(0.02, tell)
    typist = Typist(terminal, graph, '--ros-args', '-p', f'recorder:=/{recorder}')
    typist.until(f'! {recorder}: recording is unwell')
    typist.type('h')
    typist.until('q        quit', times=2)
    assert typist.shown.count('unwell') == 1
    typist.type('q')
    assert typist.ended() == 0


def test_leaving_an_open_take_is_asked_about_once(
        terminal: tuple[int, int], graph: Any, robot: Any) -> None:
    out = robot.create_publisher(DiagnosticArray, '/diagnostics', 10)
    robot.create_timer(0.02, lambda: out.publish(DiagnosticArray(status=[DiagnosticStatus(
        name='recorder: recording', level=DiagnosticStatus.WARN, message='slow',
        values=[KeyValue(key='episode', value='episode_000003')])])))
    typist = Typist(terminal, graph)
    typist.until('! slow')
    for times in (1, 2):  # any other key in between, and it is asked about again
        typist.type('q')
        typist.until('! episode_000003 is being recorded and goes on without', times=times)
        typist.type('x' if times == 1 else 'q')
    assert typist.ended() == 0
    typist.until('episode_000003 is still being recorded')


def test_a_take_that_was_started_a_moment_ago_is_open(
        terminal: tuple[int, int], graph: Any, recorder: list[str]) -> None:
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    while not recorder:
        seen = typist.shown.count('start_episode')
        typist.type('s')
        typist.until('start_episode', times=seen + 1)
    typist.type('q')
    typist.until('! the take is being recorded and goes on without the keyboard')
    typist.type('\x04')  # the end of the terminal asks nobody
    assert typist.ended() == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_restores_the_terminal(
        terminal: tuple[int, int], graph: Any, number: signal.Signals) -> None:
    before = termios.tcgetattr(terminal[1])
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    assert termios.tcgetattr(terminal[1]) != before
    typist.process.send_signal(number)
    assert typist.ended() == 0
    assert termios.tcgetattr(terminal[1]) == before


@pytest.mark.slow
def test_without_a_recorder_it_says_so(terminal: tuple[int, int], graph: Any) -> None:
    typist = Typist(terminal, graph, '--ros-args', '-p', 'recorder:=/other')
    typist.until('q        quit')
    typist.type('s')
    typist.until('! no node offers /other/start_episode; start the recorder')
    typist.type('1')
    typist.until('or its contract with -p contract_path:=FILE')
    typist.type('\x04')
    assert typist.ended() == 0


def test_a_key_takes_the_arm_over_from_the_policy(
        terminal: tuple[int, int], graph: Any, robot: Any) -> None:
    def answer(_: Any, response: Any) -> Any:
        response.success, response.message = True, 'did take_over'
        return response

    robot.create_service(Trigger, '/left/policy/take_over', answer)
    typist = Typist(terminal, graph, '--ros-args', '-p', 'policy:=/left/policy')
    typist.until('q        quit')
    while 'did take_over' not in typist.shown:  # discovery may take long
        seen = typist.shown.count('take_over')
        typist.type('t')
        typist.until('take_over', times=seen + 1)
    typist.type('g')
    typist.until('! no node offers /left/policy/give_back; start the policy')
    typist.type('\x04')
    assert typist.ended() == 0


@pytest.mark.parametrize('busy', [True, False], ids=['busy', 'missing'])
def test_a_take_over_does_not_wait_for_the_recorder(
        terminal: tuple[int, int], graph: Any, robot: Any, busy: bool) -> None:
    """The recorder answers after the take-over or never; the policy is called all the same."""
    asked, kept = [], Future(executor=graph.executor)

    async def stop(_: Any, response: Any) -> Any:
        asked.append('stop_episode')
        await kept
        response.success, response.message = True, 'did stop_episode'
        return response

    def answer(_: Any, response: Any) -> Any:
        asked.append('take_over')
        response.success, response.message = True, 'did take_over'
        return response

    if busy:
        robot.create_service(Trigger, '/recorder/stop_episode', stop,
                             callback_group=ReentrantCallbackGroup())
    robot.create_service(Trigger, '/policy/take_over', answer)
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    while 'did take_over' not in typist.shown:  # discovery may take long
        seen = typist.shown.count('take_over')
        typist.type('t')
        typist.until('take_over', times=seen + 1)
    asked.clear()
    typist.shown = ''
    typist.type('eet')
    typist.until('did take_over')
    assert '!' not in typist.shown
    assert asked.count('take_over') == 1
    kept.set_result(None)
    typist.until('did stop_episode' if busy else '! no node offers /recorder/stop_episode',
                 times=2)
    typist.type('\x04')
    assert typist.ended() == 0


def test_keys_of_the_policy_are_called_in_their_order(
        terminal: tuple[int, int], graph: Any, robot: Any) -> None:
    asked: list[str] = []

    def answer(name: str, response: Any) -> Any:
        asked.append(name)
        response.success, response.message = True, f'did {name}'
        return response

    for name in ('take_over', 'give_back'):
        robot.create_service(Trigger, f'/policy/{name}',
                             lambda _, response, name=name: answer(name, response))
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    for key, name in (('t', 'take_over'), ('g', 'give_back')):
        while name not in asked:  # discovery may take long
            seen = typist.shown.count(name)
            typist.type(key)
            typist.until(name, times=seen + 1)
    asked.clear()
    typist.type('gtgtgtgtq')  # q waits for their answers
    assert typist.ended() == 0
    assert asked == ['give_back', 'take_over'] * 4


@pytest.mark.slow
def test_a_key_that_is_pressed_again_and_again_fails_once(
        terminal: tuple[int, int], graph: Any) -> None:
    typist = Typist(terminal, graph)
    typist.until('q        quit')
    typist.type('ttttttttttggq')
    assert typist.ended() == 0
    typist._read()
    offered = [line.split(';')[0] for line in typist.shown.splitlines() if line.startswith('!')]
    assert offered == ['! no node offers /policy/take_over', '! no node offers /policy/give_back']


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, '-m', 'uncloning_ros.nodes.keyboard'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          cwd=REPOSITORY)
    assert done.returncode == 2
    assert 'the keyboard needs a terminal to read keys from' in done.stderr
    assert 'Traceback' not in done.stderr
