# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node on a task that is not a handover: arrays come in, arrays go out."""

from typing import Any

import numpy as np
import pytest
from live_policy import FakePolicy
from policies import MAX_AGE_S
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from vectors import contract

from uncloning_ros.policy_io import Observation, Plan

CONTRACT = contract(('deployment.observations.place.max_age_s', MAX_AGE_S),
                    ('deployment.observations.goal.max_age_s', 0.5),
                    ('policy.execute', 8), ('deployment.episode_end.max_episode_s', 300))


class Chaser(FakePolicy):
    """A policy that sends the cart a fifth of its way, and drives the belt too fast."""

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        place, goal = observation.vector[-1, :2], observation.vector[-1, 2:]
        action = np.concatenate([place + (goal - place) / 5, [50.0]])
        return Plan(np.tile(action, (len(noise), 1)).astype(np.float32))


class Cart(Node):
    """A cart with a belt: it says place and goal at 50 Hz and keeps the commands."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('cart', **node_options)
        self.values: dict[str, list[float] | None] = {'place': [0.1, 0.2], 'goal': [0.6, 0.7]}
        self.heard: dict[str, list[list[float]]] = {'target': [], 'belt': []}
        self._out = {key: self.create_publisher(Float64MultiArray, key, 10)
                     for key in self.values}
        for key, kept in self.heard.items():
            self.create_subscription(Float64MultiArray, key,
                                     lambda said, kept=kept: kept.append(list(said.data)), 100)
        self.create_timer(0.02, self._say)

    def _say(self) -> None:
        for key, values in self.values.items():
            if values is not None:
                self._out[key].publish(Float64MultiArray(data=values))

    def newest(self) -> list[float]:
        """Return the newest command of cart and belt."""
        return [value for kept in self.heard.values() for value in (kept[-1] if kept else [])]


@pytest.mark.parametrize(('fault', 'reason'), [
    (None, 'stale_input'), ([np.nan, 0.7], 'refused_input'), ([0.6], 'refused_input')])
def test_arrays_are_answered_with_arrays_and_a_fault_stops_cart_and_belt(
        activate: Any, load: Any, graph: Any, fault: list[float] | None, reason: str) -> None:
    load(Chaser(CONTRACT))
    cart = graph.add(Cart)
    live = activate()

    def commanded(*values: float) -> None:
        live.graph.until(lambda: cart.newest() == pytest.approx(values, abs=1e-5),
                         lambda: (live.told, live.status, cart.newest()))

    live.reach('waiting', 'not_started')
    assert cart.newest() == []
    assert graph.call(live.robot, '/policy/start').success
    commanded(0.2, 0.3, 2.0)  # a fifth of the way; the belt at the end of its span
    counts = live.status['counters']
    assert counts['vector_limit'] > 0
    assert not any('workspace' in name or 'joint' in name for name in counts)
    cart.values['goal'] = fault
    live.reach('hold', reason)
    assert live.status['sentence'].count('goal')
    commanded(0.1, 0.2, 0.0)  # the measured place, and the belt at rest
    cart.values['goal'] = [0.1, -0.3]
    commanded(0.1, 0.1, 2.0)
    assert graph.call(live.robot, '/policy/stop').success
    commanded(0.1, 0.2, 0.0)
    silent_after = len(cart.heard['target'])
    live.reach('waiting', 'stopped')
    assert len(cart.heard['target']) <= silent_after + 1
