# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights rounded to int8 for each output channel, and written back as float32.

A file with these weights plans as one that a tool for quantisation made, while graph and run time
stay as they are. Biases and the scales of norms have one axis; such tools leave them in higher
precision, and so does this module.
"""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.policies import Policy

_MOST = 127  # of int8, symmetric


def rounded(policy: Policy) -> Policy:
    """Return a copy of a policy, its matrices and kernels rounded; biases and norms stay."""
    found = copy.deepcopy(policy)
    with torch.no_grad():
        for weight in found.parameters():
            if weight.ndim > 1:
                weight.copy_(_rounded(weight))
    return found


def write_rounded(run: Run, folder: Path) -> None:
    """Write the run with rounded weights to the new `folder`, as an edit that removes nothing."""
    record = {'parent_sha256': run.sha256, 'method': 'rounding', 'remove': [],
              'data': {'seeds': []}}
    if run.config.edit is not None:
        record['previous'] = dict(run.config.edit)
    folder.mkdir()
    checkpoint.write_config(folder, replace(run.config, edit=record))
    checkpoint.save_weights(folder, rounded(run.policy), rounded(run.policy), run.observations,
                            run.pictures)


def _rounded(weight: Tensor) -> Tensor:
    """Return a weight (out, ...) in steps of a 127th of each channel's largest magnitude."""
    step = weight.abs().flatten(1).amax(1) / _MOST
    step = step.view(-1, *[1] * (weight.ndim - 1))
    # A channel of zeros has no step, and stays.
    return torch.where(step > 0, (weight / step).round() * step, weight)
