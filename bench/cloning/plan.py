# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""List the cases: a class of policy at a point of a curve. This module runs nothing.

Cases are those of the other comparison: `kept` names the point, `method` the class, or the class
and the edit of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comparison.plan import ALL, LATENCY, PAIR, SEEDS_APART, Case

from uncloning_ros.learning.options import FLOW, PLAN, POLICY_KINDS, REGRESSION

# First seeds of the demonstrations and of judged episodes; none was looked at before.
DEMO_SEED, JUDGED_SEED = 0, 600_000

_UNCLONED = '_uncloned'  # after the class, the default edit of it
STARTS = 'starts'
HEADLINE = (PLAN, FLOW)  # compared by pairs of episodes: fewer cannot tell one point of TCR
USUAL = {'history': 2, 'horizon': 16, 'execute': 4}  # timing of the contract


@dataclass(frozen=True)
class Point:
    """Conditions of a training: number of demonstrations, and parts of the contract's policy.

    `parted` picks about half of the demonstrations such that the shares of two modes run from
    90 : 10 to 10 : 90 over the start states. Such a policy is evaluated, and not judged.
    """

    words: str
    demonstrations: int = 400
    timing: Mapping[str, int] = field(default_factory=dict)
    parted: bool = False


POINTS = {
    ALL: Point('400 demonstrations, the timing of the contract'),
    **{f'demonstrations_{n}': Point(f'{n} demonstrations', n) for n in (10, 30, 100)},
    **{f'history_{n}': Point(f'{n} observations of history', timing={'history': n})
       for n in (1, 4)},
    **{f'horizon_{n}': Point(f'chunks of {n} actions', timing={'horizon': n}) for n in (8, 32)},
    **{f'execute_{n}': Point(f'{n} executed actions', timing={'execute': n}) for n in (1, 8, 16)},
    STARTS: Point('shares of two modes from 90 : 10 to 10 : 90 over the start states', 1200,
                  parted=True)}


@dataclass(frozen=True)
class Schedule:
    """Numbers of steps and episodes, the same for all classes."""

    name: str
    scenarios: tuple[str, ...]
    steps: int
    episodes: int
    headline: int  # episodes of `HEADLINE` at the first point
    most_demonstrations: int = 1200
    edit_options: tuple[str, ...] = ()
    latency: tuple[int, int] = (7, 200)  # repeats, rounds
    seeds: tuple[int, ...] = (0,)
    results: str = 'benchmarks_cloning.json'

    @property
    def is_short(self) -> bool:
        """Tell whether the schedule only checks that everything runs."""
        return self.name.endswith('short')


FULL = Schedule('cloning', ('knife', 'knife_route', 'mug'), steps=6000, episodes=300,
                headline=1049)
SHORT = Schedule('cloning-short', ('knife',), steps=60, episodes=2, headline=3,
                 most_demonstrations=40, edit_options=('--steps', '20'), latency=(2, 10))
SCHEDULES = {schedule.name: schedule for schedule in (FULL, SHORT)}


def plan(schedule: Schedule) -> list[Case]:
    """Return all cases: every class on every scenario, then the curves on the first scenario."""
    cases = [Case(scenario, ALL, seed, method) for seed in schedule.seeds
             for scenario in schedule.scenarios for kind in POLICY_KINDS
             for method in (kind, kind + _UNCLONED)]
    cases += [Case(scenario, STARTS, schedule.seeds[0], method)
              for scenario in schedule.scenarios[:2] for kind in (FLOW, PLAN)
              for method in ([kind, kind + _UNCLONED] if scenario in PAIR else [kind])]
    cases.append(Case(schedule.scenarios[0], ALL, schedule.seeds[0], LATENCY))
    for name, point in POINTS.items():
        if name not in (ALL, STARTS):
            # Timing is compared in two classes: with one motion, and with several.
            kinds = (REGRESSION, FLOW) if point.timing else POLICY_KINDS
            cases += [Case(schedule.scenarios[0], name, schedule.seeds[0], kind)
                      for kind in kinds]
    return cases


def is_edit(case: Case) -> bool:
    """Tell whether a case is an edit."""
    return case.method.endswith(_UNCLONED)


def unedited(case: Case) -> Case:
    """Return the case of the policy that an edit began from, or the case itself."""
    return replace(case, method=case.method.removesuffix(_UNCLONED))


def demonstrations_of(point: str, schedule: Schedule) -> int:
    """Return the number of demonstrations of a point."""
    return min(POINTS[point].demonstrations, schedule.most_demonstrations)


def episodes_of(case: Case, schedule: Schedule) -> int:
    """Return the number of episodes that judge a case."""
    compared = case.kept == ALL and case.method in HEADLINE
    return schedule.headline if compared else schedule.episodes


def first_seed(case: Case) -> int:
    """Return the seed of the episodes that judge a case; each training seed has its own."""
    return JUDGED_SEED + SEEDS_APART * case.seed
