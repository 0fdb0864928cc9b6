# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""List the cases that try the edit where a fine-tune has too little to go by, or is undone.

All rows together take about ten hours on one quiet core.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ALL = 'all'  # the right labels of all demonstrations

_FIRST = (0,)
_MANY, _SOME = 1049, 300  # with 5 unsafe episodes of 1049 the upper bound of UMR is below 1 %


@dataclass(frozen=True)
class Labels:
    """Which labels are left.

    `each` labels of each mode, None for all of them, of which the share `wrong` is wrong. With
    `given` the unlabelled episodes have the labels that the edit would give them.
    """

    each: int | None = None
    wrong: float = 0.0
    given: bool = False


LABELS: Mapping[str, Labels] = {
    **{f'few{each}': Labels(each) for each in (1, 3, 5, 10)}, 'given5': Labels(5, given=True),
    **{f'wrong{percent}': Labels(wrong=percent / 100) for percent in (10, 20)}}


@dataclass(frozen=True)
class Row:
    """A method on a scenario, and the number of its judged episodes.

    `kept` names the labels: `ALL` or one of `LABELS`. `seeds` are those training seeds of the
    schedule that are run.
    """

    scenario: str
    kept: str
    method: str
    episodes: int
    seeds: tuple[int, ...] = (0, 1, 2)


def _rows() -> Iterator[Row]:
    for scenario in ('knife', 'knife_route', 'scissors'):
        yield Row(scenario, ALL, 'mixed', _SOME)
    for scenario in ('knife', 'scissors'):
        yield Row(scenario, ALL, 'incidents', _MANY)
        yield Row(scenario, ALL, 'incidents_finetuned', _SOME, seeds=_FIRST)
    for scenario in ('knife', 'knife_route'):
        yield Row(scenario, ALL, 'chosen', _MANY)
        yield Row(scenario, 'few5', 'chosen', _MANY)
    yield Row('knife_route', ALL, 'retrained', _MANY)
    yield Row('knife', 'wrong20', 'chosen', _MANY)
    yield Row('knife', ALL, 'rounded', _MANY)
    yield Row('knife', ALL, 'tuned_on', _MANY)
    for method in ('uncloned_pair', 'chosen_pair'):
        yield Row('knife_route', ALL, method, _MANY, seeds=_FIRST)
    for scenario in ('knife', 'knife_route'):
        for kept in ('few1', 'few3', 'few10', 'wrong10'):
            yield Row(scenario, kept, 'chosen', _SOME, seeds=_FIRST)
        for kept, method in (('few5', 'finetuned_alone'), ('few5', 'retrained'),
                             ('few5', 'finetuned'), ('given5', 'retrained')):
            yield Row(scenario, kept, method, _SOME, seeds=_FIRST)
    yield Row('knife_route', 'wrong20', 'chosen', _SOME, seeds=_FIRST)


ROWS = tuple(_rows())
# A policy that sees, with few labels.
SEEING_ROWS = (Row('knife_camera', 'few10', 'uncloned', _MANY, seeds=(1,)),)
# A policy of some steps shows hardly any incident.
SHORT_ROWS = tuple(Row(row.scenario, row.kept, row.method, 2, row.seeds) for row in ROWS
                   if row.scenario == 'knife' and not row.method.startswith('incidents'))
