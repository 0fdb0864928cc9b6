# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commanded widths reach the action of a gripper's driver, one goal at a time."""

from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from uncloning_ros.errors import ContractError
from uncloning_ros.nodes import gripper as gripper_module
from uncloning_ros.nodes.gripper import ACTION, GripperNode


class Driver:
    """Stands for the driver's action, whose messages are not installed here."""

    def __init__(self, _node: Any, _kind: Any, name: str) -> None:
        self._action_name, self.ready, self.accepts = name, True, True
        self.goals: list[tuple[float, float]] = []
        self.ends: list[Future[Any]] = []

    def server_is_ready(self) -> bool:
        return self.ready

    def send_goal_async(self, goal: Any) -> 'Future[Any]':
        self.goals.append((round(goal.command.position, 6), goal.command.max_effort))
        self.ends.append(Future())
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(accepted=self.accepts,
                                          get_result_async=lambda end=self.ends[-1]: end))
        return answer

    def destroy(self) -> None:
        pass


@pytest.fixture
def gripper(graph: Any, robot: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gripper_module, 'ActionClient', Driver)
    classes = gripper_module.contract_class
    monkeypatch.setattr(gripper_module, 'contract_class', lambda name: SimpleNamespace(
        Goal=lambda: SimpleNamespace(command=SimpleNamespace(position=0.0, max_effort=0.0)))
        if name == ACTION else classes(name))
    return graph.add(GripperNode)


@pytest.fixture
def command(graph: Any, robot: Any) -> Callable[..., None]:
    from std_msgs.msg import Float64MultiArray

    out = robot.create_publisher(Float64MultiArray, '/gripper_controller/commands', 1)

    def publish(until: Callable[[], bool], *data: float) -> None:
        """Publish again and again, as the policy does, until the driver has what it should."""
        def met() -> bool:
            out.publish(Float64MultiArray(data=list(data)))
            return until()
        graph.until(met, lambda: data)

    return publish


def test_a_width_is_one_goal_and_the_newest_follows_its_end(
        gripper: Any, command: Callable[..., None]) -> None:
    driver = gripper._client
    command(lambda: len(driver.goals) == 1, 0.08)
    command(lambda: gripper._goals._newest_m == 0.0, 0.0)
    assert driver.goals == [(0.04, 30.0)]  # one finger's place, while the goal lasts
    driver.ends[0].set_result(None)
    assert driver.goals == [(0.04, 30.0), (0.0, 30.0)]


def test_a_driver_that_is_started_again_gets_the_newest_width(
        gripper: Any, command: Callable[..., None]) -> None:
    driver = gripper._client
    command(lambda: len(driver.goals) == 1, 0.08)
    driver.ready = False  # it ended amid the goal, so the goal never ends
    command(lambda: gripper._goals.goal_m is None, 0.08)
    driver.ready = True
    command(lambda: len(driver.goals) == 2, 0.08)


def test_no_driver_and_a_refused_goal_are_told_and_lose_nothing(
        gripper: Any, command: Callable[..., None], caplog: Any,
        monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(gripper, 'get_logger', lambda: SimpleNamespace(
        warning=lambda sentence, **_: said.append(sentence)))
    driver = gripper._client
    driver.ready = False
    command(lambda: bool(said), 0.08)
    assert 'franka_gripper/gripper_action, got none' in said[0] and not driver.goals
    driver.ready, driver.accepts = True, False
    command(lambda: len(driver.goals) == 1, 0.08)
    assert 'refused a width of 0.080 m' in said[-1]
    driver.accepts = True
    command(lambda: len(driver.goals) == 2, 0.0)


def test_rubbish_is_told_and_commands_nothing(
        gripper: Any, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(gripper, 'get_logger', lambda: SimpleNamespace(
        warning=lambda sentence, **_: said.append(sentence)))
    for data in ((), (0.08, 0.08), (float('nan'),), (80.0,)):
        said.clear()
        command(lambda: bool(said), *data)
        assert said[0].startswith('target_width')
    assert not gripper._client.goals


def test_without_control_msgs_the_node_says_what_to_install(graph: Any) -> None:
    with pytest.raises(ContractError, match='control_msgs is not installed'):
        graph.add(GripperNode)
