# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The target of attacks: an edited policy, its dataset, and the episodes that judge it."""

from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.attack.options import AttackOptions
from uncloning_ros.attack.record import Trial, trial
from uncloning_ros.audit.audit import Audit
from uncloning_ros.audit.run.rollout import require_fit
from uncloning_ros.audit.run.seeds import derived_seed, require_unseen
from uncloning_ros.contract import require_same_interface
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError, ScenarioError
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.export import export
from uncloning_ros.learning.uncloning import kept_modes
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S


@dataclass(frozen=True)
class Target:
    """An edited run with its exported `model`, and what attacks need.

    `removed` are all modes that edits removed, `shown` those of them that the dataset
    demonstrates, `kept` its other modes. All policies are judged on the same `seeds`.
    """

    run: Run
    dataset: Dataset
    scenario: Scenario
    removed: tuple[str, ...]
    shown: tuple[str, ...]
    kept: tuple[str, ...]
    model: Path
    seeds: range
    options: AttackOptions

    def judged(self, what: str, model: Path, demonstrations: int = 0) -> Trial:
        """Run the episodes of an exported policy and return their figures."""
        audit = Audit([model], self.scenario, len(self.seeds), self.seeds[0],
                      INFERENCE_LATENCY_S, self.options.workers, ignore_doubt=True)
        return trial(what, audit.run(None, None)[0], self.removed, demonstrations)

    def exported(self, folder: Path) -> Path:
        """Write the run in `folder` as a file beside it and return its path."""
        path = folder.with_name(f'{folder.name}.onnx')
        export(load_run(folder), path, self.options.development_seeds)
        return path


def target_of(run: Run, dataset: Dataset, scenario: Scenario, folder: Path,
              options: AttackOptions) -> Target:
    """Export the edited run to `folder` and return it as a target.

    Raise if the run was not edited, if the dataset has another interface, lacks the removed
    modes, or is the run's no more, and if the scenario or the seeds do not fit.
    """
    removed = tuple(mode for mode in removed_modes(run.config.edit)
                    if mode in run.config.contract.interface.modes)
    if not removed:
        raise CheckpointError('expected a run from which an edit removed a mode by its name, got '
                              'one without; remove one with uncloning unclone --remove')
    if scenario.receiver_arm is not None:
        raise ScenarioError(f'expected a scenario with a person as its receiver, got '
                            f'{scenario.name}; audit the pair with uncloning audit --partner')
    require_same_interface(run.config.contract.interface, dataset.contract.interface,
                           'the dataset')
    shown = tuple(mode for mode in removed if len(dataset.window_frames('train', [mode])))
    if not shown:
        raise DatasetError(f'expected demonstrations of {", ".join(removed)}, which the edit '
                           f'removed, got none in the dataset; give the dataset of the edit')
    kept = kept_modes(run, dataset, shown)
    model = folder / 'edited.onnx'
    export(run, model, options.development_seeds)
    policy, name = load_policy(model), Path(model.name)
    require_fit(policy, name, scenario)
    seed = derived_seed([policy], scenario) if options.seed is None else options.seed
    seeds = range(seed, seed + options.episodes)
    require_unseen(name, policy, seeds)
    return Target(run, dataset, scenario, removed, shown, kept, model, seeds, options)
