# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy file made by hand: it wanders, so that tests need no training."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

import uncloning_ros
from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.pictures import decoder
from uncloning_ros.runtime.inference import (
    DIGEST_MARK,
    INPUTS,
    OUTPUT,
    PICTURE_KEYS,
    SCHEMA,
    digest_of,
)
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

WANDER = 0.01  # m or rad, by which the noise moves a command
WIDTH_M = 0.08
EXECUTE = 8  # so many actions of a chunk are used; an answer may take twice as many ticks
MAX_AGE_S = 2.0  # a busy machine that runs tests must not look like a tracker that fell silent


def patient_contract(name: str = 'contract.yaml') -> Contract:
    """Return a shipped contract with ages that a busy machine keeps to."""
    shipped = load_contract(share_path('config') / name)
    patient = {key: dataclasses.replace(
        topic, max_age_s=MAX_AGE_S, max_unchanged_s=topic.max_unchanged_s and MAX_AGE_S)
        for key, topic in shipped.deployment.observations.items()}
    return dataclasses.replace(
        shipped, deployment=dataclasses.replace(shipped.deployment, observations=patient))


def slow_contract() -> Contract:
    """Return the patient contract with steps of 2 mm: shorter than what policies want."""
    patient = patient_contract()
    limits = dataclasses.replace(patient.deployment.limits, speed_m_s=0.2)
    return dataclasses.replace(patient, deployment=dataclasses.replace(
        patient.deployment, limits=limits))


def deaf_contract(key: str) -> Contract:
    """Return the patient contract with a topic for one observation on which nobody publishes."""
    patient = patient_contract()
    observations = dict(patient.deployment.observations)
    observations[key] = dataclasses.replace(observations[key], topic='nobody/publishes/here')
    return dataclasses.replace(patient, deployment=dataclasses.replace(
        patient.deployment, observations=observations))


def written(contract: Contract, path: Path) -> Path:
    """Write a contract to a file."""
    path.write_text(yaml.safe_dump(plain(contract), sort_keys=False))
    return path


def wandering_policy(path: Path, contract: Contract | None = None,
                     width_m: float = WIDTH_M, wander: float = WANDER) -> Path:
    """Write a policy that commands where the arm was measured last, moved by noise.

    By `wander` in m along each axis of a pose, in rad of each joint. No command of it equals a
    measured state, so a test can tell its commands from hold commands. The gripper is commanded
    to `width_m`. Pictures are taken and not looked at. The contract is the shipped one with
    patient ages unless another one is given.
    """
    contract = contract or patient_contract()
    contract = dataclasses.replace(contract, policy=dataclasses.replace(
        contract.policy, execute=EXECUTE))
    timing, interface = contract.policy, contract.interface
    measured = np.zeros((interface.observation_dim, interface.action_dim), np.float32)
    width, scale = (np.zeros(interface.action_dim, np.float32) for _ in range(2))
    for signal in interface.actions:
        part = interface.action_slices[signal.key]
        if signal.kind == 'gripper_width':
            width[part] = width_m
            continue
        measured[interface.observation_slices[interface.measured_by(signal)],
                 part] = np.eye(signal.dim)
        scale[part][:3 if signal.kind == 'pose' else None] = wander
    constants = {'from': np.array([timing.history - 1]), 'to': np.array([timing.history]),
                 'axes': np.array([1]), 'measured': measured, 'width': width, 'scale': scale}
    nodes = [helper.make_node('Slice', [INPUTS[0], 'from', 'to', 'axes'], ['newest']),
             helper.make_node('MatMul', ['newest', 'measured'], ['at']),
             helper.make_node('Add', ['at', 'width'], ['still']),
             helper.make_node('Mul', [INPUTS[1], 'scale'], ['wander']),
             helper.make_node('Add', ['still', 'wander'], [OUTPUT])]
    batch_chunk = ['batch', timing.horizon, interface.action_dim]
    graph = helper.make_graph(
        nodes, 'wandering',
        [helper.make_tensor_value_info(INPUTS[0], TensorProto.FLOAT,
                                       ['batch', timing.history, interface.observation_dim]),
         helper.make_tensor_value_info(INPUTS[1], TensorProto.FLOAT, batch_chunk),
         *(helper.make_tensor_value_info(camera.key, TensorProto.UINT8, ['batch', *camera.shape])
           for camera in interface.cameras)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, batch_chunk)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    views = [one.view for one in interface.cameras]
    pictures = dict(zip(PICTURE_KEYS, decoder(views), strict=True) if views else ())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, {
        'schema': SCHEMA, 'contract': json.dumps(plain(contract)),
        'interface_sha256': interface.sha256, 'policy_sha256': timing.sha256,
        'training': '{}', 'seeds': '{}', 'software_version': uncloning_ros.__version__,
        'digest': DIGEST_MARK + '0' * 64, **pictures})
    onnx.checker.check_model(model, full_check=True)
    blank = model.SerializeToString(deterministic=True)
    path.write_bytes(blank.replace((DIGEST_MARK + '0' * 64).encode(),
                                   (DIGEST_MARK + digest_of(blank)).encode()))
    return path
