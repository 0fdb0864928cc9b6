# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutated inputs of a loop that commands the arm: live messages, and models."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import incidents
import numpy as np
import seeing
from audit_models import write_policy
from inputs import CAMERA_CONTRACT
from loop_inputs import (
    CONTRACT,
    Run,
    action,
    constant_policy,
    require_inside,
    require_reachable,
    samples,
)
from model_mutations import mutated_model, small_policy, with_digest
from mutation_kind import Kind, require_sentence
from mutators import mutate_message, mutated_bytes, pick
from numpy.random import Generator
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError
from uncloning_ros.runtime.control_loop import Decision, State
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.runtime.watchdog import Guards

STORE = get_typestore(Stores.ROS2_JAZZY)
CYCLES = 60  # that a model drives the loop for if it loads


class LiveMessage(Kind):
    """Messages with other fields, one in each of 4 cycles of a loop that commands."""

    reader = 'decode, ControlLoop'
    weight = 2000
    contract = CONTRACT

    def inputs(self, now_ns: int) -> dict[str, Sample]:
        """Return a fresh sample of every observation."""
        return samples(now_ns)

    def observed(self) -> Sequence[Signal]:
        """Return the observations of which messages are mutated."""
        return self.contract.interface.observations

    def mutated(self, rng: Generator, folder: Path) -> Generator:
        return rng

    def read(self, changed: Generator) -> str:
        run = Run(constant_policy(action(0.45, 0.01)), begin_ns=10**18, contract=self.contract)
        previous, reasons = moving(run, self.inputs), []
        width = previous.command[9]
        for _ in range(4):
            inputs, refused = self.inputs(run.now_ns), {}
            observed = pick(changed, self.observed())
            topic = self.contract.deployment.observations[observed.key]
            # Stamped by a robot's clock, which does not begin at 0.
            message = encode(observed, topic.type, inputs[observed.key].values, run.now_ns,
                             STORE.types.__getitem__)
            mutate_message(changed, message)
            try:
                sample = decode(observed, message, run.now_ns)
            except ContractError as err:
                refused[observed.key] = sentence = str(err)
                require_sentence(sentence)
                assert sentence.startswith(f'{observed.key}: ')
                del inputs[observed.key]
            else:
                assert sample.values.shape == observed.shape
                assert np.all(np.abs(sample.values) <= 1e4)
                inputs[observed.key] = sample
            decision = run.step(inputs, guards=Guards(refused))
            assert decision.reason and decision.sentence
            assert decision.state in (State.ACTIVE, State.HOLD, State.DONE)
            assert decision.command is not None
            require_inside(decision.command)
            if decision.state is State.ACTIVE:
                require_reachable(previous.command, decision.command)
            else:
                assert decision.command[9] <= width, 'the gripper opens in a hold'
            assert decision.state is State.HOLD or not refused
            reasons.append(decision.reason)
            previous, width = decision, decision.command[9]
        return reasons[0]

    def require_right(self, changed: Generator, result: str) -> str:
        return result


def moving(run: Run, inputs: Callable[[int], dict[str, Sample]]) -> Decision:
    """Step a loop until its policy commands."""
    for _ in range(1000):
        decision = run.step(inputs(run.now_ns))
        if decision.reason == 'policy':
            return decision
    raise AssertionError('the policy never commanded')


class LivePicture(LiveMessage):
    """Pictures with other fields or bytes, one in each of 4 cycles of a loop that commands."""

    weight = 300
    contract = incidents.CONTRACT_SEEING

    def inputs(self, now_ns: int) -> dict[str, Sample]:
        return incidents.inputs(now_ns)

    def observed(self) -> Sequence[Signal]:
        return seeing.CAMERAS


class ModelBytes(Kind):
    """A model file with other bytes: none is loaded."""

    reader = 'load_policy'
    weight = 1200

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = write_policy(folder / 'whole.onnx').read_bytes()

    def mutated(self, rng: Generator, folder: Path) -> tuple[Path, bool]:
        data = mutated_bytes(rng, self.data)
        path = folder / 'other.onnx'
        path.write_bytes(data)
        return path, data == self.data

    def read(self, changed: tuple[Path, bool]) -> OnnxPolicy:
        return load_policy(changed[0])

    def require_right(self, changed: tuple[Path, bool], result: OnnxPolicy) -> str:
        assert changed[1], 'a model with other bytes is loaded'
        return 'the same bytes'


class ModelInside(Kind):
    """A model with a right digest and a wrong inside, which drives a loop if it is loaded."""

    reader = 'load_policy, ControlLoop'
    weight = 500

    def mutated(self, rng: Generator, folder: Path) -> Path:
        path = folder / 'other.onnx'
        path.write_bytes(mutated_model(rng, pick(rng, (CONTRACT, CAMERA_CONTRACT))))
        return path

    def read(self, changed: Path) -> str:
        policy = load_policy(changed)
        policy.warm_up()
        # The samples of the loop have no pictures.
        return 'planned' if policy.picture_shapes else driven(policy)

    def require_right(self, changed: Path, result: str) -> str:
        return result


def driven(policy: OnnxPolicy) -> str:
    """Let a model drive the loop; return 'commanded' or 'faulted'.

    Raise `AssertionError` for any command that is not allowed.
    """
    contract = policy.contract
    run, previous = Run(policy, contract=contract, episode_noise=policy.episode_noise), action(0.4)
    for _ in range(CYCLES):
        decision = run.step()
        assert decision.reason and decision.sentence
        if decision.command is not None:
            require_inside(decision.command, contract)
            if decision.state is State.ACTIVE:
                require_reachable(previous, decision.command, contract)
            previous = decision.command
        if decision.state is State.FAULT:
            return 'faulted'
    assert run.loop.state is State.ACTIVE, decision
    return 'commanded'


def valid_model(path: Path, contract: Contract = CONTRACT) -> Path:
    """Write the model that is mutated, as it was before."""
    path.write_bytes(with_digest(small_policy(contract).SerializeToString(deterministic=True)))
    return path


KINDS: tuple[Any, ...] = (LiveMessage, ModelBytes, ModelInside, LivePicture)
