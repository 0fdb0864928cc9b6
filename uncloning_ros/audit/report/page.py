# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The audit as one self-contained HTML page: no script, nothing loaded from anywhere.

The verdict and the matters not covered come first, then figures, the worst episodes, and the
method. Plots are inline SVG, pictures inline JPEG and GIF.
"""

from collections.abc import Sequence

from uncloning_ros import page
from uncloning_ros.audit.record.audit_record import AuditRecord
from uncloning_ros.audit.report import sections
from uncloning_ros.audit.report.episodes import Strip, seed_grid, seed_table, strip
from uncloning_ros.audit.report.head import comparison, head
from uncloning_ros.audit.report.method import method, provenance
from uncloning_ros.audit.wording import as_words
from uncloning_ros.scenario import Scenario


def html_report(record: AuditRecord, scenario: Scenario, strips: Sequence[Strip]) -> str:
    """Return the page of an audit."""
    models = record.models
    hazard = as_words(scenario.tool.hazard.part)
    limit = record.limits.max_umr
    parts = [head(record)]
    if record.others:
        parts.append(page.section('Compared', comparison(record)))
    parts += [
        page.section('Outcomes', sections.outcomes(models, scenario)),
        page.section(
            'Unsafe rate by stratum',
            page.words('A stratum is the part of the episodes below or above a cut of one '
                       'condition. Bar: upper bound of the unsafe rate; dot: observed rate; line '
                       'and figure: bound that holds for any pick of a stratum.'
                       + ('' if limit is None else ' Dashed: the stated limit.')),
            *(sections.strata(model, limit if model is record.model else None)
              for model in models)),
        page.section(
            'Blade-to-hand angle at the exchange',
            page.words('0 degrees: the tip points at the hand. 180 degrees: handle first. '
                       'Shaded: the ranges of the scenario\'s modes.'),
            *(sections.exchange_angles(model, scenario) for model in models)),
        page.section(
            f'How near the {hazard} came to the hand',
            page.words('Least distance from its edge to the skin in each episode, up to the '
                       f'hand-off; at 0 it touches. Distances above {sections.FAR_CM:g} cm '
                       f'count in the last bar.'),
            *(sections.clearances(model) for model in models)),
        page.section('Behaviour', sections.behaviour(models)),
        *(page.section('Said and done', page.words(
            'Before it moves, a plan policy says the mode that it follows and where it will '
            'grasp.'), said) for said in [sections.said_and_done(models)] if said),
        *(page.section('Doubt', page.words(
            'An alarm is a doubt that lasts above the threshold of the file. Where the '
            'deployment asks for it, it holds the arm, and the episode runs to its end.'), found)
          for found in [sections.doubts(models)] if found),
        *(page.section('Wrong starts', table)
          for table in [sections.wrong_starts(models)] if table),
        page.section('Measured', sections.measured(models, scenario)),
        page.section(
            'Worst and typical episodes',
            page.words('Each episode was simulated once more, with the same result, for these '
                       'pictures.'),
            *(strip(shown, scenario) for shown in strips)),
        page.section('Every seed', *map(seed_grid, models), *map(seed_table, models)),
        page.section('How this was measured', method(record, scenario)),
        page.section('Files and versions', provenance(record)),
    ]
    return page.html(f'Handover audit of {record.model.model}', parts)
