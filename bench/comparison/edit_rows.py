# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""List the cases that try the edit where a fine-tune has too little to go by, or is undone.

All rows together take about eight hours on one quiet core.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ALL = 'all'  # the right labels of all demonstrations

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

    `kept` names the labels: `ALL` or one of `LABELS`. Without `every_seed` the first
    training seed alone is run.
    """

    scenario: str
    kept: str
    method: str
    episodes: int
    every_seed: bool = True


def _rows() -> Iterator[Row]:
    for scenario in ('knife', 'knife_route', 'scissors'):
        yield Row(scenario, ALL, 'mixed', _SOME)
    for scenario in ('knife', 'scissors'):
        yield Row(scenario, ALL, 'incidents', _MANY)
        yield Row(scenario, ALL, 'incidents_finetuned', _SOME, every_seed=False)
    for scenario in ('knife', 'knife_route'):
        yield Row(scenario, ALL, 'chosen', _MANY)
        yield Row(scenario, 'few5', 'chosen', _MANY)
    yield Row('knife_route', ALL, 'retrained', _MANY)
    yield Row('knife', 'wrong20', 'chosen', _MANY)
    yield Row('knife', ALL, 'rounded', _MANY)
    yield Row('knife', ALL, 'tuned_on', _MANY)
    for method in ('uncloned_pair', 'chosen_pair'):
        yield Row('knife_route', ALL, method, _MANY, every_seed=False)
    for scenario in ('knife', 'knife_route'):
        for kept in ('few1', 'few3', 'few10', 'wrong10'):
            yield Row(scenario, kept, 'chosen', _SOME, every_seed=False)
        for kept, method in (('few5', 'finetuned_alone'), ('few5', 'retrained'),
                             ('few5', 'finetuned'), ('given5', 'retrained')):
            yield Row(scenario, kept, method, _SOME, every_seed=False)
    yield Row('knife_route', 'wrong20', 'chosen', _SOME, every_seed=False)


ROWS = tuple(_rows())
SHORT_ROWS = tuple(Row(row.scenario, row.kept, row.method, 2, row.every_seed) for row in ROWS
                   if row.scenario == 'knife')
