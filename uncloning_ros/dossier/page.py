# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a dossier: one HTML file that reads without anything else."""

from collections.abc import Iterator

from uncloning_ros.dossier.dossier import STATEMENT, Facts, commands
from uncloning_ros.dossier.hazards import Hazard
from uncloning_ros.learning.edit_record import edits
from uncloning_ros.page import (
    Html,
    bullets,
    code,
    details,
    header,
    html,
    joined,
    notice,
    row,
    section,
    table,
    words,
)


def page(found: Facts) -> str:
    """Return the page."""
    hazards = found.hazards
    return html(f'Dossier of {found.model.name}', [
        header('dossier', found.model.name, hazards.application,
               notice(STATEMENT), *(notice(f'No measure covers: {one}', 'bad')
                                    for one in hazards.uncovered)),
        section('The model', table(('', ''), _model(found))),
        section('Evidence', *_evidence(found)),
        section('Change by the edit', *_change(found)),
        section('Hazards', words(f'Stated by {hazards.stated_by}.'), table(
            ('hazard', 'measures', 'remaining risk'),
            [[joined(one.hazard), '<br>'.join(_measures(one)), joined(one.remaining_risk)]
             for one in hazards.hazards])),
        section('Software', words('Requirements that the package declares, with the versions of '
                                  'this machine; sbom.json has them as CycloneDX 1.6.'),
                table(('', 'version', 'declared'), [
                    row(one['name'], one.get('version', ''),
                        *(part['value'] for part in one.get('properties', ())))
                    for one in found.bill['components'] if one['type'] == 'library'])),
        section('Check it', words('These commands compute the figures again, in this folder and '
                                  'without torch; check.sh runs them.'),
                *(f'<p>{code(one)}</p>' for one in commands(found)))])


def _model(found: Facts) -> Iterator[list[str]]:
    policy = found.policy
    metadata, seeds = policy.metadata, policy.metadata['seeds']
    data = metadata['training'].get('data', {})
    yield row('sha256', code(policy.sha256))
    yield row('size', f'{found.model.stat().st_size / 2**20:.2f} MiB')
    yield row('interface', code(policy.contract.interface.sha256))
    yield row('deployment part', code(policy.contract.deployment.sha256))
    yield row('made with', f'uncloning_ros {metadata["software_version"]}')
    yield row('desired modes', ', '.join(policy.contract.interface.desired_modes))
    yield row('demonstrations', f'{len(data.get("episodes", ()))} episodes, dataset '
                                f'{data.get("sha256", "unknown")}')
    for name in ('demonstrations', 'development'):
        used = seeds.get(name, ())
        yield row(f'seeds of {name}', f'{len(used)} from {min(used)} to {max(used)}'
                  if used else 'none')


def _evidence(found: Facts) -> Iterator[str]:
    if not found.evidence:
        yield notice('No evidence was given.', 'bad')
    for path, one in found.evidence:
        kind = {None: '', True: 'good', False: 'bad'}[one.limits.within_limits]
        yield notice(f'{path.name} ({one.KIND}): {one.sentence}.', kind)
        yield words(one.statement)


def _change(found: Facts) -> Iterator[str]:
    if found.change is None or found.original is None:
        yield words('The weights were not edited after their training.')
        return
    for one in edits(found.policy.metadata.get('edit')):
        yield bullets([f'removed {", ".join(one["remove"])} by {one["method"]}, {one["steps"]} '
                       f'steps, learning rate {one["learning_rate"]}',
                       f'began with the weights {one["parent_sha256"]}'])
    moved = sum(one.relative > 0 for one in found.change.changes)
    yield words(f'Against {found.original.name}: same graph of {found.change.nodes} nodes, same '
                f'normaliser, {moved} of {len(found.change.changes)} weights moved.')
    yield details('every weight', table(('weight', 'shape', 'moved, % of its length'), [
        row(one.name, ' x '.join(map(str, one.shape)), f'{100 * one.relative:.3f}')
        for one in found.change.changes]))


def _measures(hazard: Hazard) -> Iterator[Html]:
    if not hazard.covered_by:
        yield joined('none')
    for one in hazard.covered_by:
        more = [text for text in (one.evidence, one.tested_by) if text is not None]
        yield joined(one.measure, f' ({", ".join(more)})' if more else '')

