# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove modes from a policy with recordings of incidents alone: no dataset, no demonstrations.

A policy that is torn between modes plans both of them at the observation of its decision. There
it shows itself the other way, and that way is what it learns: own chunks, as in an edit with
demonstrations (`self_distillation`). The plans of both groups teach the classifier (`forks`). Ten
incidents are ten places, so the edit looks at blends of their forks too.

Its own plans from before the edit hold the skill, at all other observations that are known: those
of the incidents, those that every run carries, and those of normal operation. Where these are
forks as well, plans of removed modes are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.files import whole_folder
from uncloning_ros.learning import edit_report
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.forks import ForkFinder, Parted, is_fork
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.opinions import trained
from uncloning_ros.learning.options import EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.recordings import Recording
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.shared_batches import SharedBatches
from uncloning_ros.learning.uncloning import optimiser_of, record_of, take_steps, write_edited
from uncloning_ros.learning.windows import Windows, joined

_BLENDS, _SPREAD = 600, 1.5  # number, and spread over that of the incidents' own forks
_PLACES = 300  # blends that measure the edit, and take no part in it
_MOST = 4000  # observations of incidents, and of normal operation, at which plans are retained
_CARRIED = 4  # times that plans are drawn at an observation that the run carries
_OF_INCIDENTS = 0.25  # share of a retained batch: most of it is of a removed mode


@dataclass(frozen=True)
class Shown:
    """The recordings that an edit uses, the modes that it removes and keeps, and the rest."""

    incidents: Sequence[Recording]
    normal: Sequence[Recording]
    remove: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: Sequence[LeftOut]


def shown_by(run: Run, incidents: Sequence[Recording], normal: Sequence[Recording],
             remove: Sequence[str]) -> Shown:
    """Return the part of recordings that an edit can use, and its modes.

    Without `remove` they are the undesired modes among the labels of the incidents, or the only
    undesired mode of the contract. Incidents of a kept mode are left out, and normal operation in
    a removed one. Raise `ContractError` for an unknown mode, `DatasetError` if no incident is left
    or its mode is not known, `CheckpointError` if no mode would be kept.
    """
    interface = run.config.contract.interface
    labelled = {one.mode for one in incidents}
    undesired = [mode for mode in interface.mode_names if mode not in interface.desired_modes]
    seen = [mode for mode in undesired if mode in labelled]
    if not remove and not seen and len(undesired) != 1:
        raise DatasetError(f'the incidents have no label of an undesired mode, and the contract '
                           f'has {len(undesired)}; name the mode that they show with --remove')
    removed = interface.require_modes(remove) or tuple(seen or undesired)
    used = [one for one in incidents if one.mode in (None, *removed)]
    if not used:
        raise DatasetError(f'{incidents[0].name} shows {incidents[0].mode}, which is kept, and so '
                           f'do all incidents; name the mode that must not happen again with '
                           f'--remove, or label them again')
    kept = tuple(mode for mode in interface.mode_names
                 if mode not in (*removed, *removed_modes(run.config.edit)))
    if not kept:
        raise CheckpointError(f'cannot remove {", ".join(removed)}: no mode of the contract would '
                              f'be kept')
    left_out = [LeftOut(one.name, f'it shows {one.mode}, which is kept')
                for one in incidents if one not in used]
    left_out += [LeftOut(one.name, f'it shows {one.mode}, which is removed')
                 for one in normal if one.mode in removed]
    return Shown(used, [one for one in normal if one.mode not in removed], removed, kept, left_out)


def unclone_incidents(run: Run, shown: Shown, folder: Path,
                      options: EditOptions) -> dict[str, Any]:
    """Edit the run's policy, write the edited run to the new `folder`, return its report.

    Raise `CheckpointError` where the policy has no other plan than the recorded ones. Nothing is
    left behind by Ctrl-C.
    """
    torch.set_num_threads(options.threads)
    policy, contract = run.policy, run.config.contract
    finder = ForkFinder(policy, contract.interface, contract.policy,
                        torch.Generator().manual_seed(options.seed))
    forks, of_incidents = finder.forks([one.windows for one in shown.incidents])
    runs = forks.first_runs(len(shown.incidents))
    if not runs:
        raise CheckpointError(
            f'the policy has no choice: at none of {len(of_incidents.plans)} observations of the '
            f'incidents does it plan both what was recorded and something else; give recordings '
            f'that begin before the robot sets off, or demonstrations with --data')
    first = [place for places in runs for place in places]
    at_first = Windows(forks.conditions[first].repeat_interleave(forks.plans.shape[1], 0),
                       forks.plans[first].flatten(0, 1))
    classifier = trained(at_first, (~forks.other[first]).flatten().long(), 2, options.seed)
    blends = finder.blended(forks, runs, _BLENDS, _SPREAD)
    places = finder.blended(forks, runs, _PLACES, 1.0)
    carried = carried_conditions(run)
    at_carried = finder.parted(carried)
    incidents = joined([one.windows for one in shown.incidents]).conditions
    some = slice(None, None, 1 + len(incidents) // _MOST)
    own = [_own_plans(carried, at_carried, forks.least, classifier)]
    if shown.normal:
        normal = joined([one.windows for one in shown.normal]).conditions
        normal = normal[::1 + len(normal) // _MOST]
        own.append(_own_plans(normal, finder.parted(normal), forks.least, classifier))
    looked_at = torch.cat([forks.conditions[first], blends,
                           carried[is_fork(at_carried, forks.least)]])
    removal = SelfDistillation(classifier, {'incidents': Windows(
        looked_at, torch.zeros(len(looked_at), policy.chunk_dim))}, options)
    of_incidents = of_incidents.picked(some)
    retained = SharedBatches(
        [(_own_plans(incidents[some], of_incidents, forks.least, None), _OF_INCIDENTS),
         *((part, (1.0 - _OF_INCIDENTS) / len(own)) for part in own)], options)
    if not len(places):
        places = forks.conditions[first]
    held_out = _own_plans(carried, finder.parted(carried), forks.least, classifier)
    with whole_folder(folder) as partial:
        optimiser = optimiser_of(run, options)
        steps = take_steps(optimiser, retained, removal, partial, options)
        recordings = [*shown.incidents, *shown.normal]
        record = record_of(run, options, {
            'incidents': _sources(shown.incidents), 'normal': _sources(shown.normal),
            'seeds': sorted({one.seed for one in recordings if one.seed is not None})})
        report = {
            'schema': edit_report.SCHEMA, 'edit': record, 'kept': list(shown.kept),
            'labels': None, 'outside_spans': 0, **steps, 'classifier': None,
            'incidents': {
                'recordings': len(shown.incidents), 'observations': len(incidents),
                'normal': len(shown.normal),
                'without_choice': [one.name for i, one in enumerate(shown.incidents)
                                   if not (forks.recording == i).any()],
                'left_out': [vars(one) for one in shown.left_out],
                'forks': len(first), 'places': len(places),
                'removed_before': _removed_share(policy, places, classifier, options.seed),
                'removed_after': _removed_share(optimiser.average, places, classifier,
                                                options.seed)},
            'retained_loss': {'before': policy.validation_loss(held_out),
                              'after': optimiser.average.validation_loss(held_out),
                              'windows': len(held_out)}}
        write_edited(run, optimiser.policy, optimiser.average, report, partial)
    return report


def _sources(recordings: Sequence[Recording]) -> list[dict[str, str]]:
    """Return names and digests; recordings of two folders may share a name."""
    return [{'name': one.name, 'sha256': one.digest} for one in recordings]


def _own_plans(conditions: Tensor, parted: Parted, least: float,
               classifier: ModeClassifier | None) -> Windows:
    """Return plans at conditions (N, C); at forks those of kept modes, none without a judge."""
    draws = parted.plans.shape[1]
    windows = Windows(conditions.repeat_interleave(draws, 0), parted.plans.flatten(0, 1),
                      None if parted.said is None else parted.said.flatten(0, 1))
    forks = is_fork(parted, least).repeat_interleave(draws)
    if classifier is not None:
        forks &= classifier.kept_probability(windows.conditions, windows.clean) <= 0.5
    return windows.picked(torch.nonzero(~forks)[:, 0])


def carried_conditions(run: Run) -> Tensor:
    """Return the conditions of the observations that the run carries, each some times."""
    conditions = run.policy.normaliser.condition(run.observations)
    if run.policy.cameras:
        with torch.no_grad():
            features = run.policy.features([run.pictures[key] for key in run.policy.cameras])
        conditions = torch.cat([conditions, features], 1)
    return conditions.repeat(_CARRIED, 1)


def _removed_share(policy: Policy, conditions: Tensor, classifier: ModeClassifier,
                   seed: int) -> float:
    """Return the share of plans of removed modes at conditions (N, C)."""
    draws = 16
    plans = policy.draw(conditions, draws, torch.Generator().manual_seed(seed + 3))
    kept = classifier.kept_probability(conditions.repeat_interleave(draws, 0), plans.flatten(0, 1))
    return float((kept <= 0.5).float().mean())
