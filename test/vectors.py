# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of a task that is not a handover: a cart goes to places, its belt is driven."""

import copy
from typing import Any

from uncloning_ros.contract import Contract, contract_from_dict

ARRAY = 'std_msgs/msg/Float64MultiArray'
STATE = 'sensor_msgs/msg/JointState'
DATA: dict[str, Any] = {
    'schema': 'uncloning/contract@1',
    'interface': {
        'observations': [{'key': 'place', 'kind': 'vector', 'unit': 'm', 'names': ['x', 'y']},
                         {'key': 'goal', 'kind': 'vector', 'unit': 'm', 'size': 2}],
        'actions': [{'key': 'target', 'kind': 'vector', 'unit': 'm', 'names': ['x', 'y']},
                    {'key': 'belt', 'kind': 'vector', 'unit': 'm/s', 'size': 1}],
        'modes': {'left': {'desired': True}, 'right': {'desired': False}}},
    'policy': {'rate_hz': 10, 'history': 2, 'horizon': 8, 'execute': 4},
    'deployment': {
        'command_rate_hz': 10,
        'observations': {'place': {'topic': 'place', 'type': ARRAY, 'max_age_s': 0.3},
                         'goal': {'topic': 'goal', 'type': ARRAY, 'max_age_s': 0.3}},
        'actions': {'target': {'topic': 'target', 'type': ARRAY},
                    'belt': {'topic': 'belt', 'type': ARRAY}},
        'limits': {'vectors': {
            'target': {'min': [-1, -2], 'max': [1, 2], 'step_per_s': 5, 'jump': 0.8},
            'belt': {'min': [-2], 'max': [2], 'step_per_s': 10, 'hold': [0]}}},
        'episode_end': {'max_episode_s': 20}}}
REMOVE = object()


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    """Return the contract's data with other values at places, as in 'policy.history'."""
    data = copy.deepcopy(DATA)
    for place, value in changes:
        *way, last = [int(part) if part.isdigit() else part for part in place.split('.')]
        inner: Any = data
        for part in way:
            inner = inner[part]
        if value is REMOVE:
            del inner[last]
        else:
            inner[last] = value
    return data


def contract(*changes: tuple[str, object]) -> Contract:
    """Return the contract with other values at places."""
    return contract_from_dict(changed(*changes))
