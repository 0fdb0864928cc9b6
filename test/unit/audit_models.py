# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies whose behaviour is known, made without training; and results by hand."""

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from inputs import CONTRACT
from onnx import TensorProto, helper
from traces import fixed_scenario, handed_over, make_trace

from uncloning_ros.audit.audited import ModelIdentity
from uncloning_ros.contract import (
    Contract,
    PolicyTiming,
    contract_from_dict,
)
from uncloning_ros.judging.episode import EpisodeResult, Outcome, judge
from uncloning_ros.policy_io import Infer
from uncloning_ros.runtime.inference import DIGEST_MARK, SCHEMA, OnnxPolicy, digest_of
from uncloning_ros.runtime.limits import COUNTS
from uncloning_ros.schema import plain

SCENARIO = fixed_scenario()
NO_LIMITS = dict.fromkeys(COUNTS, 0)


def short_contract(max_episode_s: float = 0.5, **modes: bool) -> Contract:
    """Return the shipped contract with short episodes, and other modes if any are given.

    The timing is fixed, whatever is tuned in the shipped file.
    """
    shipped = CONTRACT
    end = dataclasses.replace(shipped.deployment.episode_end, max_episode_s=max_episode_s)
    data = plain(dataclasses.replace(
        shipped, policy=PolicyTiming(rate_hz=20, history=2, horizon=16, execute=8),
        deployment=dataclasses.replace(shipped.deployment, episode_end=end)))
    if modes:
        data['interface']['modes'] = {name: {'desired': want} for name, want in modes.items()}
    return contract_from_dict(data)


def write_policy(path: Path, contract: Contract | None = None, noise_scale: float = 0.02,
                 seeds: Any = None, doubt: bool = False) -> Path:
    """Write a policy that stays where it is, but for its noise; `seeds` go into its record.

    Its `doubt`, if it has one, is the measured width of the gripper.
    """
    contract = contract or short_contract()
    timing, interface = contract.policy, contract.interface
    shape = {'observation': ['batch', timing.history, interface.observation_dim],
             'noise': ['batch', timing.horizon, interface.action_dim]}
    # The first values of the observation are the tool's pose and the gripper's width, which is
    # how an action is laid out as well.
    constants = {'first': [timing.history - 1, 0], 'last': [timing.history, interface.action_dim],
                 'axes': [1, 2]}
    initializers = [helper.make_tensor(name, TensorProto.INT64, [2], values)
                    for name, values in constants.items()]
    initializers.append(helper.make_tensor('scale', TensorProto.FLOAT, [], [noise_scale]))
    doubting = []
    if doubt:
        at = interface.observation_slices['gripper_width'].start
        initializers += [helper.make_tensor('from', TensorProto.INT64, [2], [timing.history - 1,
                                                                             at]),
                         helper.make_tensor('to', TensorProto.INT64, [2], [timing.history,
                                                                           at + 1])]
        doubting = [helper.make_node('Slice', ['observation', 'from', 'to', 'axes'], ['width']),
                    helper.make_node('Flatten', ['width'], ['doubt'], axis=1)]
    graph = helper.make_graph(
        [helper.make_node('Slice', ['observation', 'first', 'last', 'axes'], ['newest']),
         helper.make_node('Mul', ['noise', 'scale'], ['shaken']),
         helper.make_node('Add', ['newest', 'shaken'], ['action_chunk']), *doubting],
        'still', [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
                  for name, dims in shape.items()],
        [helper.make_tensor_value_info('action_chunk', TensorProto.FLOAT, shape['noise']),
         *([helper.make_tensor_value_info('doubt', TensorProto.FLOAT, ['batch', 1])]
           if doubt else [])],
        initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    records = {
        'schema': SCHEMA, 'contract': json.dumps(plain(contract)),
        'interface_sha256': interface.sha256, 'policy_sha256': timing.sha256,
        'training': '{}', 'software_version': '0',
        'seeds': json.dumps(seeds or {'demonstrations': [], 'development': [], 'training': 0}),
        'digest': DIGEST_MARK + '0' * 64,
        **({'doubt': json.dumps({'demonstrated': {}})} if doubt else {})}
    helper.set_model_props(model, records)
    onnx.checker.check_model(model)
    blank = model.SerializeToString(deterministic=True)
    path.write_bytes(blank.replace((DIGEST_MARK + '0' * 64).encode(),
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    return path


@dataclasses.dataclass(frozen=True)
class Muted:
    """A steering that scales the policy's noise."""

    noise_scale: float

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return the policy with as much of its noise."""
        scale = np.float32(self.noise_scale)
        return lambda observation, noise: policy(observation, scale * noise)


def result(seed: int, kind: str = 'success', offer: tuple[float, float, float] = (0.6, 0.1, 0.3),
           **changes: Any) -> EpisodeResult:
    """Return the result of a hand-made episode: 'success', 'wrong_part' or 'not_reached'."""
    made = EpisodeResult(seed=seed, hand_offer_m=offer, conditions=conditions(offer),
                         outcome=_outcome(kind), ended='released', holds=0, chunks=12,
                         hardware_limits=NO_LIMITS)
    return dataclasses.replace(made, **changes)


def identity(name: str = 'policy.onnx', sha256: str = 'a' * 64, **changes: Any) -> ModelIdentity:
    """Return what is audited, as if its file had been read."""
    contract = short_contract()
    made = ModelIdentity(name, sha256, contract.interface.sha256, contract.policy.sha256,
                         contract.deployment.sha256, ('handle_first',), ())
    return dataclasses.replace(made, **changes)


def conditions(offer: tuple[float, float, float] = (0.6, 0.1, 0.3),
               **changes: float) -> dict[str, float]:
    """Return what a hand-made episode was drawn as."""
    return {'hand_x_m': offer[0], 'hand_y_m': offer[1], 'hand_z_m': offer[2], 'pull_n': 7.0,
            'object_x_m': 0.4, 'object_y_m': 0.0, 'object_yaw_rad': 1.6,
            'tracking_noise_m': 0.005, 'tracking_latency_s': 0.05, 'tracking_dropout': 0.01,
            **changes}


@cache
def _outcome(kind: str) -> Outcome:
    trace = {'success': handed_over(), 'wrong_part': handed_over(yaw_rad=0.0),
             'not_reached': make_trace()}[kind]
    outcome = judge(trace, SCENARIO, ('handle_first',))
    assert (outcome.failure or 'success') == kind
    return outcome
