# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""10,000 seeded mutations: none is more than refused, none makes a command that is not allowed.

4,000 messages (decoded, and given to a loop that commands the arm), 3,000 contracts, 2,500 model
files with other bytes, and 500 models with a right digest and a wrong inside. A seed that fails
is named, and repeats alone. The first part of each kind is an ordinary test, the others are
proofs.
"""

import math
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from audit_models import write_policy
from loop_inputs import (
    CONTRACT,
    Run,
    action,
    constant_policy,
    require_inside,
    require_reachable,
    samples,
)
from model_trials import Child, try_all
from mutations import mutate_message, mutated_bytes, mutated_data
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Contract, Signal, contract_from_dict
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError, ModelError
from uncloning_ros.policy_io import Plan
from uncloning_ros.runtime.control_loop import ControlLoop, State
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.runtime.watchdog import Guards
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

STORE = get_typestore(Stores.ROS2_JAZZY)
CONTRACTS = [yaml.safe_load((share_path('config') / name).read_text())
             for name in ('contract.yaml', 'contract_joint.yaml')]


def seeds(count: int, parts: int) -> list[Any]:
    """Return the seeds 0 to `count` in `parts` ranges, all but the first as proofs."""
    size = count // parts
    return [pytest.param(range(start, start + size), id=f'{start}-{start + size - 1}',
                         marks=pytest.mark.proof if start else ())
            for start in range(0, count, size)]


def spoilt(seed: int, run: Run) -> tuple[dict[str, Sample], Guards]:
    """Return what a node has after messages of which one was mutated."""
    rng = np.random.default_rng(seed)
    inputs, refused = samples(run.now_ns), {}
    observed = CONTRACT.interface.observations[seed % 5]
    topic = CONTRACT.deployment.observations[observed.key]
    # Stamped by a robot's clock, which does not begin at 0.
    message = encode(observed, topic.type, inputs[observed.key].values, run.now_ns,
                     STORE.types.__getitem__)
    mutate_message(rng, message)
    try:
        sample = decode(observed, message, run.now_ns)
    except ContractError as err:
        refused[observed.key] = str(err)
        del inputs[observed.key]
        return inputs, Guards(refused)
    assert sample.values.shape == (observed.dim,), seed
    assert np.all(np.abs(sample.values) <= 1e4), seed
    return inputs | {observed.key: sample}, Guards()


@pytest.mark.parametrize('part', seeds(4000, 8))
def test_a_mutated_message_leads_to_an_allowed_command_or_to_a_hold(part: range) -> None:
    outcomes: Counter[str] = Counter()
    for seed in part:
        run = Run(constant_policy(action(0.45, 0.01)), begin_ns=10**18)
        previous = run.moving()
        width = previous.command[9]
        for _ in range(4):
            inputs, guards = spoilt(seed, run)
            decision = run.step(inputs, guards=guards)
            assert decision.reason and decision.sentence, seed
            assert decision.state in (State.ACTIVE, State.HOLD, State.DONE), seed
            assert decision.command is not None, seed
            require_inside(decision.command)
            if decision.state is State.ACTIVE:
                require_reachable(previous.command, decision.command)
            else:
                assert decision.command[9] <= width, f'{seed}: the gripper opens in a hold'
            for key, sentence in guards.refused.items():
                assert sentence.startswith(f'{key}: ')
                assert decision.state is State.HOLD, seed
            outcomes[decision.reason] += 1
            previous, width = decision, decision.command[9]
    assert outcomes['refused_input'] > 100
    assert outcomes['policy'] > 100
    assert outcomes['stale_stamp'] + outcomes['future_stamp'] > 10


def generic_samples(signals: tuple[Signal, ...], now_ns: int) -> dict[str, Sample]:
    """Return samples for any contract: all of a kind alike, and trembling."""
    tremor = 1e-4 * math.sin(now_ns * 1e-7)
    values = {'pose': lambda n: np.array([0.4 + tremor, 0, 0.3, 1, 0, 0, 0, -1, 0]),
              'joint_positions': lambda n: np.full(n, 0.1 + tremor),
              'gripper_width': lambda n: np.array([0.04 + tremor]),
              'force': lambda n: np.full(3, tremor)}
    return {signal.key: Sample(values[signal.kind](signal.dim), now_ns, now_ns)
            for signal in signals}


def built(data: Any) -> tuple[Contract | None, str]:
    """Return a contract that a loop can be built for, or the sentence that refuses it."""
    try:
        contract = contract_from_dict(data)
        ControlLoop(contract, 0)
    except ContractError as err:
        return None, str(err)
    return contract, ''


def drive(contract: Contract, seed: int) -> None:
    """Drive a loop of any contract with a policy that answers anything, for 25 cycles."""
    rng = np.random.default_rng(seed)
    shape = (contract.policy.horizon, contract.interface.action_dim)
    run = Run(lambda *_: Plan(rng.normal(scale=0.5, size=shape)), contract=contract)
    for _ in range(25):
        guards = Guards(enabled=True, enabled_receive_ns=run.now_ns, faulty=False)
        decision = run.step(generic_samples(contract.interface.observations, run.now_ns),
                            guards=guards)
        assert decision.reason and decision.sentence, seed
        assert decision.command is None or np.all(np.isfinite(decision.command)), seed


@pytest.mark.parametrize('part', seeds(3000, 6))
def test_a_mutated_contract_is_refused_in_a_sentence_or_can_be_run(part: range) -> None:
    outcomes: Counter[str] = Counter()
    for seed in part:
        data: Any = mutated_data(np.random.default_rng(seed), CONTRACTS[seed % 2])
        contract, refusal = built(data)
        outcomes['run' if contract else 'refused'] += 1
        if contract is None:
            assert refusal.encode(), seed  # it can be printed
            continue
        again = contract_from_dict(plain(contract))
        assert again == contract and again.sha256 == contract.sha256, seed
        drive(contract, seed)
    assert outcomes['refused'] > 100 and outcomes['run'] > 50


@pytest.mark.parametrize('part', seeds(2500, 5))
def test_a_model_file_with_other_bytes_is_refused(part: range, tmp_path: Path) -> None:
    data = write_policy(tmp_path / 'whole.onnx').read_bytes()
    for seed in part:
        other = mutated_bytes(np.random.default_rng(seed), data)
        if other == data:
            continue
        path = tmp_path / f'{seed}.onnx'
        path.write_bytes(other)
        with pytest.raises(ModelError, match='is corrupted|is not an intact exported policy'):
            load_policy(path)
        path.unlink()


@pytest.fixture(scope='module')
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Child]]:
    """Processes that try models: what is wrong with one must not end this one."""
    found = [Child(tmp_path_factory.mktemp('models')) for _ in range(2)]
    yield found
    for child in found:
        child.end()


@pytest.mark.parametrize('part', seeds(500, 5))
def test_a_model_with_a_wrong_inside_is_refused_or_commands_what_is_allowed(
        part: range, children: list[Child]) -> None:
    found = try_all(children, part)
    assert sorted(found) == list(part)
    wrong = {seed: told for seed, told in found.items()
             if told[1] not in ('refused', 'commanded', 'faulted')}
    assert wrong == {}
    outcomes = Counter(outcome for _, outcome in found.values())
    assert outcomes['refused'] > 50 and outcomes['commanded'] > 5


def test_the_model_that_is_mutated_commands_before_it_is(children: list[Child],
                                                         tmp_path: Path) -> None:
    from model_mutations import small_policy, with_digest
    from model_trials import tried

    path = tmp_path / 'small.onnx'
    path.write_bytes(with_digest(small_policy(CONTRACT).SerializeToString(deterministic=True)))
    assert tried(path) == 'commanded'


def test_a_process_that_a_model_ends_is_a_failure_of_that_model_alone(
        children: list[Child]) -> None:
    child = children[0]
    child.seed = 7
    child.connection.send(None)  # which ends it
    assert child.answer()[::2] == (7, 'ended the process: 0')
    # One that says nothing is given up.
    assert child.give_up()[::2] == (7, f'ended the process: {-signal.SIGKILL}')
    assert try_all([child], [1])[1][1] in ('refused', 'commanded', 'faulted')
