# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove modes from a policy with recordings of incidents alone: no dataset, no demonstrations.

A policy that is torn between modes plans both of them at the observation of its decision. There
it shows itself the other way, and that way is what it learns: own chunks, as in an edit with
demonstrations (`self_distillation`). The plans of both groups teach the classifier (`forks`). Ten
incidents are ten places, so the edit looks at blends of their forks too.

With more than two modes another plan may be unwanted too. There normal operation has to show what
is wanted: incidents count where they part from it, and other plans where they are like it.

Its own plans from before the edit hold the skill, at all other observations that are known: those
of the incidents, those that every run carries, and those of normal operation. Where these are
forks as well, plans of removed modes are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.files import whole_folder
from uncloning_ros.learning import edit_report
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.forks import APART, ForkFinder, Forks, Parted, is_fork
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.opinions import SURE, trained
from uncloning_ros.learning.options import EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.recordings import Recording
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.shared_batches import SharedBatches
from uncloning_ros.learning.uncloning import optimiser_of, record_of, take_steps, write_edited
from uncloning_ros.learning.windows import Windows, joined

_BLENDS, _SPREAD = 600, 1.5  # number, and spread over that of the incidents' own forks
_EVERY = 5  # one of five recordings is held out to measure the edit, of fewer none
_MOST = 4000  # observations of incidents, and of normal operation, at which plans are retained
_CARRIED = 4  # times that plans are drawn at an observation that the run carries
_OF_INCIDENTS = 0.25  # share of a retained batch: most of it is of a removed mode
# As `APART`, where normal operation shows which plans are wanted. A decision on the way comes
# over some ticks, as the ends of plans reach it: on knife_route with 0.75 a sixth of the episodes
# showed the removed mode still, with 0.4 none of 30.
_APART_SHOWN = 0.4
# A fork is known up to this many times the largest distance between forks of normal operation that
# are next to each other.
_REACH = 2.0

_One = TypeVar('_One')


@dataclass(frozen=True)
class Shown:
    """The recordings that an edit uses, the modes that it removes and keeps, and the rest.

    `undesired` are undesired modes of the policy that are not removed.
    """

    incidents: Sequence[Recording]
    normal: Sequence[Recording]
    remove: tuple[str, ...]
    kept: tuple[str, ...]
    undesired: tuple[str, ...]
    left_out: Sequence[LeftOut]


def shown_by(run: Run, incidents: Sequence[Recording], normal: Sequence[Recording],
             remove: Sequence[str]) -> Shown:
    """Return the part of recordings that an edit can use, and its modes.

    Without `remove` they are the undesired modes among the labels of the incidents, or the only
    undesired mode of the contract. Kept are the other desired ones. Incidents of a mode that is
    not removed are left out, and normal operation in one that is not kept. Raise `ContractError`
    for an unknown mode, `CheckpointError` if no mode would be kept, `DatasetError` if no incident
    is left, its mode is not known, or nothing shows which of several other modes is wanted.
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
        raise DatasetError(f'{incidents[0].name} shows {incidents[0].mode}, which is not removed, '
                           f'and so do all incidents; name the mode that must not happen again '
                           f'with --remove, or label them again')
    kept = tuple(mode for mode in interface.desired_modes
                 if mode not in (*removed, *removed_modes(run.config.edit)))
    if not kept:
        raise CheckpointError(f'cannot remove {", ".join(removed)}: no desired mode of the '
                              f'contract would be kept')
    wanted = [one for one in normal if one.mode in (None, *kept)]
    modes = _planned_modes(run)
    if len(modes) > 2 and not wanted:
        raise DatasetError(f'the policy has {len(modes)} modes, {", ".join(modes)}, so its other '
                           f'plan where an incident began may be unwanted too; show what is '
                           f'wanted with --normal: recordings of {" or ".join(kept)}')
    left_out = [LeftOut(one.name, f'it shows {one.mode}, which is not removed')
                for one in incidents if one not in used]
    left_out += [LeftOut(one.name, f'it shows {one.mode}, which is not kept')
                 for one in normal if one not in wanted]
    return Shown(used, wanted, removed, kept, tuple(
        mode for mode in modes if mode in undesired and mode not in removed), left_out)


def _planned_modes(run: Run) -> list[str]:
    """Return the modes of the contract that no earlier edit removed."""
    removed = removed_modes(run.config.edit)
    return [mode for mode in run.config.contract.interface.mode_names if mode not in removed]


def unclone_incidents(run: Run, shown: Shown, folder: Path,
                      options: EditOptions) -> dict[str, Any]:
    """Edit the run's policy, write the edited run to the new `folder`, return its report.

    Raise `CheckpointError` where the policy has no other plan than the recorded ones, or none
    that normal operation shows. Nothing is left behind by Ctrl-C.
    """
    torch.set_num_threads(options.threads)
    policy, contract = run.policy, run.config.contract
    finder = ForkFinder(policy, contract.interface, contract.policy,
                        torch.Generator().manual_seed(options.seed))
    several = len(_planned_modes(run)) > 2
    apart = _APART_SHOWN if several else APART
    forks, of_incidents = finder.forks([one.windows for one in shown.incidents], apart)
    every = 1 + sum(len(one.windows) for one in shown.normal) // _MOST
    normal = [one.windows.picked(torch.arange(0, len(one.windows), every))
              for one in shown.normal]
    normal, unseen_normal = _divided(normal)
    if normal:
        of_normal, at_normal = finder.forks(normal, apart)
    if several:
        forks, before = _parted_from(of_normal, forks, options.seed)
    runs = forks.first_runs(len(shown.incidents))
    if not runs:
        what, remedy = ('what normal operation shows', 'more of that with --normal') if several \
            else ('something else', 'recordings that begin before the robot sets off')
        raise CheckpointError(
            f'the policy has no choice: at none of {len(of_incidents.plans)} observations of the '
            f'incidents does it plan both what was recorded and {what}; give {remedy}, or '
            f'demonstrations with --data')
    runs, unseen_runs = _divided(runs)
    first = [place for places in runs for place in places]
    tested = forks.picked(torch.tensor([place for places in unseen_runs or runs
                                        for place in places]))
    unseen = tested.recording.unique() if unseen_runs else torch.arange(0)
    held: list[Windows] = []  # plans at forks at which nothing is removed
    if several:
        followed = torch.nonzero(~of_normal.other.flatten())[:, 0]
        held = [before.picked(~torch.isin(before.recording, unseen)).windows(),
                of_normal.windows().picked(followed)]
    at_first = [forks.picked(torch.tensor(first)).windows(), *held]
    labels = torch.zeros(sum(map(len, at_first)), dtype=torch.long)
    labels[:len(at_first[0])] = (~forks.other[first]).flatten().long()
    classifier = trained(joined(at_first), labels, 2, options.seed)
    blends = finder.blended(forks, runs, _BLENDS, _SPREAD)
    carried = carried_conditions(run)
    at_carried = finder.parted(carried)
    incidents = joined([one.windows for one in shown.incidents]).conditions
    of_recording = torch.cat([torch.full((len(one.windows),), i)
                              for i, one in enumerate(shown.incidents)])
    some = torch.nonzero(~torch.isin(of_recording, unseen))[::1 + len(incidents) // _MOST, 0]

    def own_plans(conditions: Tensor, parted: Parted) -> Windows:
        return _own_plans(conditions, parted, forks.least, classifier)

    own = [own_plans(carried, at_carried)]
    if normal:
        own.append(own_plans(joined(normal).conditions, at_normal))
    looked_at = torch.cat([forks.conditions[first], blends,
                           carried[is_fork(at_carried, forks.least)]])
    removal = SelfDistillation(classifier, {'incidents': Windows(
        looked_at, torch.zeros(len(looked_at), policy.chunk_dim))}, options)
    retained = SharedBatches(
        [(own_plans(incidents[some], of_incidents.picked(some)), _OF_INCIDENTS),
         *((part, (1.0 - _OF_INCIDENTS) / len(own)) for part in own)], options)
    held_out = own[0].picked(torch.arange(0))
    if unseen_normal:
        conditions = joined(unseen_normal).conditions
        held_out = own_plans(conditions, finder.parted(conditions))
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
                'undesired': list(shown.undesired),
                'forks': len(first), 'places': len(tested.tick),
                'held_out': len(unseen), 'held_out_normal': len(unseen_normal),
                'removed_before': _removed_share(policy, tested, options.seed),
                'removed_after': _removed_share(optimiser.average, tested, options.seed)},
            'retained_loss': {'before': policy.validation_loss(held_out),
                              'after': optimiser.average.validation_loss(held_out),
                              'windows': len(held_out)}}
        write_edited(run, optimiser.policy, optimiser.average, report, partial)
    return report


def _divided(some: list[_One]) -> tuple[list[_One], list[_One]]:
    """Return two lists: an edit learns from the first, the second is held out to measure it."""
    return [one for i, one in enumerate(some) if (i + 1) % _EVERY], some[_EVERY - 1::_EVERY]


def _parted_from(normal: Forks, forks: Forks, seed: int) -> tuple[Forks, Forks]:
    """Return the forks at which incidents part from normal operation, and those at which not yet.

    A classifier learns from the forks of normal operation which plans it follows. Incidents part
    from it where it is sure that their recorded plans are others; other plans are then those that
    it is sure of. Forks out of reach of those of normal operation are neither.
    """
    none = forks.picked(torch.arange(0))
    if not len(normal.tick):
        return none, none
    apart = torch.cdist(normal.conditions, normal.conditions)
    apart[normal.recording[:, None] == normal.recording] = math.inf
    reach = _REACH * apart.amin(1).nan_to_num(posinf=0.0).max()
    near = torch.cdist(forks.conditions, normal.conditions).amin(1) <= reach
    follows = trained(normal.windows(), normal.other.flatten().long(), 2, seed)
    windows = forks.windows()
    shown = follows.kept_probability(windows.conditions, windows.clean).view(forks.other.shape)
    recorded = shown.masked_fill(forks.other, math.nan).nanmean(1)
    other = forks.other & (shown >= SURE)
    parting = near & (recorded <= 1.0 - SURE) & other.any(1)
    return (forks._replace(other=other).picked(parting),
            forks.picked(near & (recorded >= SURE)))


def _sources(recordings: Sequence[Recording]) -> list[dict[str, str]]:
    """Return names and digests; recordings of two folders may share a name."""
    return [{'name': one.name, 'sha256': one.digest} for one in recordings]


def _own_plans(conditions: Tensor, parted: Parted, least: float,
               classifier: ModeClassifier) -> Windows:
    """Return plans at conditions (N, C); at forks those of kept modes."""
    draws = parted.plans.shape[1]
    windows = Windows(conditions.repeat_interleave(draws, 0), parted.plans.flatten(0, 1),
                      None if parted.said is None else parted.said.flatten(0, 1))
    forks = is_fork(parted, least).repeat_interleave(draws)
    removed = classifier.kept_probability(windows.conditions, windows.clean) <= 0.5
    return windows.picked(torch.nonzero(~(forks & removed))[:, 0])


def carried_conditions(run: Run) -> Tensor:
    """Return the conditions of the observations that the run carries, each some times."""
    conditions = run.policy.normaliser.condition(run.observations)
    if run.policy.cameras:
        with torch.no_grad():
            features = run.policy.features([run.pictures[key] for key in run.policy.cameras])
        conditions = torch.cat([conditions, features], 1)
    return conditions.repeat(_CARRIED, 1)


def _removed_share(policy: Policy, forks: Forks, seed: int) -> float:
    """Return the share of plans at forks that are nearest to one that was no other plan there."""
    draws = 64
    plans = policy.draw(forks.conditions, draws, torch.Generator().manual_seed(seed + 3))
    nearest = torch.cdist(plans, forks.plans).argmin(2)
    return 1.0 - float(forks.other.gather(1, nearest).float().mean())
