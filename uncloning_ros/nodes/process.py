# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a node as a process: signals, parameters, services, and defects of rclpy that end it."""

import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import SingleThreadedExecutor, TimeoutObject
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from uncloning_ros.errors import ContractError, UncloningError, near_miss
from uncloning_ros.nodes.parameters import Parameter

# Longest wait for messages (s): a signal does not end it.
_SIGNAL_CHECK_S = 0.1
# Errors of the user: also a parameter of another type, and a topic name that ROS refuses.
MISTAKES = (UncloningError, ParameterException, NameValidationException)


def run_node(make: Callable[[], Any], args: Sequence[str] | None,
             pause: Callable[[Any], float] = lambda _: _SIGNAL_CHECK_S) -> int:
    """Run one node until SIGINT, SIGTERM or SIGHUP and return the process's exit status.

    At the end its method `close()` publishes its last messages and destroys it.

    The signals are handled here: rclpy would shut its context down at once, and a node could not
    publish its last command. Status 0 after a signal, 2 for bad input, with one sentence.
    `pause` is called before every wait for messages and returns its longest duration in s.
    """
    stray = _stray_words(sys.argv[1:] if args is None else args)
    if stray:
        return refuse(f'expected --ros-args -p name:=value, got {" ".join(stray)!r}; give '
                      f'parameters like that')
    octal = _octal(sys.argv[1:] if args is None else args)
    if octal is not None:
        name, digits = octal
        return refuse(f'{name}: expected a decimal number, got {digits}, which ROS reads to the '
                      f"base of 8; write {int(digits)}, or '\"{digits}\"' for a text")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP is ignored, and the node has to outlive its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stopping.set())
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as err:  # rclpy's error for arguments that it cannot parse
        return refuse(f'cannot read the ROS arguments: {sentence_of(err)}')
    node, executor = None, None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        # For another timeout rclpy would begin again with the first topic, where the same object
        # lets it go on with the next: else a busy first topic starves the last, the switches.
        timeout = TimeoutObject(_SIGNAL_CHECK_S)
        while not stopping.is_set():
            timeout.timeout = pause(node)
            executor.spin_once(timeout)
        return 0
    except MISTAKES as err:
        return refuse(sentence_of(err))
    finally:
        if node is not None:
            node.close()
        if executor is not None:
            executor.shutdown()
        rclpy.try_shutdown()


def _stray_words(args: Sequence[str]) -> list[str]:
    """Return the words outside of --ros-args ... --: there rclpy would ignore shadow:=true."""
    stray, read = [], False
    for word in args:
        if word == '--ros-args':
            read = True
        elif read and word == '--':
            read = False
        elif not read:
            stray.append(word)
    return stray


def _octal(args: Sequence[str]) -> tuple[str, str] | None:
    """Return the first name and value of name:=value that ROS reads to the base of 8."""
    found = (re.fullmatch('(.*):=([-+]?0[0-7]+)', word) for word in args)
    return next(((match[1], match[2]) for match in found if match), None)


def sentence_of(err: Exception) -> str:
    """Return an exception's message on one line; those of rclpy have several."""
    return ' '.join(str(err).split())


def refuse(sentence: str) -> int:
    """Print an error and return the exit status for bad input."""
    print(f'uncloning_ros: error: {sentence}', file=sys.stderr)
    return 2


def declare(node: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Declare a node's parameter table and return the values by name.

    Raise `ContractError` for a value of another type, a number outside its bounds, and for a
    given parameter that is not in the table: with `shaddow:=true` the arm must not move. From
    here on rclpy's own parameters cannot be changed either: a new use_sim_time would put every
    age on another clock.
    """
    for parameter in parameters:
        if parameter.name in node._parameter_overrides:
            parameter.check_type(node._parameter_overrides[parameter.name].value)
    values = {p.name: node.declare_parameter(
        p.name, p.default, ParameterDescriptor(description=p.meaning, read_only=True)).value
        for p in parameters}
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith('qos_overrides.'):
            raise ContractError(f'{node.get_name()} has no parameter {name!r}'
                                f'{near_miss(name, values)}')
    for parameter in parameters:
        parameter.check(values[parameter.name])
    ignore_impossible_clocks(node)
    refusal = SetParametersResult(
        successful=False, reason='every parameter is read-only; give it when the node starts')
    node.add_on_set_parameters_callback(lambda _: refusal)
    return values


def steady_timer(node: Any, period_s: float, call: Callable[[], object]) -> None:
    """Call on the monotonic clock: a simulated one may stand still."""
    node.create_timer(period_s, call, clock=Clock(clock_type=ClockType.STEADY_TIME))


def serve(node: Any, name: str, do: Callable[[Any], tuple[bool, str]],
          kind: Any = Trigger) -> None:
    """Offer a service that answers with success and message as `do(request)` returns them.

    An `UncloningError` or `OSError`, as from a full disk, is answered as a failure.
    """
    def on_call(request: Any, response: Any) -> Any:
        try:
            response.success, response.message = do(request)
        except (UncloningError, OSError) as err:
            response.success, response.message = False, sentence_of(err)
        return response

    node.create_service(kind, name, on_call)


def refuse_wrong_transitions(node: Any) -> None:
    """Answer a transition that a lifecycle node's state does not allow: it would end rclpy."""
    service = node._service_change_state
    answer = service.callback

    def on_change_state(request: Any, response: Any) -> Any:
        try:
            return answer(request, response)
        except RuntimeError as err:  # rclpy's RCLError
            node.get_logger().error(
                f'refused transition {request.transition.label or request.transition.id} in '
                f'state {node._state_machine.current_state[1]}: {sentence_of(err)}')
            response.success = False
            return response

    service.callback = on_change_state


def ignore_impossible_clocks(node: Any) -> None:
    """Skip a time on /clock that no stamp can carry, since it would end rclpy; the clock stops."""
    subscription = node._time_source._clock_sub
    if subscription is None:
        return
    take = subscription.callback

    def on_clock(message: Any) -> None:
        if message.clock.sec >= 0 and message.clock.nanosec < 10**9:
            take(message)

    subscription.callback = on_clock


