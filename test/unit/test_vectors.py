# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vectors: a contract without a handover, its limits, holds, watchdog, scales and verdicts."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from loop_inputs import Run
from vectors import ARRAY, REMOVE, STATE, changed, contract

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.conversions import Sample, encode
from uncloning_ros.demos.bags.message_types import message_class, typestore
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.errors import ContractError, ScenarioError
from uncloning_ros.geometry import Array
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.policy_io import Plan
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.shadow import distances
from uncloning_ros.samples import SampleReader
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain
from uncloning_ros.simulation.capabilities import require_simulable

CONTRACT = contract()
NS = 10**9


def samples(now_ns: int, place: tuple[float, ...] = (0.1, 0.2)) -> dict[str, Sample]:
    return {'place': Sample(np.array(place), now_ns, now_ns),
            'goal': Sample(np.array([0.5, 0.5]), now_ns, now_ns)}


def test_a_contract_says_nothing_of_poses_grippers_and_frames() -> None:
    data = plain(CONTRACT)
    assert data == {**changed(), 'policy': CONTRACT.policy.__dict__,
                    'deployment': data['deployment']}
    assert set(data['deployment']['limits']) == {'vectors'}
    assert set(data['deployment']['episode_end']) == {'max_episode_s'}
    assert contract_from_dict(data).sha256 == CONTRACT.sha256
    assert (CONTRACT.interface.observation_dim, CONTRACT.interface.action_dim) == (4, 3)


def test_the_contract_of_the_page_is_that_of_the_task_in_bench() -> None:
    from outside.push_wall import PushWall

    page = (Path(__file__).resolve().parents[2] / 'docs' / 'outside.md').read_text('utf-8')
    block = re.search(r'```yaml\n(.*?)```', page, re.DOTALL)
    assert block is not None
    assert contract_from_dict(yaml.safe_load(block[1])) == PushWall.contract


TARGET, BELT = 'deployment.limits.vectors.target', 'deployment.limits.vectors.belt'
PLACE = 'interface.observations.0'


@pytest.mark.parametrize(('place', 'value', 'culprit'), [
    (f'{PLACE}.unit', REMOVE, "missing key 'unit'"),
    (f'{PLACE}.unit', '', 'unit: expected a text'),
    (f'{PLACE}.names', REMOVE, 'names.* or size.* got neither'),
    (f'{PLACE}.size', 2, 'names.* or size.* got both'),
    (f'{PLACE}.size', 0, r'size: .*\[1, 1000\], got 0'),
    (f'{PLACE}.continuous', ['x'], "unknown key 'continuous'"),
    ('interface.observations.1.kind', 'force', "unit: expected 'N' .*got 'm'"),
    ('interface.observations.1', {'key': 'goal', 'kind': 'force', 'unit': 'N', 'size': 3},
     "unknown key 'size'"),
    ('interface.observations.1', {'key': 'goal', 'kind': 'pose', 'unit': 'm'},
     "missing key 'base_frame', expected the frame of goal"),
    ('deployment.observations.goal.type', STATE, 'goal.type: .*without names.*JointState'),
    ('deployment.observations.place.max_speed_m_s', 1.0, "unknown key 'max_speed_m_s'"),
    ('deployment.observations.goal.topic', 'place',
     'observations.place and observations.goal.*names or frames'),
    ('deployment.actions.target.type', STATE, 'target.type: .*MultiArray.*JointState'),
    ('deployment.limits', REMOVE, 'limits.vectors: missing key .* min, max, step_per_s'),
    (BELT, REMOVE, "limits.vectors: missing key 'belt', .* jump or hold"),
    (f'{TARGET}.min', REMOVE, "vectors.target: missing key 'min'"),
    (f'{TARGET}.max', REMOVE, "vectors.target: missing key 'max'"),
    (f'{TARGET}.step_per_s', REMOVE, "vectors.target: missing key 'step_per_s'"),
    (f'{TARGET}.step_per_s', 0, 'step_per_s: .* got 0'),
    (f'{TARGET}.min', [-1], 'target: min: expected 2 numbers.* got 1'),
    (f'{TARGET}.max', [1, -2], r'below max \[1.0, -2.0\].*got \[-1.0, -2.0\]'),
    (f'{TARGET}.min', [-math.inf, 0], r'min\[0\]: expected a number, got -inf'),
    (f'{TARGET}.jump', REMOVE, 'target: expected either jump.* or hold.* got neither'),
    (f'{TARGET}.hold', [0, 0], 'target: expected either jump.* or hold.* got both'),
    (f'{BELT}.hold', [3], r'belt: hold: .*\[2.0\], got \[3.0\]'),
    (BELT, {'min': [-2], 'max': [2], 'step_per_s': 1, 'jump': 1},
     "belt: .*observation that measures the action 'belt'.*same unit"),
    (f'{PLACE}.unit', 'cm', "target: .*measures the action 'target'.* got none"),
    ('deployment.limits.vectors.arm', {'min': [0], 'max': [1], 'step_per_s': 1, 'jump': 1},
     "unknown key 'arm'"),
])
def test_a_wrong_contract_is_refused_with_its_place_and_culprit(place: str, value: object,
                                                                culprit: str) -> None:
    with pytest.raises(ContractError, match=culprit):
        contract((place, value))


@pytest.mark.parametrize(('given', 'missing'), [
    ('limits', 'workspace_min_m'), ('limits', 'rotation_speed_rad_s'), ('limits', 'jump_rad'),
    ('episode_end', 'open_width_m'), ('episode_end', 'object_distance_m')])
def test_a_contract_that_has_poses_or_grippers_needs_what_is_about_them(given: str,
                                                                        missing: str) -> None:
    from inputs import CONTRACT as HANDOVER

    data = plain(HANDOVER)
    del data['deployment']['limits']['joint_speed_rad_s']
    assert contract_from_dict(data).interface == HANDOVER.interface
    del data['deployment'][given][missing]
    with pytest.raises(ContractError, match=f'deployment.{given}: missing key {missing!r}'):
        contract_from_dict(data)


def read_one(of: Contract, values: list[float], arrival_ns: int = 7) -> Any:
    signal, source = of.interface.observations[0], of.deployment.observations['place']
    message = encode(replace(signal, names=(), size=len(values)), ARRAY, values, 0, message_class)
    (_, found), = SampleReader({'place': [(signal, source)]}).read('place', message, 3,
                                                                   arrival_ns)
    return found


def test_an_array_has_no_stamp_and_its_arrival_counts() -> None:
    found = read_one(CONTRACT, [1.0, -2.0])
    assert (found.values.tolist(), found.receive_ns, found.stamp_ns) == ([1.0, -2.0], 3, 7)


@pytest.mark.parametrize(('values', 'culprit'), [
    ([1.0], 'place: expected 2 values, got 1'), ([1.0, math.nan], 'place: .*finite.*nan'),
    ([1.0, 1e12], r'place: expected values from -1e\+09 to 1e\+09 m, got')])
def test_an_unusable_array_is_refused(values: list[float], culprit: str) -> None:
    found = read_one(CONTRACT, values)
    assert isinstance(found, ContractError)
    with pytest.raises(ContractError, match=culprit):
        raise found


@pytest.mark.parametrize(('command', 'allowed', 'count'), [
    ([0.3, 0.0, 0.5], [0.3, 0.0, 0.5], None),
    ([9.0, 0.0, 0.5], [0.5, 0.0, 0.5], 'vector_jump'),
    ([0.3, 0.0, 1.5], [0.3, 0.0, 1.0], 'vector_speed'),
    ([0.3, 0.0, 2.5], [0.3, 0.0, 1.0], 'vector_limit'),
    ([0.6, 0.0, 0.0], [0.5, 0.0, 0.0], 'vector_speed')])
def test_commands_are_held_to_span_speed_and_distance(command: list[float], allowed: list[float],
                                                      count: str | None) -> None:
    limiter = Limiter(CONTRACT)
    at = np.zeros(3)
    found = limiter.apply(np.array(command), at, at)
    assert found is not None and found.tolist() == pytest.approx(allowed)
    assert (count is None) == (not any(limiter.counts.values()))
    assert count is None or limiter.counts[count] == 1
    assert set(limiter.counts) == {'rejected', 'vector_limit', 'vector_jump', 'vector_speed'}
    assert limiter.apply(np.array([math.nan, 0, 0]), at, at) is None


def test_no_command_leaves_the_span_though_the_cart_is_measured_outside() -> None:
    found = Limiter(CONTRACT).apply(np.array([1.4, 0.0, 0.0]), np.array([0.9, 0.0, 0.0]),
                                    np.array([1.3, 0.0, 0.0]))
    assert found is not None and found[0] == pytest.approx(1.0)


def constant(*values: float) -> Callable[..., Plan]:
    return lambda observation, noise: Plan(np.tile(np.array(values, np.float32), (8, 1)))


def moving(policy: Callable[..., Plan]) -> Run:
    """Return a run in which the policy has commanded for a while."""
    run = Run(policy, contract=CONTRACT)
    for _ in range(8):
        decision = run.step(samples(run.now_ns))
    assert (decision.reason, decision.command is None) == ('policy', False)
    return run


def test_an_episode_begins_from_what_is_measured_and_from_rest() -> None:
    run = Run(constant(0.9, 0.2, 1.5), contract=CONTRACT)
    commands: list[Array] = []
    while len(commands) < 2:
        decision = run.step(samples(run.now_ns))
        commands += [decision.command] if decision.reason == 'policy' else []
    # A plan is reached in the four ticks it lasts, from the measured place and the belt at rest.
    assert commands[0] == pytest.approx([0.3, 0.2, 0.375])
    assert commands[1] == pytest.approx([0.5, 0.2, 0.75])


@pytest.mark.parametrize(('fault', 'reason'), [
    ('silent', 'missing_input'), ('old', 'stale_input'), ('nan', 'not_finite_input'),
    ('far', 'out_of_reach')])
def test_a_fault_holds_the_measured_place_and_stops_the_belt(fault: str, reason: str) -> None:
    run = moving(constant(0.3, 0.2, 1.5))
    inputs = samples(run.now_ns)
    if fault == 'silent':
        del inputs['goal']
    elif fault == 'old':
        inputs['goal'] = samples(run.now_ns - NS)['goal']
    elif fault == 'nan':
        inputs['goal'] = replace(inputs['goal'], values=np.array([math.nan, 0.0]))
    else:
        inputs['place'] = samples(run.now_ns, (1.9, 0.2))['place']
    decision = run.step(inputs)
    assert (decision.state.value, decision.reason) == ('hold', reason)
    assert decision.command is not None
    # A measurement that is not believed is not commanded: the last command stays.
    assert decision.command == pytest.approx(
        [0.3 if fault == 'far' else 0.1, 0.2, 0.0], abs=1e-6)


def test_a_vector_that_repeats_itself_is_refused_only_where_the_contract_says_so() -> None:
    stated = contract(('deployment.observations.goal.max_unchanged_s', 0.5))
    for of, expected in ((CONTRACT, 'policy'), (stated, 'unchanged_input')):
        run = Run(constant(0.3, 0.2, 1.5), contract=of)
        for _ in range(12):
            decision = run.step(samples(run.now_ns))
        assert decision.reason == expected


def test_a_stopped_motion_ends_with_the_belt_at_rest() -> None:
    run = moving(constant(0.3, 0.2, 1.5))
    run.loop.stop()
    decision = run.step(samples(run.now_ns))
    assert decision.reason == 'stopped' and decision.command is not None
    assert decision.command == pytest.approx([0.1, 0.2, 0.0])
    assert run.step(samples(run.now_ns)).command is None


def test_large_units_are_no_fault_and_larger_than_any_are() -> None:
    run = moving(constant(2e4, 0.2, 0.0))
    assert run.step(samples(run.now_ns)).reason == 'policy'
    run = Run(constant(2e9, 0.2, 0.0), contract=CONTRACT)
    for _ in range(8):
        decision = run.step(samples(run.now_ns))
    assert (decision.state.value, decision.reason) == ('fault', 'policy_failed')


def test_an_episode_ends_after_its_longest_time() -> None:
    short = contract(('deployment.episode_end.max_episode_s', 1.0))
    run = Run(constant(0.3, 0.2, 1.5), contract=short)
    reasons = [run.step(samples(run.now_ns)).reason for _ in range(15)]
    assert reasons[-1] == 'timeout'
    assert set(reasons) == {'planning', 'policy', 'timeout'}


def test_the_scale_of_a_vector_follows_from_its_own_spread() -> None:
    normaliser = Normaliser(CONTRACT.interface, CONTRACT.policy)
    rng = np.random.default_rng(0)
    observations = rng.normal(0, 1, (500, 2, 4)) * [3e5, 1e-3, 0, 0] + [7, 8, 9, 9]
    chunks = np.repeat(rng.normal(0, 1, (500, 1, 3)), 8, 1) * [1e-4, 1e-4, 0]
    normaliser.fit(torch.tensor(observations, dtype=torch.float32),
                   torch.tensor(chunks, dtype=torch.float32))
    scale = normaliser.condition_std
    assert scale[0] == pytest.approx(3e5, rel=0.1)
    assert scale[1] == pytest.approx(scale[0] / 100)  # what trembles beside it is noise
    assert scale[2:].tolist() == [1.0, 1.0]  # it never changed
    assert normaliser.action_std[:, :2].numpy() == pytest.approx(1e-4, rel=0.1)
    assert normaliser.action_std[:, 2].tolist() == [1.0] * 8


def verdict(of: Contract) -> list[str]:
    """Return the findings on three seconds in which the place moves and the goal does not."""
    judge = EpisodeJudge(of, {})
    interface, deployment = of.interface, of.deployment
    for step in range(31):
        now_ns = NS + step * NS // 10
        for signal in (*interface.observations, *interface.actions):
            topic = {**deployment.observations, **deployment.actions}[signal.key]
            still = signal.key == 'goal'
            message = encode(signal, topic.type, np.full(signal.dim, 0.1 if still else step),
                             now_ns, message_class)
            judge.see(topic.bag_name, bytes(typestore().serialize_cdr(message, topic.type)),
                      now_ns)
    return [one.kind for one in judge.verdict(NS, 4 * NS, {}, {}).findings]


def test_the_recorder_calls_a_goal_that_stands_still_frozen_only_where_that_is_stated() -> None:
    assert verdict(CONTRACT) == []
    assert verdict(contract(('deployment.observations.goal.max_unchanged_s', 0.5))) == ['frozen']


def test_the_distance_from_a_demonstrator_has_the_unit_of_the_vector() -> None:
    found = distances(CONTRACT.interface, np.array([0.0, 0.5, 1.0]),
                      {'target': np.array([0.1, 0.2]), 'belt': np.array([0.0])})
    assert found == pytest.approx({'target_m': 0.3, 'belt_m/s': 1.0})


def test_no_simulator_plays_a_task_with_vectors() -> None:
    with pytest.raises(ScenarioError, match='no simulator plays .*place, a vector; record'):
        require_simulable(CONTRACT.interface, find_scenario('knife'))
