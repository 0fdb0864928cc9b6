# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""List the cases of the comparison, in the order in which they are made.

A case is one method on one scenario, with a number of demonstrations of the kept modes and a
training seed. A trial is a case of the tuning: one setting of a method, judged on development
episodes. This module holds data and runs nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comparison.edit_rows import ALL, ROWS, SEEING_ROWS, SHORT_ROWS, Row
from comparison.shifts import SHIFTS
from uncloning_ros.learning.options import CAMERA_TRAINING, EDIT, FEW_DEMONSTRATIONS

LATENCY = 'latency'
ITSELF = 'itself, the noise'  # name of the ratio of planning times of one file
TIMES = 'times'  # of policies that see: planning, and episodes with their pictures
NODE = 'node'  # of policies that see: the running policy node
MEASURED = (LATENCY, TIMES, NODE)  # cases that measure times, and judge no episodes

CAMERA_SIZE = '640x480'  # of the pictures that the running node decodes

# First seeds, disjoint: of the demonstrations, of development episodes, of judged episodes.
DEMO_SEED, REMOVED_SEED, KEPT_SEED = 0, 1_000_000, 2_000_000
DEVELOPMENT_SEED, JUDGED_SEED = 900_000, 300_000
SEEDS_APART = 10_000  # distance between the judged episodes of two training seeds
OWN_SEED = 600_000_000  # of the episodes of the mixed policy that are recorded as incidents
OWN_EPISODES = 10
DEVELOPMENT_SEEDS = '900000:900100'  # as every exported file names them

# Kept modes of the `_pair` methods: two of the scenario's four.
PAIR = {'knife_route': ('handle_low', 'handle_face')}


@dataclass(frozen=True)
class Method:
    """One method that removes a mode.

    `kind` tells how it is made: 'train' and 'edit' by a command with `options`, 'loss' by a
    module of `methods`, 'steering' by a module of `methods` that leaves the weights as they are;
    'incidents' from episodes of the mixed policy, 'attack' from those of an edit; a 'shift' is
    the edit, judged in other conditions. `{...}` in the options is filled in from the
    case. With `pair` the modes of `PAIR` are kept. A training takes the share `of_steps` of the
    schedule's steps. An edit begins from the policy that the method `of` made.
    """

    kind: str
    words: str
    options: tuple[str, ...] = ()
    pair: bool = False
    of_steps: float = 1.0
    of: str = 'mixed'


METHODS = {
    'mixed': Method('train', 'cloned from all demonstrations; the other methods start from it'),
    'retrained': Method('train', 'filtered retrain: cloned from scratch, from the kept '
                        'demonstrations alone', ('--only-modes', '{kept}')),
    'finetuned': Method('edit', 'filtered fine-tune: the mixed policy, trained further on the '
                        'kept demonstrations', ('--method', 'fine-tune')),
    # The default when these cases were planned; now it is chosen by measures.
    'uncloned': Method('edit', 'the edit by own chunks, on retargeted copies too where '
                       'demonstrations are few', ('--method', 'self-distillation')),
    'retargeted': Method('edit', 'fine-tune on the kept demonstrations and their retargeted '
                         'copies: the edit without its own chunks',
                         ('--method', 'fine-tune', '--retarget',
                          str(EDIT.retarget))),
    'published': Method('edit', 'the published redirect (arXiv 2606.29201), tuned; steps and '
                        'learning rate as for the edit',
                        ('--method', 'redirect', '--gamma', '{gamma}')),
    'contrastive': Method('loss', 'contrastive preference learning (arXiv 2310.13639), '
                          'tuned; steps and learning rate as for the edit'),
    'npo': Method('loss', 'negative preference optimisation (arXiv 2404.05868) beside the retain '
                  'loss, tuned; steps and learning rate as for the edit'),
    'kto': Method('loss', 'preferences without pairs (arXiv 2404.04465, a part of RKO, arXiv '
                  '2602.09583) beside the retain loss, tuned; steps and learning rate as for the '
                  'edit'),
    'planning': Method('train', 'a policy that draws its mode first, cloned from all '
                       'demonstrations', ('--policy', 'plan')),
    'conditional': Method('edit', 'the same, which draws the kept modes alone: conditioned on a '
                          'mode, with the mode fixed', ('--method', 'lock'), of='planning'),
    'guidance': Method('steering', 'the mixed policy; the mode classifier guides each step of the '
                       'sampler (after arXiv 2506.13922), tuned'),
    'best_of': Method('steering', 'the mixed policy; the mode classifier picks one of 16 '
                      'chunks'),
    'fixed_noise': Method('steering', 'the mixed policy with one fixed noise, found by search '
                          '(arXiv 2603.15757)'),
    'uncloned_pair': Method('edit', 'the edit by own chunks, with two kept modes',
                            ('--method', 'self-distillation'), pair=True),
    'retrained_pair': Method('train', 'filtered retrain with two kept modes',
                             ('--only-modes', '{kept}'), pair=True),
    'retrained_short': Method('train', 'filtered retrain with two thirds of the steps',
                              ('--only-modes', '{kept}'), of_steps=2 / 3),
    'redirected': Method('edit', 'the published redirect (arXiv 2606.29201) with the default '
                         'options of `uncloning unclone`', ('--method', 'redirect')),
    'chosen': Method('edit', 'the edit: `uncloning unclone` with its default options, which '
                     'choose method and strength by measures'),
    'chosen_pair': Method('edit', 'the edit by default options, with two kept modes', pair=True),
    'finetuned_alone': Method('edit', 'filtered fine-tune on the labelled demonstrations alone',
                              ('--method', 'fine-tune', '--trust-labels')),
    'incidents': Method('incidents', 'the edit from 10 recorded episodes of the removed mode, '
                        'without demonstrations'),
    'incidents_finetuned': Method('incidents', "the mixed policy, fine-tuned on 10 of its own "
                                  'successful episodes'),
    'rounded': Method('attack', 'the edit by default options, its weights rounded to int8 and '
                      'written back', of='chosen'),
    'tuned_on': Method('attack', 'the edit by default options after 1000 more steps on kept '
                       'demonstrations', of='chosen'),
    **{name: Method('shift', f'the edit, judged with {shift.words}')
       for name, shift in SHIFTS.items()},
}

# Settings of each tuned method; the best one on development episodes is used in all its cases.
# The cloning loss of contrastive learning has the weight of its paper.
TUNING: Mapping[str, tuple[Mapping[str, float], ...]] = {
    'published': tuple({'gamma': gamma} for gamma in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
    'contrastive': tuple({'alpha': alpha, 'bias': bias}
                         for alpha in (0.03, 0.1, 0.3) for bias in (0.5, 1.0)),
    'npo': tuple({'beta': beta, 'weight': weight}
                 for beta in (0.03, 0.1, 0.3) for weight in (0.01, 0.1)),
    'kto': tuple({'beta': beta, 'weight': weight}
                 for beta in (0.03, 0.1, 0.3) for weight in (0.1, 1.0)),
    'guidance': tuple({'scale': scale, 'inner_steps': inner}
                      for scale in (0.5, 1.5, 5.0) for inner in (1, 4)),
    'fixed_noise': tuple({'noise_seed': seed} for seed in range(6)),
}
UNTUNED: Mapping[str, Mapping[str, float]] = {'best_of': {'count': 16}}

# Methods with the most episodes: most targets compare them.
HEADLINE = ('uncloned', 'retrained', 'conditional')
# Pairs of each training seed that were looked at before more were planned; the comparison is
# judged by the later ones alone.
SEEN = {('finetuned', scenario): 300 for scenario in PAIR}

_BASIC = ('mixed', 'retrained', 'finetuned', 'uncloned')
# No target needs the mixed policy here: most of its demonstrations are of removed modes.
_SCARCE = ('retrained', 'finetuned', 'uncloned')
_STEERINGS = ('guidance', 'best_of', 'fixed_noise')
# Other methods that change the weights; compared with scarce demonstrations too.
OTHER_EDITS = ('published', 'contrastive', 'npo', 'kto')
_PAIRS = ('uncloned_pair', 'retrained_pair')
# A policy that is trained to draw its mode, and the same with its modes fixed.
_DRAWN = ('planning', 'conditional')
_ANNOUNCED = ('mug',)  # with several kept modes, beside the headline


@dataclass(frozen=True)
class Case:
    """One policy to make and judge.

    `kept` is the number of kept demonstrations, `ALL`, or one of `edit_rows.LABELS`; `trial` is
    the place of a trial among the settings of its method.
    """

    scenario: str
    kept: str
    seed: int
    method: str
    trial: int | None = None

    @property
    def key(self) -> str:
        """Return the case's unique name, for instance `knife/all/0/uncloned`."""
        return f'{self.scenario}/{self.kept}/{self.seed}/{self.name}'

    @property
    def name(self) -> str:
        """Return the method, with the number of a trial: `guidance.3`."""
        return self.method if self.trial is None else f'{self.method}.{self.trial}'


@dataclass(frozen=True)
class Schedule:
    """Numbers of demonstrations, steps and episodes."""

    name: str
    headline: tuple[str, ...]         # scenarios with several training seeds and the most episodes
    others: tuple[str, ...]           # scenarios with one training seed
    seeds: tuple[int, ...]            # training seeds
    counts: tuple[int, ...]           # kept demonstrations, where these are scarce
    removed: int                      # demonstrations of removed modes beside them
    demonstrations: Mapping[str, int]
    steps_all: int
    steps_scarce: int
    edit_options: tuple[str, ...]     # of every edit, after the method's own
    contrastive_steps: int
    episodes_headline: int            # of `HEADLINE` and `SEEN`, with all demonstrations
    episodes_others: int
    episodes_scarce: int
    episodes_trial: int
    trials: int                       # of each tuned method
    tuned_among: int                  # kept demonstrations; with all, settings hardly differ
    latency: tuple[int, int]          # repeats, rounds
    results: str = 'benchmarks.json'  # file in docs/
    first_judged: int = JUDGED_SEED
    seeds_apart: int = SEEDS_APART
    contract: str | None = None       # of the demonstrations, in config/; None: of their scenario
    # Episodes of each method, where these are all: with all demonstrations of the headline, each
    # training seed; a shift with the first one alone.
    methods: Mapping[str, int] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()        # cases beside those of `methods`; without these, all cases
    rendering: tuple[int, int] = (0, 0)  # repeats, episodes of each

    @property
    def is_short(self) -> bool:
        """Tell whether the schedule only checks that everything runs."""
        return self.name.endswith('short')

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Return all scenarios."""
        return (*self.headline, *self.others)


FULL = Schedule(
    'full', ('knife', 'knife_route'), ('scissors', 'screwdriver', 'mug'), (0, 1, 2),
    (3, 5, 10, 25, 50), 200,
    {'knife': 400, 'knife_route': 800, 'scissors': 400, 'screwdriver': 400, 'mug': 600},
    15_000, 8_000, (), 450, 1049, 300, 200, 100, 6, 5, (7, 200))
SHORT = Schedule(
    'short', ('knife',), (), (0,), (3, 5), 12, {'knife': 16}, 60, 60, ('--steps', '20'), 20,
    3, 3, 3, 2, 2, 5, (2, 10))
# Policies that see. Nothing is tuned, and nothing is scarce.
CAMERAS = replace(
    FULL, name='cameras', headline=('knife_camera',), others=(), counts=(), removed=0,
    demonstrations={'knife_camera': 800}, steps_all=CAMERA_TRAINING.steps, trials=0,
    results='benchmarks_cameras.json', first_judged=320_000_000, seeds_apart=10_000_000,
    contract='contract_camera.yaml', rendering=(5, 8),
    methods={'mixed': 300, 'retrained': 1049, 'retrained_short': 1049, 'uncloned': 1049,
             'finetuned': 1049, 'redirected': 300, **dict.fromkeys(SHIFTS, 200)},
    rows=SEEING_ROWS)
CAMERAS_SHORT = replace(
    CAMERAS, name='cameras-short', seeds=(0,), demonstrations={'knife_camera': 8}, steps_all=30,
    edit_options=SHORT.edit_options, latency=SHORT.latency, rendering=(2, 1),
    methods=dict.fromkeys(CAMERAS.methods, 2))
# Few and wrong labels, incidents, and what is done to an edited file later. Nothing is tuned.
EDITS = replace(
    FULL, name='edit', headline=('knife', 'knife_route', 'scissors'), others=(), counts=(),
    removed=0, trials=0, results='benchmarks_edit.json', first_judged=360_000_000,
    seeds_apart=10_000_000, rows=ROWS)
EDITS_SHORT = replace(
    EDITS, name='edit-short', headline=('knife',), seeds=(0,), demonstrations={'knife': 32},
    steps_all=60, steps_scarce=60, edit_options=SHORT.edit_options, rows=SHORT_ROWS)
SCHEDULES = {schedule.name: schedule for schedule in (
    FULL, SHORT, CAMERAS, CAMERAS_SHORT, EDITS, EDITS_SHORT)}


def plan(schedule: Schedule) -> list[Case]:
    """Return all cases, the most informative ones first."""
    if schedule.methods:
        return list(_seeing(schedule))
    if schedule.rows:
        return list(_rowed(schedule))
    cases: list[Case] = []
    first, *more = schedule.seeds
    for scenario in schedule.headline:
        cases += [Case(scenario, ALL, first, method) for method in _BASIC]
        cases += _scarce(schedule, scenario, first)
    cases += [Case(scenario, ALL, first, method) for scenario in schedule.others
              for method in ('retrained', 'finetuned', 'uncloned', 'mixed')]
    cases += list(trials(schedule))
    cases += [Case(scenario, ALL, first, method) for method in OTHER_EDITS
              for scenario in schedule.scenarios]
    # A searched noise fits only the policy that it was searched with.
    cases += [Case(scenario, ALL, first, method) for method in _STEERINGS
              for scenario in schedule.headline[:1 if method == 'fixed_noise' else None]]
    cases.append(Case(schedule.headline[0], ALL, first, LATENCY))
    cases += [Case(scenario, ALL, seed, method) for seed in schedule.seeds
              for scenario in schedule.headline for method in _DRAWN]
    cases += [Case(scenario, ALL, first, _DRAWN[0]) for scenario in schedule.others
              if scenario in _ANNOUNCED]
    cases += [Case(scenario, ALL, first, method) for scenario in schedule.headline
              if scenario in PAIR for method in _PAIRS]
    cases += [Case(scenario, str(count), first, method) for method in OTHER_EDITS
              for scenario in schedule.headline for count in schedule.counts]
    cases += [Case(scenario, ALL, seed, method) for seed in more
              for scenario in schedule.headline for method in _BASIC]
    cases += [case for seed in more for scenario in schedule.headline
              for case in _scarce(schedule, scenario, seed)]
    return cases


def _rowed(schedule: Schedule) -> Iterator[Case]:
    for row in schedule.rows:
        yield from (Case(row.scenario, row.kept, seed, row.method) for seed in schedule.seeds
                    if seed in row.seeds)


def _seeing(schedule: Schedule) -> Iterator[Case]:
    first, (scenario,) = schedule.seeds[0], schedule.headline
    for seed in schedule.seeds:
        yield from (Case(scenario, ALL, seed, method) for method in schedule.methods
                    if seed == first or METHODS[method].kind != 'shift')
        if seed == first:
            yield from (Case(scenario, ALL, seed, measured) for measured in (TIMES, NODE))
    yield from _rowed(schedule)


def _scarce(schedule: Schedule, scenario: str, seed: int) -> list[Case]:
    # Above `FEW_DEMONSTRATIONS` nothing is retargeted, and `retargeted` equals `finetuned`.
    return [Case(scenario, str(count), seed, method) for count in schedule.counts
            for method in (*_SCARCE, *(('retargeted',) if count <= FEW_DEMONSTRATIONS else ()))]


def trials(schedule: Schedule) -> Iterator[Case]:
    """Yield the trials: one scenario, one training seed, development episodes."""
    for method, settings in TUNING.items():
        kept = str(schedule.tuned_among) if method in OTHER_EDITS else ALL
        for trial in range(min(schedule.trials, len(settings))):
            yield Case(schedule.headline[0], kept, schedule.seeds[0], method, trial)


def seeds_of(case: Case, schedule: Schedule) -> range:
    """Return the seeds of the episodes that judge a case; each training seed has its own."""
    if case.method in MEASURED:
        return range(0)
    if case.trial is not None:
        return range(DEVELOPMENT_SEED, DEVELOPMENT_SEED + schedule.episodes_trial)
    if schedule.methods and case.kept == ALL:
        episodes = schedule.methods[case.method]
    elif schedule.rows:
        episodes = next(row.episodes for row in schedule.rows if (
            row.scenario, row.kept, row.method) == (case.scenario, case.kept, case.method))
    elif case.kept != ALL:
        episodes = schedule.episodes_scarce
    elif case.scenario in schedule.headline and (
            case.method in HEADLINE or (case.method, case.scenario) in SEEN):
        # With 5 unsafe episodes among 1049 the upper bound of UMR is still below 1 %.
        episodes = schedule.episodes_headline
    else:
        episodes = schedule.episodes_others
    first = schedule.first_judged + schedule.seeds_apart * case.seed
    return range(first, first + episodes)


def tuned_methods(case: Case) -> tuple[str, ...]:
    """Return the methods whose tuning must be complete before this case can be made."""
    if case.trial is not None:
        return ()
    if case.method == LATENCY:
        return tuple(method for method in _STEERINGS if method in TUNING)
    return (case.method,) if case.method in TUNING else ()


def matches(case: Case, wanted: Mapping[str, Any]) -> bool:
    """Tell whether each named field of a case has one of its allowed values."""
    return all(str(getattr(case, field)) in values for field, values in wanted.items())
