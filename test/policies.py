# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy file made by hand: it wanders, so that tests need no training."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import uncloning_ros
from uncloning_ros.contract import Contract, contract_to_dict, load_contract
from uncloning_ros.runtime.inference import DIGEST_MARK, INPUTS, OUTPUT, SCHEMA, digest_of
from uncloning_ros.share import share_path

WANDER_M = 0.01
WIDTH_M = 0.08
EXECUTE = 8  # so many actions of a chunk are used; an answer may take twice as many ticks
MAX_AGE_S = 2.0  # a busy machine that runs tests must not look like a tracker that fell silent


def patient_contract() -> Contract:
    """Return the shipped contract with ages that a busy machine keeps to."""
    shipped = load_contract(share_path('config') / 'contract.yaml')
    patient = {key: dataclasses.replace(
        topic, max_age_s=MAX_AGE_S, max_unchanged_s=topic.max_unchanged_s and MAX_AGE_S)
        for key, topic in shipped.deployment.observations.items()}
    return dataclasses.replace(
        shipped, deployment=dataclasses.replace(shipped.deployment, observations=patient))


def wandering_policy(path: Path) -> Path:
    """Write a policy that commands the newest tool pose, moved by 1 cm of noise along each axis.

    No command of it equals a measured pose, so a test can tell its commands from hold commands.
    """
    shipped = patient_contract()
    contract = dataclasses.replace(shipped, policy=dataclasses.replace(
        shipped.policy, execute=EXECUTE))
    timing, interface = contract.policy, contract.interface
    scale = np.array([WANDER_M] * 3 + [0.0] * 7, np.float32)
    # The tool pose comes first in the observation, the target pose first in the action.
    pose = np.zeros((interface.observation_dim, interface.action_dim), np.float32)
    pose[:9, :9] = np.eye(9)
    width = np.array([0.0] * 9 + [WIDTH_M], np.float32)
    constants = {'from': np.array([timing.history - 1]), 'to': np.array([timing.history]),
                 'axes': np.array([1]), 'pose': pose, 'width': width, 'scale': scale}
    nodes = [helper.make_node('Slice', [INPUTS[0], 'from', 'to', 'axes'], ['newest']),
             helper.make_node('MatMul', ['newest', 'pose'], ['at']),
             helper.make_node('Add', ['at', 'width'], ['still']),
             helper.make_node('Mul', [INPUTS[1], 'scale'], ['wander']),
             helper.make_node('Add', ['still', 'wander'], [OUTPUT])]
    batch_chunk = ['batch', timing.horizon, interface.action_dim]
    graph = helper.make_graph(
        nodes, 'wandering',
        [helper.make_tensor_value_info(INPUTS[0], TensorProto.FLOAT,
                                       ['batch', timing.history, interface.observation_dim]),
         helper.make_tensor_value_info(INPUTS[1], TensorProto.FLOAT, batch_chunk)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, batch_chunk)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, {
        'schema': SCHEMA, 'contract': json.dumps(contract_to_dict(contract)),
        'interface_sha256': interface.sha256, 'policy_sha256': timing.sha256,
        'training': '{}', 'seeds': '{}', 'software_version': uncloning_ros.__version__,
        'digest': DIGEST_MARK + '0' * 64})
    onnx.checker.check_model(model, full_check=True)
    blank = model.SerializeToString(deterministic=True)
    path.write_bytes(blank.replace((DIGEST_MARK + '0' * 64).encode(),
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    return path
