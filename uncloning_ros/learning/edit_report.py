# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings about an edit, found in its report (report.json of the edited run)."""

from collections.abc import Mapping, Sequence
from typing import Any

from uncloning_ros.errors import counted

SCHEMA = 'uncloning/edit@7'

# Least share of windows where modes part in which the classifier must be right: one that cannot
# tell the modes apart there gives no direction.
_LEAST_RIGHT = 0.9
# Least agreement of labels: below it none is doubted, and none is given.
LEAST_AGREEMENT = 0.7
_SHOWN = 5  # doubted labels, or recordings, that a warning names
# Share of plans of removed modes after an edit, from which on they are not gone.
_STILL = 0.01
# Rise of the retained loss, as a factor, from which on an edit is said to forget.
_FORGETS = 1.1


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Return warnings about the edit, a sentence each."""
    found = []
    if labels := report['labels']:
        found += _of_labels(labels)
    if reason := report['retargeted']['reason']:
        few = '' if 'corrections' in report else 'the kept modes have few demonstrations, and '
        found.append(f'{few}not all of the retargeting that was wanted was possible: {reason}')
    if incidents := report.get('incidents'):
        found += _of_incidents(incidents)
    if taught := report.get('corrections'):
        found += _took_no_part(taught['left_out'])
    if chosen := report.get('choice'):
        found += _of_choice(report['edit'], chosen)
    loss = report['retained_loss']
    # Corrections change the plans where the demonstrations were, and may have to.
    if (loss['after'] is not None and loss['after'] > _FORGETS * loss['before']
            and 'corrections' not in report):
        found.append(f'the edit forgets: its loss on unseen windows that are retained is '
                     f'{loss["after"] / loss["before"] - 1:.0%} above that of before; audit the '
                     f'result, and add demonstrations of a kept mode, or lower --steps')
    classifier, removal = report['classifier'], report['removal']
    if classifier is None:
        return found
    part = classifier['choice']
    if part is not None and part['right'] < _LEAST_RIGHT:
        found.append(f'where modes part, the classifier is right in {part["right"]:.0%} of '
                     f'{part["windows"]} held-out windows; check the labels of the episodes')
    elif part is not None and part['swapped'] < _LEAST_RIGHT:
        found.append(f'where modes part, the classifier follows a swapped chunk in '
                     f'{part["swapped"]:.0%} of {part["windows"]} held-out windows: it goes by '
                     f'the observation; add demonstrations that begin alike in all modes')
    looks = removal.get('looks')
    if looks and not any(look['open'] for look in looks):
        found.append('the policy planned no chunk of a kept mode at observations of removed '
                     'demonstrations, so self-distillation had nothing to teach; add '
                     'demonstrations of a kept mode')
    elif looks and not looks[-1]['open']:
        found.append(f'after step {looks[-1]["step"]} the policy planned no chunk of a kept mode '
                     f'any more at observations of removed demonstrations; try a lower --lr')
    elif looks and not any(look['torn'] for look in looks):
        found.append('the policy was never torn between kept and removed modes, so there was '
                     'nothing to remove, and the edit was a fine-tune')
    if removal.get('open') == 0:
        found.append('the gate never opened, so nothing was redirected; try a higher --tau')
    return found


def _of_choice(edit: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[str]:
    """Return a warning if plans of removed modes are left."""
    left = next(one['left'] for one in chosen['tried']
                if (one['method'], one['gamma']) == (edit['method'], edit['gamma']))
    most = max(left['starts'], left['way'])
    if most <= _STILL:
        return []
    return [f'{most:.1%} of the plans at the starts or on the way of kept demonstrations are of a '
            f'removed mode still; audit the result, give labels their spans, or add '
            f'demonstrations of a kept mode']


def _of_incidents(incidents: Mapping[str, Any]) -> list[str]:
    """Return warnings about an edit from recordings of incidents."""
    found = _took_no_part(incidents['left_out'])
    if without := incidents['without_choice']:
        found.append(f'in {len(without)} of {incidents["recordings"]} incidents the policy had no '
                     f'other plan at any observation: {", ".join(without[:_SHOWN])}; it may do '
                     f'the same there again; give demonstrations of a kept mode with --data')
    if undesired := incidents['undesired']:
        found.append(f'the policy shows {", ".join(undesired)} still, undesired too; give '
                     f'incidents of all undesired modes')
    if incidents['removed_after'] > _STILL:
        where = 'at held-out incidents' if incidents['held_out'] else 'at these incidents'
        found.append(f'{where} {incidents["removed_after"]:.1%} of the plans are of a removed '
                     f'mode still; give more incidents, or try more --steps')
    return found


def _took_no_part(left_out: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a warning that names recordings that were left out."""
    if not left_out:
        return []
    shown = '; '.join(f'{one["name"]}: {one["reason"]}' for one in left_out[:_SHOWN])
    return [f'{counted(len(left_out), "recording")} took no part: {shown}']


def _of_labels(labels: Mapping[str, Any]) -> list[str]:
    """Return warnings about the labels, compared with those of episodes that look alike."""
    found = []
    if doubted := labels['doubted']:
        shown = ', '.join(f'{one["episode"]} (labelled {one["label"]}, looks like {one["seen"]})'
                          for one in doubted[:_SHOWN])
        more = f' and {len(doubted) - _SHOWN} more in report.json' * (len(doubted) > _SHOWN)
        found.append(f'{len(doubted)} of {labels["labelled"]} labels look wrong, and their '
                     f'episodes took no part: {shown}{more}; look at them, label them again if '
                     f'they are wrong, or edit with --trust-labels')
    given, agreement = sum(labels['given'].values()), labels['agreement']
    if agreement is None:
        if given:
            found.append(f'{given} of {labels["unlabelled"]} episodes without a label got the '
                         f'mode of labelled ones that look alike, which was not tested: no label '
                         f'could be compared with another one; label at least two episodes of '
                         f'each mode')
        return found
    sees = (f'{1 - agreement:.0%} of {labels["judged"]} labelled episodes look like those of the '
            f'other side, kept or removed')
    if agreement < LEAST_AGREEMENT:
        rest = ', and episodes without a label took no part' if labels['unlabelled'] else ''
        found.append(f'{sees}, so the labels were taken as they are{rest}; check the labels of '
                     f'the episodes')
    elif given and agreement < _LEAST_RIGHT:
        found.append(f'{sees}; so may those that got a mode for their look; label more')
    return found
