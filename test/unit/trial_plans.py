# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of trials and files of results, made by hand."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit_models import identity

from uncloning_ros.trials import plan as planning
from uncloning_ros.trials.plan import PlannedModel, TrialKey, TrialPlan

MODES = {'handle_first': True, 'blade_first': False}
HEADER = 'trial,completed,unsafe,mode,notes,video,plan'


def model(sha256: str = 'a' * 64) -> PlannedModel:
    found = identity(sha256=sha256)
    return PlannedModel(f'{sha256[:1]}.onnx', sha256, found.interface_sha256,
                        found.policy_sha256, found.deployment_sha256)


def plan_of(count: int = 6, **changes: Any) -> TrialPlan:
    """Return the plan of one model."""
    starts = [{'x_cm': str(i)} for i in range(count)]
    made = TrialPlan(
        digest='', task='hand over', stopping='fixed', max_umr=0.6, min_sr=0.2, modes=MODES,
        models=(model(),), seed=1, trials=planning.trials_from(starts, 1, random.Random(1)))
    return planning.sealed(replace(made, **changes))


def two_models(count: int = 6, **changes: Any) -> tuple[TrialPlan, TrialKey]:
    """Return the plan of two models and the key to it."""
    models = (model('a' * 64), model('b' * 64))
    key = planning.make_key(models)
    starts = [{'x_cm': str(i)} for i in range(count // 2)]
    return plan_of(models=models, alpha=0.05, key_sha256=key.sha256,
                   trials=planning.trials_from(starts, 2, random.Random(1)), **changes), key


def line(plan: TrialPlan, trial: int, outcome: str = 'yes,no,handle_first') -> str:
    return f'{trial},{outcome},,,{plan.code}'


def results(path: Path, plan: TrialPlan, lines: Sequence[str] | None = None) -> Path:
    """Write a CSV file, in which all trials are successes unless lines are given."""
    lines = [line(plan, one.trial) for one in plan.trials] if lines is None else lines
    path.write_text('\n'.join([HEADER, *lines]) + '\n', 'utf-8')
    return path
