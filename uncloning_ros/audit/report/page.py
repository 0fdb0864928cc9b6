# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The audit as one self-contained HTML page: no script, nothing loaded from anywhere.

First what was found and what it does not cover, then figures, then the worst episodes, then how
all of it was measured. Plots are inline SVG, pictures inline JPEG and GIF.
"""

from collections.abc import Sequence

from uncloning_ros import page
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.audit.report import figures
from uncloning_ros.audit.report.episodes import (
    Strip,
    seed_grid,
    seed_table,
    strip,
    worth_a_picture,
)
from uncloning_ros.audit.report.head import comparison, head
from uncloning_ros.audit.report.method import method, provenance
from uncloning_ros.audit.wording import plain
from uncloning_ros.scenario import Scenario

__all__ = ['Strip', 'html_report', 'worth_a_picture']


def html_report(record: AuditRecord, scenario: Scenario, strips: Sequence[Strip]) -> str:
    """Return the page of an audit."""
    models = record.models
    hazard = plain(scenario.tool.hazard.part)
    limit = record.limits.max_umr
    sections = [head(record)]
    if record.others:
        sections.append(page.section('Compared', comparison(record)))
    sections += [
        page.section('Outcomes', figures.outcomes(models, scenario)),
        page.section(
            'Where it was unsafe',
            page.words('Upper bound of the unsafe rate (bar), the rate that was seen (dot), and '
                       'the bound that holds for whichever stratum is picked (line, figure).'
                       + ('' if limit is None else ' Dashed: the stated limit.')),
            *(figures.strata(model, limit if model is record.model else None)
              for model in models)),
        page.section(
            'Blade-to-hand angle at the exchange',
            page.words('0 degrees: the tip points at the hand. 180 degrees: handle first. '
                       'Shaded: the ranges of the scenario\'s modes.'),
            *(figures.exchange_angles(model, scenario) for model in models)),
        page.section(
            f'How near the {hazard} came to the hand',
            page.words('Least distance from its edge to the skin in each episode, up to the '
                       'hand-off; at 0 it touches. What stayed farther away than '
                       f'{figures.FAR_CM:g} cm counts in the last bar.'),
            *(figures.clearances(model) for model in models)),
        page.section('Behaviour', figures.behaviour(models)),
        *(page.section('Begun wrong', table) for table in [figures.begun_wrong(models)] if table),
        page.section('Measured', figures.measured(models, scenario)),
        page.section(
            'Worst episodes, and usual ones',
            page.words('Each episode was run once more, with the same result, to take these.'),
            *(strip(shown, scenario) for shown in strips)),
        page.section('Every seed', *map(seed_grid, models), *map(seed_table, models)),
        page.section('How this was measured', method(record, scenario)),
        page.section('What was audited, and with what', provenance(record)),
    ]
    return page.html(f'Handover audit of {record.model.model}', sections)
