# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""List the cases: a method at a place and a training seed. This module runs nothing.

A place is a task, its demonstrations, and the modes to remove. The mixed policy of a task does
not depend on them: its case is named after the demonstrations alone. Cases, methods and their
options are those of the other comparison, but for the edit, which has its default options.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comparison.plan import ALL, SEEDS_APART, Case, Method
from comparison.plan import METHODS as COMMON

from outside.tasks import TASKS

# Seeds below were looked at while the edit where labels have spans was chosen.
JUDGED_SEED = 400_000
METHODS = COMMON | {
    'uncloned': Method('edit', 'the edit: `uncloning unclone` with its default options')}
COMPARED = ('uncloned', 'redirected', 'finetuned', 'retrained')  # beside the mixed policy


@dataclass(frozen=True)
class Place:
    """A task and the modes to remove; of a mode in `few` there are few demonstrations."""

    task: str
    name: str
    removed: tuple[str, ...]
    few: tuple[str, int] | None = None

    @property
    def data(self) -> str:
        """Return the name of the demonstrations."""
        return ALL if self.few is None else f'{self.few[0]}_{self.few[1]}'

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the methods beside the mixed policy.

        Labels of Push-T have spans, so there the edit comes to the redirect.
        """
        return tuple(method for method in COMPARED
                     if not (self.task == 'push_t' and method == 'redirected'))

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the modes that are kept."""
        return tuple(mode for mode in TASKS[self.task].modes if mode not in self.removed)

    @property
    def words(self) -> str:
        """Return the place in words."""
        few = '' if self.few is None else f', {self.few[1]} demonstrations of {self.few[0]}'
        return f'`{self.task}`, `{self.name}`{few}'


PLACES = (
    Place('push_t', 'keep_left', ('right',)),
    Place('push_t', 'keep_right', ('left',)),
    Place('push_wall', ALL, ('right',)),
    Place('push_wall', 'left_6', ('right',), ('left', 6)),
    Place('routes', 'without_one', ('gaps_1_2_3',)),
    # Half of the routes, through all gaps: only two gaps together tell removed from kept.
    Place('routes', 'without_half', tuple(
        mode for mode in TASKS['routes'].modes
        if sum(map(int, mode.split('_')[1:])) % 2)),
)


@dataclass(frozen=True)
class Schedule:
    """Numbers of steps and episodes; `episodes` by task and start."""

    name: str
    results: str  # file in docs/
    seeds: tuple[int, ...]
    steps: Mapping[str, int]
    edit_options: tuple[str, ...]
    episodes: Mapping[str, Mapping[str, int]]

    @property
    def is_short(self) -> bool:
        """Tell whether the schedule only checks that everything runs."""
        return self.name.endswith('short')


FULL = Schedule(
    'outside', 'benchmarks_outside.json', (0, 1, 2),
    {'push_t': 20_000, 'push_wall': 15_000, 'routes': 15_000}, (),
    {'push_t': {'random': 300, 'fixed': 200}, 'push_wall': {'random': 1500},
     'routes': {'random': 1049}})
SHORT = Schedule(
    'outside-short', 'benchmarks_outside.json', (0,), dict.fromkeys(TASKS, 60),
    ('--steps', '20'), {'push_t': {'random': 3, 'fixed': 2}, 'push_wall': {'random': 3},
                        'routes': {'random': 3}})
SCHEDULES = {schedule.name: schedule for schedule in (FULL, SHORT)}


def plan(schedule: Schedule) -> list[Case]:
    """Return all cases, those of the first training seed first."""
    cases = dict[Case, None]()
    for seed in schedule.seeds:
        for place in PLACES:
            cases |= dict.fromkeys([Case(place.task, place.data, seed, 'mixed'), *(
                Case(place.task, place.name, seed, method) for method in place.compared)])
    return list(cases)


def place_of(case: Case) -> Place:
    """Return the place of a case, of the mixed policy the first one with its demonstrations."""
    return next(place for place in PLACES if place.task == case.scenario and case.kept == (
        place.data if case.method == 'mixed' else place.name))


def first_seed(case: Case) -> int:
    """Return the seed of the episodes that judge a case; each training seed has its own."""
    return JUDGED_SEED + SEEDS_APART * case.seed
