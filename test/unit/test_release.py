# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A release by width and pull: noticed where it happened, neither missed nor invented."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from inputs import CONTRACT
from loop_inputs import Run, deployed, pose, samples

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.release import Release, release_lacks, release_rule
from uncloning_ros.scenario import find_scenario
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.world import open_world

PULL_N, MAX_EPISODE_S = 3.0, 12.0
CYCLE_S = 0.01


def by_pull(lacking: tuple[str, ...] = ('object_pose', 'hand_pose'),
            pull_n: float | None = PULL_N) -> Contract:
    """Return the shipped contract with `pull_n`, without some observations."""
    interface = CONTRACT.interface
    contract = deployed(
        observations={key: topic for key, topic in CONTRACT.deployment.observations.items()
                      if key not in lacking},
        episode_end=replace(CONTRACT.deployment.episode_end, pull_n=pull_n,
                            max_episode_s=MAX_EPISODE_S))
    return replace(contract, interface=replace(interface, observations=tuple(
        one for one in interface.observations if one.key not in lacking)))


def rule_of(contract: Contract) -> Release:
    rule = release_rule(contract)
    assert rule is not None
    return rule


class Handover:
    """Width, force and place of an arm, cycle by cycle; `noticed` tells whether once released."""

    def __init__(self, contract: Contract | None = None) -> None:
        self.rule = rule_of(contract or by_pull())
        self.now_s = 100.0
        self.width_m, self.x_m = 0.08, 0.4
        self.force_n = np.zeros(3)
        self.noticed = False
        self.frozen_width_m: float | None = None
        self.frozen_force_n: Array | None = None

    def go(self, for_s: float, width_m: float | None = None, x_m: float | None = None,
           force_n: tuple[float, float, float] | None = None) -> 'Handover':
        """Go on for a time, with width and place on straight ways to new values."""
        count = round(for_s / CYCLE_S)
        widths = np.linspace(self.width_m, self.width_m if width_m is None else width_m, count + 1)
        places = np.linspace(self.x_m, self.x_m if x_m is None else x_m, count + 1)
        if force_n is not None:
            self.force_n = np.array(force_n)
        for width, place in zip(widths[1:], places[1:], strict=True):
            self.now_s += CYCLE_S
            now_ns = round(self.now_s * 1e9)
            shown = width if self.frozen_width_m is None else self.frozen_width_m
            force = self.force_n if self.frozen_force_n is None else self.frozen_force_n
            self.noticed |= self.rule.noticed(now_ns, {
                'tool_pose': Sample(pose(place), now_ns, now_ns),
                'gripper_width': Sample(np.array([shown]), now_ns, now_ns),
                'wrist_force': Sample(force, now_ns, now_ns)})
        self.width_m, self.x_m = widths[-1], places[-1]
        return self

    def grasp(self, width_m: float = 0.02) -> 'Handover':
        """Close on something and lift it: its weight is felt."""
        return self.go(0.6, width_m).go(0.6).go(0.8, x_m=0.6, force_n=(0.5, 0.3, -2.0)).go(1.0)

    def pull(self, newton: float = 6.0, for_s: float = 0.6) -> 'Handover':
        """Feel a person's pull; then none."""
        x, y, z = self.force_n
        self.go(for_s, force_n=(x + newton, y, z))
        self.force_n = np.array([x, y, z])
        return self

    def open(self, for_s: float = 0.3) -> 'Handover':
        return self.go(for_s, 0.08, force_n=(0.0, 0.0, 0.0))

    def retreat(self) -> 'Handover':
        return self.go(0.7, x_m=self.x_m - 0.16).go(0.3)


def test_fingers_that_open_after_a_pull_and_move_away_have_released() -> None:
    handover = Handover().grasp().pull().open()
    assert not handover.noticed  # the tool is still between the fingers
    assert handover.retreat().noticed


@pytest.mark.parametrize('width_m', [0.003, 0.006, 0.022, 0.05])
@pytest.mark.parametrize('newton', [-9.0, 5.0])
def test_thin_and_wide_things_are_held_and_a_pull_may_go_either_way(width_m: float,
                                                                   newton: float) -> None:
    assert Handover().grasp(width_m).pull(newton).open().retreat().noticed


def test_a_slow_gripper_has_time_to_open() -> None:
    assert Handover().grasp().pull().open(for_s=1.0).retreat().noticed


def test_an_offset_of_the_force_sensor_is_no_pull_and_hides_none() -> None:
    offset = Handover()
    offset.go(0.1, force_n=(8.0, 0.0, 0.0)).go(0.6, 0.02).go(2.0)
    assert not offset.open().retreat().noticed
    offset.go(0.6, 0.02, x_m=0.4, force_n=(8.0, 0.0, 0.0)).go(2.0)
    assert offset.pull().open().retreat().noticed


def faults() -> Iterator[tuple[str, Handover]]:
    """Yield every way in which a release may be invented or missed, after it happened."""
    yield 'nothing happens', Handover().go(3.0).retreat()
    yield 'the gripper closes on nothing', (
        Handover().grasp(0.0).pull().open().retreat())
    yield 'a gripper whose zero is off closes on nothing', (
        Handover().grasp(0.001).pull().open().retreat())
    yield 'the fingers turn back on their way', (
        Handover().go(0.4, 0.03).pull(for_s=0.15).open().retreat())
    yield 'opened without a pull', Handover().grasp().open().retreat()
    yield 'put down on a table', (
        Handover().grasp().go(0.5, force_n=(0.0, 0.0, 4.0)).open().retreat())
    yield 'a pull that is too weak', Handover().grasp().pull(2.5).open().retreat()
    yield 'dropped after a bump', Handover().grasp().pull(20.0, 0.05).open().retreat()
    yield 'dropped long after a pull that was not answered', (
        Handover().grasp().pull().go(1.2).open().retreat())
    yield 'bumped against in mid-carry, then dropped at the end', (
        Handover().grasp().pull(20.0, 0.3).go(1.5, x_m=0.8).open().retreat())
    yield 'drawn out of fingers that shut, and then open', (
        Handover().grasp().pull().go(0.1, 0.0).open().retreat())
    yield 'grasped again after a pull', (
        Handover().grasp().pull().open().go(0.2, 0.02).go(0.6).open().retreat())
    yield 'opened after a pull, and stays', Handover().grasp().pull().open().go(3.0)
    dead = Handover()
    dead.frozen_force_n = np.zeros(3)
    yield 'the force sensor is dead', dead.grasp().pull().open().retreat()
    stuck = Handover()
    stuck.frozen_force_n = np.array([7.0, -4.0, 1.0])
    yield 'the force sensor hangs at a pull', stuck.grasp().pull().open().retreat()
    hangs = Handover().grasp()
    hangs.frozen_force_n = hangs.force_n
    yield 'the force sensor hangs in mid-carry', hangs.pull().open().retreat()
    for width_m in (0.08, 0.02, 0.0):
        width = Handover()
        width.frozen_width_m = width_m
        yield f'the width hangs at {width_m}', width.grasp().pull().open().retreat()


@pytest.mark.parametrize(('name', 'handover'), faults())
def test_no_fault_invents_a_release(name: str, handover: Handover) -> None:
    assert not handover.noticed, name


def test_a_clock_set_back_makes_no_old_pull_young() -> None:
    handover = Handover().grasp().pull()
    handover.now_s -= 50.0
    assert not handover.open().retreat().noticed


def test_a_pull_of_the_last_episode_does_not_end_the_next_one() -> None:
    handover = Handover().grasp().pull()
    handover.rule.reset()
    assert not handover.open().retreat().noticed


def test_the_loop_ends_with_the_release_and_without_one_at_the_longest_episode() -> None:
    def run(force_n: float) -> tuple[State, str]:
        loop = Run(contract=by_pull())
        script = [(0.08, 0.4, 0.0)] * 100 + [(0.02, 0.4, 0.0)] * 100
        script += [(0.02, 0.4, force_n)] * 50 + [(0.08, 0.4, 0.0)] * 30 + [(0.08, 0.25, 0.0)] * 30
        script += [(0.08, 0.25, 0.0)] * (round(MAX_EPISODE_S / CYCLE_S) - len(script) + 1)
        decision = loop.step()
        for width, x, force in script:
            inputs = samples(loop.now_ns, width, tool_pose=pose(x),
                             wrist_force=np.array([force, 0.0, 0.0]))
            decision = loop.step({key: inputs[key] for key in (
                'tool_pose', 'gripper_width', 'wrist_force')})
            if decision.state is State.DONE:
                break
        return decision.state, decision.reason

    assert run(6.0) == (State.DONE, 'released')
    assert run(0.0) == (State.DONE, 'timeout')


def test_the_object_s_pose_decides_where_it_is_observed() -> None:
    assert type(rule_of(by_pull(()))) is type(rule_of(CONTRACT))
    assert type(rule_of(by_pull())) is not type(rule_of(CONTRACT))


def test_a_tool_that_was_put_down_is_not_handed_over_where_the_hand_decides() -> None:
    end = replace(CONTRACT.deployment.episode_end, hand_distance_m=0.3)
    down, taken = {'object_pose': pose(0.4, y=0.3)}, {'object_pose': pose(0.65)}
    for contract, ends in ((deployed(episode_end=end), False), (CONTRACT, True)):
        rule = rule_of(contract)
        assert not rule.noticed(0, samples(0, 0.02, object_pose=pose(0.4)))
        assert rule.noticed(1, samples(1, **down)) is ends
        assert rule.noticed(2, samples(2, **taken))


def test_how_near_the_hand_needs_a_hand() -> None:
    contract = by_pull()
    end = replace(contract.deployment.episode_end, hand_distance_m=0.3)
    with pytest.raises(ContractError, match='expected object_pose and hand_pose among the '
                                            'observations, got gripper_width tool_pose'):
        end.require_fits(contract.interface)


def test_a_contract_without_a_pull_keeps_its_hash() -> None:
    assert by_pull((), None).deployment.sha256 == deployed(episode_end=replace(
        CONTRACT.deployment.episode_end, max_episode_s=MAX_EPISODE_S)).deployment.sha256
    assert by_pull(()).deployment.sha256 != by_pull((), None).deployment.sha256


@pytest.mark.parametrize(('lacking', 'pull_n', 'named'), [
    ((), None, ()), (('hand_pose',), None, ()), (('object_pose',), PULL_N, ()),
    (('object_pose',), None, ('pull_n',)),
    (('object_pose', 'wrist_force'), PULL_N, ('a force',)),
    (('tool_pose',), None, ('tool_pose',)),
    (('object_pose', 'gripper_width'), PULL_N, ('a gripper width',))])
def test_a_contract_by_which_no_release_is_noticed_says_what_it_lacks(
        lacking: tuple[str, ...], pull_n: float | None, named: tuple[str, ...]) -> None:
    contract = by_pull(lacking, pull_n)
    lacks = release_lacks(contract)
    assert len(lacks) == len(named)
    assert all(name in lack for name, lack in zip(named, lacks, strict=True))
    assert (release_rule(contract) is None) == bool(lacks)


@pytest.mark.parametrize(('scenario', 'seed'), [('knife', 0), ('knife', 1), ('mug', 1)])
def test_the_scripted_handover_is_noticed_once_the_person_has_the_tool(scenario: str,
                                                                       seed: int) -> None:
    found = find_scenario(scenario)
    rule, contract = rule_of(by_pull()), by_pull(())
    mode = sorted(found.modes)[seed % len(found.modes)]
    world = open_world(found, contract.interface)
    newest: dict[str, Sample] = {}
    noticed: list[bool] = []

    def listen(key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        newest[key] = Sample(values, stamp_ns, receive_ns)
        ready = key == 'tool_pose' and {'gripper_width', 'wrist_force'} <= newest.keys()
        if ready and rule.noticed(receive_ns, newest) and not noticed:
            noticed.append(world.receiver.has_tool)

    teacher = Demonstrator(found, contract.interface, mode, seed)
    try:
        assert demonstrate(world, teacher, contract, seed, listen)
    finally:
        world.close()
    assert noticed == [True]
