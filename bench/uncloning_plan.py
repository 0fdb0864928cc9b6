# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the comparison of ways to be rid of a mode consists of, and in which order it is made.

A cell is (scenario, desired demonstrations, training seed, method); a try is a cell of the tuning,
judged on development seeds. Data alone: nothing here is run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uncloning_ros.learning.retain import FEW
from uncloning_ros.learning.uncloning import RETARGETED, SELF_DISTILLATION

ALL = 'all'  # demonstrations of all modes, about as many of each
LATENCY = 'latency'

# Seeds never meet: those of demonstrations, those by which choices are made, those that judge.
DEMO_SEED, UNDESIRED_SEED, DESIRED_SEED = 0, 1_000_000, 2_000_000
DEVELOPMENT_SEED, JUDGED_SEED = 900_000, 300_000
SEEDS_APART = 10_000  # of the episodes of one training seed and of the next
DEVELOPMENT_SEEDS = '900000:900100'  # as every exported file names them

# Of the scenario with four ways, a target with two of them.
PAIR = {'knife_route': ('handle_low', 'handle_face')}


@dataclass(frozen=True)
class Method:
    """One way to be rid of a mode.

    `kind` is how it is made: 'train' and 'edit' by a command with `options`, 'contrastive' by the
    rival of that name, 'steering' by a rival that leaves the weights. `{...}` in the options
    stands for what the cell says. With `pair` the modes of `PAIR` are kept.
    """

    kind: str
    words: str
    options: tuple[str, ...] = ()
    pair: bool = False


METHODS = {
    'mixed': Method('train', 'cloned from all demonstrations; what the others begin with'),
    'retrained': Method('train', 'filtered retrain: cloned anew, from the desired '
                        'demonstrations alone', ('--only-modes', '{kept}')),
    'finetuned': Method('edit', 'filtered fine-tune: the mixed policy, cloned further on the '
                        'desired demonstrations', ('--method', 'fine-tune')),
    'uncloned': Method('edit', 'the edit of `uncloning unclone` as it is without options'),
    'retargeted': Method('edit', 'the fine-tune with the retargeted demonstrations of the edit, '
                         'without its own chunks', ('--method', 'fine-tune', '--retarget',
                                                    str(RETARGETED[SELF_DISTILLATION]))),
    'published': Method('edit', 'the published redirect (arXiv 2606.29201) in the steps and at '
                        'the learning rate of the edit, its weight tuned',
                        ('--method', 'redirect', '--gamma', '{gamma}')),
    'contrastive': Method('contrastive', 'contrastive preference learning (arXiv 2310.13639), '
                          'likewise, tuned'),
    'guidance': Method('steering', 'the mixed policy, guided by the mode classifier in each step '
                       'of the sampler (after arXiv 2506.13922), tuned'),
    'best_of': Method('steering', 'the mixed policy, the best of 16 chunks by the mode '
                      'classifier'),
    'fixed_noise': Method('steering', 'the mixed policy from one noise, the best of a search '
                          '(arXiv 2603.15757)'),
    'uncloned_pair': Method('edit', 'the edit, two modes kept', pair=True),
    'retrained_pair': Method('train', 'filtered retrain, two modes kept',
                             ('--only-modes', '{kept}'), pair=True),
}

# Settings of each rival that is tuned; the best on development episodes is used everywhere.
# Of contrastive learning the cloning loss has the weight of its paper. The noises of the search
# are those that follow from their seeds.
TUNING: Mapping[str, tuple[Mapping[str, float], ...]] = {
    'published': tuple({'gamma': gamma} for gamma in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
    'contrastive': tuple({'alpha': alpha, 'bias': bias}
                         for alpha in (0.03, 0.1, 0.3) for bias in (0.5, 1.0)),
    'guidance': tuple({'scale': scale, 'inner_steps': inner}
                      for scale in (0.5, 1.5, 5.0) for inner in (1, 4)),
    'fixed_noise': tuple({'noise_seed': seed} for seed in range(6)),
}
UNTUNED: Mapping[str, Mapping[str, float]] = {'best_of': {'count': 16}}

HEADLINE = ('uncloned', 'retrained')  # the two that most of the aims are about
# Where the edit has to show that it is better than a fine-tune, though all succeed nearly always,
# that one has as many episodes. So many pairs of each training seed had been looked at, and told
# nothing, when more were planned: the two are judged on the later ones alone.
SEEN = {('finetuned', scenario): 300 for scenario in PAIR}

_BASIC = ('mixed', 'retrained', 'finetuned', 'uncloned')
# No aim asks for the mixed policy there: it is what most of the demonstrations are.
_SCARCE = ('retrained', 'finetuned', 'uncloned')
_STEERINGS = ('guidance', 'best_of', 'fixed_noise')
# Those that change the weights: beside the edit where demonstrations are scarce too.
SCARCE_RIVALS = ('published', 'contrastive')


@dataclass(frozen=True)
class Cell:
    """One thing to make and judge; `attempt` is the place of a try among its settings."""

    scenario: str
    desired: str
    seed: int
    method: str
    attempt: int | None = None

    @property
    def key(self) -> str:
        """Return the cell's name, unique among all."""
        name = f'{self.scenario}/{self.desired}/{self.seed}/{self.method}'
        return name if self.attempt is None else f'{name}.{self.attempt}'


@dataclass(frozen=True)
class Schedule:
    """How much of everything is done."""

    name: str
    headline: tuple[str, ...]         # scenarios with several training seeds and the most episodes
    others: tuple[str, ...]
    seeds: tuple[int, ...]
    counts: tuple[int, ...]           # of desired demonstrations, where they are scarce
    undesired: int                    # demonstrations of undesired modes beside them
    demonstrations: Mapping[str, int]
    steps_all: int
    steps_scarce: int
    edit_options: tuple[str, ...]     # of every edit, after its own
    contrastive_steps: int
    episodes_headline: int            # of `HEADLINE` and `SEEN`, all demonstrations
    episodes_others: int
    episodes_scarce: int
    episodes_try: int
    tries: int                        # of each rival that is tuned
    tuned_among: int                  # desired demonstrations; with all of them all settings do
    latency: tuple[int, int]          # repeats, rounds


FULL = Schedule(
    'full', ('knife', 'knife_route'), ('scissors', 'screwdriver', 'mug'), (0, 1, 2),
    (3, 5, 10, 25, 50), 200,
    {'knife': 400, 'knife_route': 800, 'scissors': 400, 'screwdriver': 400, 'mug': 600},
    15_000, 8_000, (), 450, 1049, 300, 200, 100, 6, 5, (7, 200))
SHORT = Schedule(
    'short', ('knife',), (), (0,), (3, 5), 12, {'knife': 16}, 60, 60, ('--steps', '20'), 20,
    3, 3, 3, 2, 2, 5, (2, 10))
SCHEDULES = {schedule.name: schedule for schedule in (FULL, SHORT)}


def plan(schedule: Schedule) -> list[Cell]:
    """Return all cells, the most telling ones first."""
    cells: list[Cell] = []
    first, *more = schedule.seeds
    for scenario in schedule.headline:
        cells += [Cell(scenario, ALL, first, method) for method in _BASIC]
        cells += _scarce(schedule, scenario, first)
    cells += [Cell(scenario, ALL, first, method) for scenario in schedule.others
              for method in ('retrained', 'finetuned', 'uncloned', 'mixed')]
    cells += list(tries(schedule))
    cells += [Cell(scenario, ALL, first, method) for method in SCARCE_RIVALS
              for scenario in (*schedule.headline, *schedule.others)]
    # A noise belongs to the policy that it was searched with.
    cells += [Cell(scenario, ALL, first, method) for method in _STEERINGS
              for scenario in schedule.headline[:1 if method == 'fixed_noise' else None]]
    cells.append(Cell(schedule.headline[0], ALL, first, LATENCY))
    cells += [Cell(scenario, ALL, first, method) for scenario in schedule.headline
              if scenario in PAIR for method, made in METHODS.items() if made.pair]
    cells += [Cell(scenario, str(count), first, method) for method in SCARCE_RIVALS
              for scenario in schedule.headline for count in schedule.counts]
    cells += [Cell(scenario, ALL, seed, method) for seed in more
              for scenario in schedule.headline for method in _BASIC]
    cells += [cell for seed in more for scenario in schedule.headline
              for cell in _scarce(schedule, scenario, seed)]
    return cells


def _scarce(schedule: Schedule, scenario: str, seed: int) -> list[Cell]:
    # Where nothing is retargeted, a fine-tune with retargeting is the fine-tune.
    return [Cell(scenario, str(count), seed, method) for count in schedule.counts
            for method in (*_SCARCE, *(('retargeted',) if count <= FEW else ()))]


def tries(schedule: Schedule) -> Iterator[Cell]:
    """Yield the tries of the tuning: one scenario, one training seed, development episodes."""
    for method, settings in TUNING.items():
        desired = str(schedule.tuned_among) if method in SCARCE_RIVALS else ALL
        for attempt in range(min(schedule.tries, len(settings))):
            yield Cell(schedule.headline[0], desired, schedule.seeds[0], method, attempt)


def seeds_of(cell: Cell, schedule: Schedule) -> range:
    """Return the seeds of the episodes that judge a cell: others for each training seed."""
    if cell.method == LATENCY:
        return range(0)
    if cell.attempt is not None:
        return range(DEVELOPMENT_SEED, DEVELOPMENT_SEED + schedule.episodes_try)
    if cell.desired != ALL:
        episodes = schedule.episodes_scarce
    elif cell.scenario in schedule.headline and (
            cell.method in HEADLINE or (cell.method, cell.scenario) in SEEN):
        # So many carry a rate below 1 % with 5 unsafe episodes among them.
        episodes = schedule.episodes_headline
    else:
        episodes = schedule.episodes_others
    first = JUDGED_SEED + SEEDS_APART * cell.seed
    return range(first, first + episodes)


def tuned_methods(cell: Cell) -> tuple[str, ...]:
    """Return the methods whose tuning has to be over before this cell can be made."""
    if cell.attempt is not None:
        return ()
    if cell.method == LATENCY:
        return tuple(method for method in _STEERINGS if method in TUNING)
    return (cell.method,) if cell.method in TUNING else ()


def matches(cell: Cell, wanted: Mapping[str, Any]) -> bool:
    """Tell whether a cell is among those asked for, by field and allowed values."""
    return all(str(getattr(cell, field)) in values for field, values in wanted.items())
