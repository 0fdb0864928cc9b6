# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node's services; motion begins once a second publisher would be discovered."""

import time
from collections.abc import Callable
from typing import Any

from std_srvs.srv import SetBool

from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.policy_run import PolicyRun
from uncloning_ros.nodes.process import serve, steady_timer
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.incident_files import IncidentFiles

# Time (ns) in which a node discovers every other publisher on a working network, and the
# period (s) at which a requested motion is looked at.
_DISCOVERY_NS = 10**9
_LOOK_S = 0.1

# Answers of ~/start where motion is allowed, by the state before it.
_STARTED = {
    State.WAITING: 'motion begins once every input is fresh',
    State.DONE: 'motion begins once every input is fresh',
    State.ACTIVE: 'motion was started already and goes on',
    State.HOLD: 'motion was started already; it goes on once the cause in ~/status is gone',
    State.TAKEN_OVER: 'motion was started already; it goes on after ~/give_back',
}


class PolicyServices:
    """Answer ~/start, ~/stop, ~/take_over, ~/give_back and others in the executor's thread.

    `run` returns the run while the node is active, else None. With `shadow` the next run
    commands nothing. With `motion_requested` motion starts after discovery.
    """

    def __init__(self, node: Any, run: Callable[[], PolicyRun | None], incidents: IncidentFiles,
                 shadow: bool) -> None:
        self._node, self._run, self._incidents = node, run, incidents
        self.shadow = shadow
        self.motion_requested = False
        self._born_ns = time.monotonic_ns()
        serve(node, '~/start', self._start)
        serve(node, '~/stop', self._stop)
        serve(node, '~/take_over', self._take_over)
        serve(node, '~/give_back', self._give_back)
        serve(node, '~/reset', self._reset)
        serve(node, '~/dump', self._dump)
        serve(node, '~/set_shadow', self._set_shadow, SetBool)
        steady_timer(node, _LOOK_S, self._start_requested)

    def _active(self) -> PolicyRun:
        run = self._run()
        if run is None:
            raise ContractError('not active; configure and activate first')
        return run

    def _start(self, _: Any) -> tuple[bool, str]:
        run = self._active()
        run.require_one_publisher()
        if not self._discovered() or run.undiscovered():
            self.motion_requested = True
            return True, (f'{_STARTED[State.WAITING]}, unless discovery finds another node that '
                          f'commands the arm; see ~/status')
        allowed, found, accepted_s = run.start()
        if accepted_s:
            return True, (f'the doubt is accepted for {accepted_s:g} s; motion goes on unless '
                          f'~/status names another cause')
        if allowed:
            return True, '; warning: '.join([_STARTED[found], *run.watch_graph()])
        if found is State.FAULT:
            return False, 'motion cannot begin in state fault; find the cause, then call ~/reset'
        return False, 'motion is being stopped; call ~/start again once ~/status says waiting'

    def _discovered(self) -> bool:
        """Tell whether discovery has had the time to name every other publisher."""
        return time.monotonic_ns() - self._born_ns >= _DISCOVERY_NS

    def _start_requested(self) -> None:
        """Start a requested motion after discovery; the status tells if it cannot begin."""
        run = self._run()
        if (not self.motion_requested or run is None or not self._discovered()
                or run.undiscovered()):
            return
        self.motion_requested = False
        second = run.second_publisher()
        if second is not None:
            run.fault('second_publisher', second)
            return
        try:
            run.start()
        except TimeoutError as err:
            self._node.get_logger().error(f'motion does not begin: {err}')

    def _stop(self, _: Any) -> tuple[bool, str]:
        self.motion_requested = False
        run = self._run()
        if run is None:
            return True, 'not active, so nothing moves'
        run.stop()
        return True, 'motion ends; an arm that was commanded gets one hold command'

    def _take_over(self, _: Any) -> tuple[bool, str]:
        run = self._active()
        waits_for = run.require_person()
        held, state = run.take_over()
        if not held:
            return False, (f'nothing to take over in state {state.value}: the policy commands '
                           f'nothing, so you may command the arm at once, or call ~/start first')
        if state is State.TAKEN_OVER:
            return True, 'the person has the arm already; ~/give_back returns it to the policy'
        return True, f'the policy holds and {waits_for}; ~/give_back returns the arm to it'

    def _give_back(self, _: Any) -> tuple[bool, str]:
        given, before = self._active().give_back()
        if given:
            return True, 'the policy goes on once every input is fresh'
        if before.state is State.TAKEN_OVER:
            return False, f'the person still has the arm: {before.sentence}'
        return False, 'the arm was not taken over; ~/take_over asks for it'

    def _reset(self, _: Any) -> tuple[bool, str]:
        run = self._active()
        self.motion_requested = False
        run.reset()
        return True, 'waiting for ~/start; counters and faults are forgotten'

    def _dump(self, _: Any) -> tuple[bool, str]:
        incident = self._active().incident()
        return True, f'wrote {self._incidents.write(incident, "dump", time.time())}'

    def _set_shadow(self, request: Any) -> tuple[bool, str]:
        if self._run() is not None:
            return False, 'active; deactivate first, so that nothing moves while topics change'
        self.shadow = bool(request.data)
        return True, ('commands will go to ~/shadow_command' if self.shadow
                      else "commands will go to the robot's topics")
