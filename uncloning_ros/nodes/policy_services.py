# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node's services; motion begins no sooner than a rival could have been discovered."""

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool, Trigger

from uncloning_ros.errors import UncloningError
from uncloning_ros.nodes.common import sentence_of
from uncloning_ros.nodes.policy_run import PolicyRun
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident_files import IncidentFiles

# So long a node takes to learn who else publishes, at most, on a network that works.
_DISCOVERY_NS = 10**9
_LOOK_AROUND_S = 0.1

_NOT_ACTIVE = 'not active; configure and activate first'
# What ~/start says where motion is allowed, by the state that it found.
_STARTED = {
    State.WAITING: 'motion begins once every input is fresh',
    State.DONE: 'motion begins once every input is fresh',
    State.ACTIVE: 'motion was started already and goes on',
    State.HOLD: 'motion was started already; it goes on once nothing is wrong any more, and '
                '~/status tells what is',
}


class PolicyServices:
    """Answer ~/start, ~/stop, ~/reset, ~/dump and ~/set_shadow in the executor's thread.

    `run` returns the run while the node is active, else None. `shadow` is whether the next run
    is to command nothing.
    """

    def __init__(self, node: Any, run: Callable[[], PolicyRun | None], incidents: IncidentFiles,
                 shadow: bool) -> None:
        self._node, self._run, self._incidents = node, run, incidents
        self.shadow = shadow
        self._start_asked = False
        self._born_ns = time.monotonic_ns()
        for name in ('start', 'stop', 'reset', 'dump'):
            node.create_service(Trigger, f'~/{name}', _answering(getattr(self, f'_{name}')))
        node.create_service(SetBool, '~/set_shadow', _answering(self._set_shadow))
        node.create_timer(_LOOK_AROUND_S, self._on_look_around,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))

    def ask_for_motion(self, wanted: bool) -> None:
        """Have motion begin as soon as it can be known who else commands the arm, or not."""
        self._start_asked = wanted

    def _start(self, _: Any) -> tuple[bool, str]:
        run = self._run()
        if run is None:
            return False, _NOT_ACTIVE
        run.require_no_rival()
        if not self._has_looked_around():
            self._start_asked = True
            return True, (f'{_STARTED[State.WAITING]}, unless another node turns out to command '
                          f'the arm as well; ~/status tells')
        allowed, found = run.start()
        if allowed:
            return True, _STARTED[found]
        if found is State.FAULT:
            return False, 'motion cannot begin in state fault; find the cause, then call ~/reset'
        return False, 'motion is just being stopped; call ~/start once ~/status says waiting'

    def _has_looked_around(self) -> bool:
        """Tell whether discovery has had the time to name whoever else commands the arm."""
        return time.monotonic_ns() - self._born_ns >= _DISCOVERY_NS

    def _on_look_around(self) -> None:
        """Start as asked, once it can be known whether the arm has another commander.

        Whoever asked has had an answer: if motion cannot begin, the status tells.
        """
        run = self._run()
        if not self._start_asked or run is None or not self._has_looked_around():
            return
        self._start_asked = False
        rival = run.rival()
        if rival is not None:
            run.fault('second_publisher', rival)
            return
        try:
            run.start()
        except TimeoutError as err:
            self._node.get_logger().error(f'motion does not begin: {err}')

    def _stop(self, _: Any) -> tuple[bool, str]:
        self._start_asked = False
        run = self._run()
        if run is None:
            return True, 'not active, so there is no motion'
        run.stop()
        return True, 'motion ends; an arm that was commanded gets one hold command'

    def _reset(self, _: Any) -> tuple[bool, str]:
        run = self._run()
        if run is None:
            return False, _NOT_ACTIVE
        self._start_asked = False
        run.reset()
        return True, 'waiting for ~/start; counters and faults are forgotten'

    def _dump(self, _: Any) -> tuple[bool, str]:
        run = self._run()
        if run is None:
            return False, 'not active, so there is nothing to write'
        return True, f'wrote {self._incidents.write(run.incident(), "dump", time.time())}'

    def _set_shadow(self, request: Any) -> tuple[bool, str]:
        if self._run() is not None:
            return False, 'active; deactivate first, so that nothing moves while topics change'
        self.shadow = bool(request.data)
        return True, ('commands will go to ~/shadow_command' if self.shadow
                      else "commands will go to the robot's topics")


def _answering(do: Callable[[Any], tuple[bool, str]]) -> Callable[[Any, Any], Any]:
    """Return the callback of a service that answers with what `do` says."""
    def on_call(request: Any, response: Any) -> Any:
        try:
            response.success, response.message = do(request)
        except (UncloningError, OSError) as err:  # a full disk, a thread that hangs
            response.success, response.message = False, sentence_of(err)
        return response
    return on_call
