# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decide every command: the same code in the live policy node and in an audit."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import Sample, flat_observation
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.action_queue import ActionQueue
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.watchdog import Complaint, judge_inputs

# (history, observation_dim) and noise (horizon, action_dim) to a chunk (horizon, action_dim)
Infer = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

# The observation that the end of an episode is judged by; the tool pose is the first pose.
OBJECT_KEY = 'object_pose'

# Leaving HOLD takes so many good cycles in a row: a tracker that flickers must not make the
# arm stutter.
RESUME_CYCLES = 5


class State(Enum):
    """What the loop is doing."""

    WAITING = 'waiting'  # no motion: not started, stopped, or inputs not there yet; silent
    ACTIVE = 'active'    # the policy commands
    HOLD = 'hold'        # an input cannot be used: one latched pose is repeated
    DONE = 'done'        # the episode is over: one hold command, then silence
    FAULT = 'fault'      # the policy cannot be used: one hold command, then silence


@dataclass(frozen=True, eq=False)
class Decision:
    """What one tick decided.

    `reason` is a code, `sentence` says it to a person. `command` (action_dim,) is to be
    published; None means silence. `inferred` tells whether the policy was asked in this tick.
    """

    state: State
    reason: str
    sentence: str
    command: Array | None
    inferred: bool = False


def chunk_noise(seed: int, index: int, horizon: int, action_dim: int) -> NDArray[np.float32]:
    """Return the noise (horizon, action_dim) of chunk `index`, a function of its arguments alone.

    Standard normal draws in float32 of `numpy.random.default_rng((seed, index))`; both >= 0.
    """
    rng = np.random.default_rng((seed, index))
    return rng.standard_normal((horizon, action_dim), dtype=np.float32)


class ControlLoop:
    """Turn the newest samples of each tick into one command, or into silence, with a reason.

    Call `step` once per tick, at the contract's `policy.rate_hz`. Time, samples, inference and
    seed are given, so a run can be repeated exactly. Nothing here is thread-safe: whoever calls
    from several threads holds a lock.

    WAITING -> ACTIVE once `start()` was called and every input is fresh. The first observation
    fills the history; every `execute` ticks a new chunk is planned. An input that is missing,
    not finite or too old -> HOLD: the measured pose is latched once and repeated, the gripper
    keeps its last command. After `RESUME_CYCLES` good ticks -> ACTIVE, with queue and history
    cleared. DONE when the object was grasped, let go and is out of reach, or after
    `max_episode_s`. FAULT when the policy raises or answers with something that is no command;
    only `reset` leads out.
    """

    def __init__(self, contract: Contract, infer: Infer, seed: int) -> None:
        self._contract = contract
        self._infer = infer
        interface, timing = contract.interface, contract.policy
        self._held_by = {signal.key: measured_by(signal, interface.observations)
                         for signal in interface.actions}
        keys = [signal.key for signal in interface.observations]
        self._object_key = OBJECT_KEY if OBJECT_KEY in keys else None
        self._tool_key = _first_of_kind('pose', interface.observations)
        self._width_key = _first_of_kind('gripper_width', interface.observations)
        self._queue = ActionQueue(timing.period_ns, timing.execute)
        self._history: deque[Array] = deque(maxlen=timing.history)
        self._limiter = Limiter(contract)
        self._last: Array | None = None
        self.reset(seed)

    @property
    def state(self) -> State:
        """Return the state after the last step."""
        return self._state

    @property
    def counters(self) -> dict[str, int]:
        """Return how many ticks, chunks and holds there were, and the limiter's counts."""
        return {'ticks': self._ticks, 'chunks': self._chunks, 'holds': self._holds,
                **self._limiter.counts}

    def reset(self, seed: int) -> None:
        """Forget everything, counters and FAULT as well; motion needs `start`, chunk 0 is next."""
        if seed < 0:
            raise ValueError(f'expected a seed of at least 0, got {seed}')
        self._seed = seed
        self._ticks = self._chunks = self._holds = 0
        self._limiter.reset()
        self._state = State.WAITING
        self._forget_episode()

    def start(self) -> bool:
        """Allow motion, for a new episode if the last one is over; tell whether it is allowed.

        It is not in FAULT, nor between `stop()` and the step that holds.
        """
        if self._state in (State.WAITING, State.DONE):
            self._forget_episode()
            self._state = State.WAITING
            self._motion_allowed = True
        return self._motion_allowed

    def stop(self) -> None:
        """End motion: the next step gives one hold command if the arm was commanded, then none."""
        self._motion_allowed = False

    def step(self, now_ns: int, samples: Mapping[str, Sample],
             ros_now_ns: int | None = None) -> Decision:
        """Decide one tick from the newest sample of every observation.

        `now_ns` is on the clock of the samples' `receive_ns` and never goes back; `ros_now_ns`
        is on the clock of their stamps, by default the same.
        """
        self._ticks += 1
        complaints = judge_inputs(self._contract, samples, now_ns,
                                  now_ns if ros_now_ns is None else ros_now_ns)
        if self._state in (State.DONE, State.FAULT):
            return Decision(self._state, *self._why, None)
        if not self._motion_allowed:
            return self._rest(samples, complaints)
        if self._state is State.WAITING:
            if complaints:
                return self._silent(State.WAITING, complaints[0].reason, complaints[0].sentence)
            self._began_ns = now_ns
            self._state = State.ACTIVE
        most_s = self._contract.deployment.episode_end.max_episode_s
        if (now_ns - self._began_ns) * 1e-9 >= most_s:
            return self._end(State.DONE, 'timeout', f'the episode took {most_s:g} s, as long as '
                             f'it may', samples, complaints)
        if complaints or self._state is State.HOLD:
            holding = self._hold(samples, complaints)
            if holding is not None:
                return holding
        if self._released(samples):
            return self._end(State.DONE, 'released', 'the object was let go and is out of reach',
                             samples, complaints)
        return self._act(now_ns, samples)

    def _rest(self, samples: Mapping[str, Sample], complaints: Sequence[Complaint]) -> Decision:
        """Stay silent without leave to move, after one hold command if the arm was commanded."""
        if self._state is not State.WAITING:
            return self._end(State.WAITING, 'stopped', 'motion was stopped', samples, complaints)
        if complaints:
            return self._silent(State.WAITING, complaints[0].reason, complaints[0].sentence)
        return self._silent(State.WAITING, 'not_started', 'every input is fresh; motion begins '
                            'on start')

    def _hold(self, samples: Mapping[str, Sample],
              complaints: Sequence[Complaint]) -> Decision | None:
        """Enter, keep or leave HOLD; None when the policy may command again in this tick."""
        if self._state is State.ACTIVE:
            self._state = State.HOLD
            self._holds += 1
            self._last = self._latch(samples, complaints)
            self._good = 0
        if complaints:
            self._good = 0
            return Decision(State.HOLD, complaints[0].reason, complaints[0].sentence, self._last)
        self._good += 1
        if self._good < RESUME_CYCLES:
            return Decision(State.HOLD, 'recovering', f'every input is fresh again for '
                            f'{self._good} of {RESUME_CYCLES} cycles', self._last)
        self._queue.clear()
        self._history.clear()
        self._state = State.ACTIVE
        return None

    def _act(self, now_ns: int, samples: Mapping[str, Sample]) -> Decision:
        """Command the action that is due, planning a new chunk if none is."""
        observation = flat_observation(self._contract.interface.observations, samples)
        if not self._history:
            self._history.extend([observation] * self._contract.policy.history)
        else:
            self._history.append(observation)
        action = self._queue.due(now_ns)
        inferred = action is None
        if action is None:
            try:
                chunk = self._plan()
            except Exception as err:  # noqa: BLE001 - whatever it raises must end in a hold
                return self._end(State.FAULT, 'policy_failed', f'the policy failed: '
                                 f'{type(err).__name__}: {err}', samples, (), inferred)
            self._queue.put(chunk, now_ns, self._queue.epoch)
            action = chunk[0]
        previous = self._last if self._last is not None else self._measured(samples)
        command = self._limiter.apply(action, previous)
        if command is None:
            return self._end(State.FAULT, 'rejected_action', 'the policy answered with an action '
                             'that is not finite or has no rotation; check the model', samples,
                             (), inferred)
        self._last = command
        return Decision(State.ACTIVE, 'policy', 'the policy commands', command, inferred)

    def _plan(self) -> Array:
        """Return the next chunk (horizon, action_dim) of the policy."""
        timing, action_dim = self._contract.policy, self._contract.interface.action_dim
        noise = chunk_noise(self._seed, self._chunks, timing.horizon, action_dim)
        self._chunks += 1
        answer = self._infer(np.array(self._history, dtype=np.float32), noise)
        chunk = np.asarray(answer, dtype=np.float64)
        if chunk.shape != (timing.horizon, action_dim):
            raise ValueError(f'expected a chunk of shape {(timing.horizon, action_dim)}, got '
                             f'{chunk.shape}')
        if not np.all(np.isfinite(chunk)):
            raise ValueError('expected finite actions, got NaN or infinity')
        return chunk

    def _released(self, samples: Mapping[str, Sample]) -> bool:
        """Tell whether the object was between the fingers, and is now let go and out of reach."""
        if self._object_key is None or self._tool_key is None or self._width_key is None:
            return False
        end = self._contract.deployment.episode_end
        apart_m = float(np.linalg.norm(np.subtract(samples[self._object_key].values[:3],
                                                   samples[self._tool_key].values[:3])))
        opened = float(samples[self._width_key].values[0]) >= end.open_width_m
        if not opened and apart_m < end.object_distance_m:
            self._grasped = True
        return self._grasped and opened and apart_m >= end.object_distance_m

    def _end(self, state: State, reason: str, sentence: str, samples: Mapping[str, Sample],
             complaints: Sequence[Complaint], inferred: bool = False) -> Decision:
        """Go to a silent state, with one hold command if the arm was commanded at all."""
        command = None
        if self._last is not None:
            command = (self._last if self._state is State.HOLD
                       else self._latch(samples, complaints))
        self._forget_episode()
        self._state = state
        self._why = (reason, sentence)
        return Decision(state, reason, sentence, command, inferred)

    def _silent(self, state: State, reason: str, sentence: str) -> Decision:
        return Decision(state, reason, sentence, None)

    def _latch(self, samples: Mapping[str, Sample], complaints: Sequence[Complaint]) -> Array:
        """Return the command that keeps the arm where it was measured, the gripper as commanded.

        Where the measurement itself cannot be used, the last command stays; so it does where a
        pose is measured outside the workspace, for a tracker's wild value must not be commanded.
        """
        if self._last is None:
            raise RuntimeError('nothing was commanded, so there is nothing to hold')
        unusable = {complaint.key for complaint in complaints}
        command = self._last.copy()
        for signal in self._contract.interface.actions:
            key = self._held_by[signal.key]
            if signal.kind == 'gripper_width' or key in unusable:
                continue
            measured = samples[key].values
            if signal.kind != 'pose' or self._limiter.inside(measured[:3]):
                command[self._contract.interface.action_slices[signal.key]] = measured
        return command

    def _measured(self, samples: Mapping[str, Sample]) -> Array:
        """Return the measured state in the layout of an action."""
        return np.concatenate([samples[self._held_by[signal.key]].values
                               for signal in self._contract.interface.actions])

    def _forget_episode(self) -> None:
        self._queue.clear()
        self._history.clear()
        self._last = None
        self._motion_allowed = False
        self._grasped = False
        self._good = 0
        self._began_ns = 0
        self._why = ('', '')


def measured_by(action: Signal, observations: Sequence[Signal]) -> str:
    """Return the observation that measures what `action` commands: the first of its kind."""
    for signal in observations:
        if signal.kind == action.kind and (action.kind != 'joint_positions'
                                           or signal.names == action.names):
            return signal.key
    raise ContractError(f'action {action.key!r} cannot be held: no observation of kind '
                        f'{action.kind!r} with the same names; add it to the contract')


def _first_of_kind(kind: str, signals: Sequence[Signal]) -> str | None:
    return next((signal.key for signal in signals if signal.kind == kind), None)
