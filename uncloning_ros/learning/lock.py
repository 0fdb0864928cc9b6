# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lock modes of a plan policy: its head never draws them again.

The head's row of each removed mode becomes zero and its bias so low that the probability of the
mode is exactly zero. No other weight changes, and no step is taken. A chunk that follows another
mode than the one that was drawn is not removed by it.
"""

import copy
import time
from pathlib import Path
from typing import Any

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, counted
from uncloning_ros.files import whole_folder
from uncloning_ros.learning import edit_report
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.options import LOCK, PLAN, EditOptions
from uncloning_ros.learning.policies.plan import PlanPolicy
from uncloning_ros.learning.uncloning import data_of, kept_modes, record_of, write_edited


def lock(run: Run, dataset: Dataset, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Write the run with its modes locked to the new `folder`, and return the report.

    Raise as `kept_modes` does, and for a policy that draws no mode.
    """
    began_s = time.monotonic()
    policy = copy.deepcopy(run.policy)
    if not isinstance(policy, PlanPolicy):
        raise CheckpointError(f'--method {LOCK} takes modes out of the head that draws them; '
                              f'expected a run of --policy {PLAN}, got '
                              f'{run.config.network.kind}; choose another method')
    kept = kept_modes(run, dataset, options.remove)
    names = run.config.contract.interface.mode_names
    before = [mode for mode in options.remove if policy.lock(names.index(mode))]
    stopped = f'{counted(len(options.remove) - len(before), "row")} of {len(names)} changed'
    if before:
        stopped += f'; locked before: {", ".join(before)}'
    report = {
        'schema': edit_report.SCHEMA, 'edit': record_of(run, options, data_of(dataset)),
        'kept': list(kept), 'labels': None, 'outside_spans': 0, 'steps': 0,
        'stopped': stopped,
        'elapsed_s': time.monotonic() - began_s, 'curve': [], 'removal': None, 'classifier': None,
        'retargeted': {'share': 0.0, 'episodes': 0, 'reason': ''},
        'retained_loss': {'before': None, 'after': None, 'windows': 0}}
    with whole_folder(folder) as partial:
        write_edited(run, policy, copy.deepcopy(policy), report, partial)
    return report
