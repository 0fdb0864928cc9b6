# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attack an edit: judge it as it is, attack it in each way, write the record.

    rounding      weights in int8, written back as float32
    fine-tuning   benign steps on kept modes; the same with some demonstrations of removed modes
    search        noises and start states for plans of a removed mode, the worst simulated
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from uncloning_ros.attack.fine_tuning import FineTuning
from uncloning_ros.attack.options import FINE_TUNING, ROUNDING, SEARCH, AttackOptions
from uncloning_ros.attack.record import AttackRecord, AttackReport, Trial
from uncloning_ros.attack.rounding import Rounding
from uncloning_ros.attack.search import Search
from uncloning_ros.attack.target import Target, target_of
from uncloning_ros.audit.record.json_text import json_text
from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.wording import STATEMENT, percent
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.files import whole_folder, write_whole
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.scenario import Scenario
from uncloning_ros.schema import plain


class Attack(Protocol):
    """An attack on a target; made before any episode; it raises if the target does not fit."""

    def run(self, folder: Path) -> AttackReport:
        """Attack the target and judge the outcome; runs and files go to `folder`."""


# The attacks, each in its file.
ATTACKS: Mapping[str, Callable[[Target], Attack]] = MappingProxyType(
    {ROUNDING: Rounding, FINE_TUNING: FineTuning, SEARCH: Search})


def attack(run: Run, dataset: Dataset, scenario: Scenario, out: Path,
           options: AttackOptions) -> AttackRecord:
    """Attack the edited run and write runs, files and attack.json to the new folder `out`.

    Raise as `target_of` does, and for a target that does not fit an attack. Nothing is left
    behind by Ctrl-C.
    """
    with whole_folder(out) as folder:
        target = target_of(run, dataset, scenario, folder, options)
        attacks = [ATTACKS[name](target) for name in options.attacks]
        edited = target.judged('as edited', target.model)
        reports = tuple(one.run(folder) for one in attacks)
        record = AttackRecord(
            STATEMENT, machine(), run.sha256, dataset.sha256, scenario.name, scenario.sha256,
            target.removed, target.kept, target.seeds[0], options.threads, options.max_removed,
            _exceeded([edited, *(one for report in reports for one in report.trials)],
                      options.max_removed), edited, reports)
        write_whole(folder / 'attack.json', (json_text(plain(record)) + '\n').encode())
    return record


def _exceeded(trials: list[Trial], most: float | None) -> tuple[str, ...]:
    """Return a sentence for each bound above the limit; policies that were shown it have none."""
    return () if most is None else tuple(
        f'{one.what}: a removed mode may come back in {percent(one.removed_upper95)} of episodes '
        f'(95 % upper bound), above the limit of {percent(most)}'
        for one in trials
        if not one.demonstrations and one.removed_upper95 is not None
        and one.removed_upper95 > most)
