# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/doubt.md: false alarms, failures noticed before they happen, and the cost.

    uncloning export runs/uncloned --out plain.onnx
    uncloning doubt runs/uncloned --data data/ --out asking.onnx
    cd bench; python doubt.py ../asking.onnx --plain ../plain.onnx --out ../runs/doubt

Episodes of the scenario of the demonstrations, and with the scenario knife of five shifts with
which no threshold was calibrated, first with doubt that stops nothing. A shift goes on until it
has enough failures: unsafe events and drops, not timeouts. Episodes with an alarm are then
repeated with the hold, undisturbed ones also with a person who accepts each doubt; the others
would be the same. A rival raises its alarm by the clock of the episode alone, at the time that as
few undisturbed episodes reach. The heads were chosen on seeds from 730,000,000 on, and from
906,000,000 and from 930,000,000 to 947,000,000, the default rate of false alarms on seeds from
910,000,000 and 916,000,000 on; these are others. Finished episodes are kept in --out; the same
command goes on with them. The figures of each file go to docs/benchmarks_doubt.json, and what is
there is not measured again; without a model the page is written from them alone.

With a model of the scenario knife_hidden alone, and --hidden, the page is
docs/benchmarks/doubt_hidden.md: in which episodes the policy asks, those in which the side of the
hand is shown in time apart from the others.

    cd bench; python doubt.py ../asking.onnx --hidden --out ../runs/doubt_hidden
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from comparison.markdown import STATEMENT, table

from uncloning_ros.audit.figures.statistics import interval, upper_bound
from uncloning_ros.audit.run.doubt_threshold import threshold_of
from uncloning_ros.audit.run.rollout import result_of, run_episode
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import AuditError, UncloningError
from uncloning_ros.files import read_json, write_json, write_whole
from uncloning_ros.judging import measures
from uncloning_ros.judging.trace import NO_PART, Trace
from uncloning_ros.learning.diff import compare
from uncloning_ros.processes import share
from uncloning_ros.progress import progress_bar
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.doubt import watch_of
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import SHOWN_LATE, Scenario, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import World, open_world

DOCS = Path(__file__).parents[1] / 'docs'
PAGE, FIGURES = DOCS / 'benchmarks' / 'doubt.md', DOCS / 'benchmarks_doubt.json'
FIRST_SEED, SEEDS_EACH = 951_000_000, 1_000_000
BATCH = 50  # episodes after which failures are counted
SAME = 1e-6  # greatest change of a weight, relative to its length, that counts as none
AHEAD_S = 1.0  # an alarm as early as this before a failure counts
TRACKER_OFF_M = 0.04
ANSWERED_AFTER_S = 5.0  # a person accepts the doubt so long after the question
# What an alarm does: nothing, a hold that is never answered, or one that a person accepts.
FREE, HELD, ACCEPTED = 'free', 'held', 'accepted'
USUAL, SHIFTED, HIDDEN = 'usual', 'knife', 'knife_hidden'
# By condition, its words and whether it changes the tracker's poses.
SHIFTS: Mapping[str, str] = {
    'tool': 'tool 10 cm outside of its box', 'hand': 'hand 15 cm outside of its box',
    'tracker': 'tracker of the tool off by 4 cm', 'geometry': "another tool's geometry",
    'friction': 'finger friction halved'}

Episode = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """What a worker process needs: plain data."""

    model: Path
    condition: str
    alarm: str


def scenario_of(condition: str) -> Scenario:
    """Return the scenario of a condition: of that name, but for the usual one and its shifts."""
    if condition not in (USUAL, *SHIFTS):
        return find_scenario(condition)
    usual = find_scenario(SHIFTED)
    start, tool = usual.start, usual.tool
    if condition == 'tool':
        start = replace(start, object_position_min_m=(0.35, 0.19),
                        object_position_max_m=(0.50, 0.21))
    if condition == 'hand':
        start = replace(start, hand_position_min_m=(0.52, 0.39, 0.20),
                        hand_position_max_m=(0.82, 0.41, 0.40))
    if condition == 'geometry':
        tool = find_scenario('scissors').tool
    if condition == 'friction':
        tool = replace(tool, friction=tool.friction / 2)
    return replace(usual, start=start, tool=tool)


def with_error(world: World, seed: int) -> Callable[[], list[tuple[str, Sample]]]:
    """Return the world's `poll` with the tool's pose off in a direction drawn for the episode."""
    away = np.random.default_rng(seed).standard_normal(3) * (1.0, 1.0, 0.3)
    away *= TRACKER_OFF_M / np.linalg.norm(away)
    poll = type(world).poll

    def moved(sample: Sample) -> Sample:
        values = sample.values.copy()
        values[:3] += away
        return replace(sample, values=values)

    def wrong() -> list[tuple[str, Sample]]:
        return [(key, moved(one) if key == 'object_pose' else one) for key, one in poll(world)]
    return wrong


def dropped_s(trace: Trace) -> float | None:
    """Return the time at which the tool fell, None if it never was without support."""
    loose = ~trace.finger_contact & (trace.held_part == NO_PART)
    loose[:measures.lifted_step(trace) or 0] = False
    least = measures.steps_of(measures.UNSUPPORTED_S, trace.physics_hz)
    return next((begin / trace.physics_hz for begin, _ in measures.stretches(loose, least)), None)


def accepting(loop: ControlLoop) -> Callable[[World], None]:
    """Return a function of each step that accepts a doubt some time after the question."""
    asked_ns: int | None = None

    def step(world: World) -> None:
        nonlocal asked_ns
        if loop.question is None:
            asked_ns = None
        elif asked_ns is None:
            asked_ns = world.time_ns
        elif world.time_ns - asked_ns >= ANSWERED_AFTER_S * 1e9:
            loop.accept_doubt()
    return step


def episodes_of(setting: Setting) -> Callable[[int], dict[str, Any]]:
    """Return the function that runs one episode in this process."""
    policy, scenario = load_policy(setting.model), scenario_of(setting.condition)
    contract = policy.contract
    world = open_world(scenario, contract.interface)
    loop = ControlLoop(contract, 0, policy.episode_noise,
                       watch_of(contract, policy.doubt, setting.alarm != FREE))

    def run(seed: int) -> dict[str, Any]:
        if setting.condition == 'tracker':
            world.poll = with_error(world, seed)  # type: ignore[method-assign]
        rollout = run_episode(world, loop, contract, policy, seed, INFERENCE_LATENCY_S,
                              accepting(loop) if setting.alarm == ACCEPTED else None)
        result = result_of(rollout, scenario, contract.interface.desired_modes)
        outcome, doubted = result.outcome, result.doubted
        assert doubted is not None, 'a model with doubt'
        times = [outcome.unsafe.time_s if outcome.unsafe else None,
                 dropped_s(rollout.trace) if outcome.failure == 'dropped' else None]
        lifted = measures.lifted_step(rollout.trace)
        return {'condition': setting.condition, 'alarm': setting.alarm, 'seed': seed,
                'shown_late_s': rollout.drawn.get(SHOWN_LATE),
                'lifted_s': None if lifted is None else lifted / rollout.trace.physics_hz,
                'success': outcome.success, 'failure': outcome.failure,
                'unsafe_s': times[0], 'failed_s': min((t for t in times if t is not None),
                                                      default=None),
                'alarmed_s': doubted.alarmed_s, 'held': doubted.held, 'total_s': outcome.total_s}
    return run


class Records:
    """Finished episodes in a file of one JSON object a line; they are run once."""

    def __init__(self, path: Path, model: Path, workers: int) -> None:
        self._path, self._model, self._workers = path, model, workers
        lines = path.read_text().splitlines() if path.exists() else []
        self.done = {(one['condition'], one['alarm'], one['seed']): one
                     for one in map(json.loads, lines)}

    def run(self, condition: str, alarm: str, seeds: Sequence[int]) -> list[Episode]:
        """Return the episodes of seeds, of which those that are missing are run."""
        missing = [seed for seed in seeds if (condition, alarm, seed) not in self.done]
        with self._path.open('a') as file, progress_bar(f'{condition}, {alarm}',
                                                        len(missing)) as bar:
            def keep(one: dict[str, Any]) -> None:
                file.write(json.dumps(one) + '\n')
                file.flush()
                self.done[condition, alarm, one['seed']] = one
                bar.update()
            share(episodes_of, Setting(self._model, condition, alarm), missing, self._workers,
                  'the benchmark', AuditError, keep)
        return [self.done[condition, alarm, seed] for seed in seeds]

    def judged(self, condition: str, most: int,
               enough: Callable[[list[Episode]], bool] | None = None,
               ) -> tuple[list[Episode], list[Episode]]:
        """Return `most` episodes without holds, or fewer if they are enough; and with holds."""
        conditions = [USUAL, *SHIFTS]
        first = FIRST_SEED + SEEDS_EACH * (
            conditions.index(condition) if condition in conditions else -1)
        found: list[Episode] = []
        while len(found) < most and not (enough is not None and enough(found)):
            count = most if enough is None else min(len(found) + BATCH, most)
            found = self.run(condition, FREE, range(first, first + count))
        return found, self.repeated(condition, found, HELD)

    def repeated(self, condition: str, found: Sequence[Episode], alarm: str) -> list[Episode]:
        """Return the episodes with what an alarm does; without an alarm they stay the same."""
        again = iter(self.run(condition, alarm, [one['seed'] for one in found
                                                 if one['alarmed_s'] is not None]))
        return [one if one['alarmed_s'] is None else next(again) for one in found]


def failures(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the episodes with an unsafe event or a drop."""
    return [one for one in episodes if one['failed_s'] is not None]


def of(part: int, whole: int) -> str:
    """Return a count of a whole with its share and exact interval."""
    if not whole:
        return '-'
    low, high = interval(part, whole)
    return f'{part} of {whole} ({part / whole:.0%}, {100 * low:.0f} to {100 * high:.0f} %)'


def noticed(episodes: Sequence[Episode], alarm: Callable[[Episode], float | None]) -> str:
    """Return how many failures have an alarm early enough."""
    failed = failures(episodes)
    early = [one for one in failed
             if (at := alarm(one)) is not None and at <= one['failed_s'] - AHEAD_S]
    return of(len(early), len(failed))


def shift_row(words: str, free: Sequence[Episode], holding: Sequence[Episode],
              clock_s: float) -> list[str]:
    """Return the row of a shift."""
    failed = failures(free)
    leads = [one['failed_s'] - one['alarmed_s'] for one in failed
             if one['alarmed_s'] is not None and one['alarmed_s'] <= one['failed_s']]
    rest = [one for one in free if one['failed_s'] is None]
    unsafe, still = (sum(one['unsafe_s'] is not None for one in some) for some in (free, holding))
    not_held = [one for one in holding if not one['held']]
    bad = sum(one['unsafe_s'] is not None for one in not_held)
    return [words, str(len(free)), noticed(free, lambda one: one['alarmed_s']),
            noticed(free, lambda one: clock_s), f'{np.median(leads):.1f} s' if leads else '-',
            of(sum(one['alarmed_s'] is not None for one in rest if not one['success']),
               sum(not one['success'] for one in rest)),
            of(sum(one['alarmed_s'] is not None for one in rest if one['success']),
               sum(one['success'] for one in rest)),
            f'{unsafe} / {still}', of(sum(one['held'] for one in holding), len(holding)),
            of(bad, len(not_held))]


def undisturbed(records: Records, condition: str, episodes: int) -> list[list[str]]:
    """Return the rows about false alarms, and what holds cost, in undisturbed episodes."""
    free, holding = records.judged(condition, episodes)
    accepted = records.repeated(condition, free, ACCEPTED)
    alarms = sum(one['alarmed_s'] is not None for one in free)
    lost, still_lost = (sum(one['success'] for one in free) - sum(one['success'] for one in some)
                        for some in (holding, accepted))
    return [['episodes', f'{len(free)}, seeds from {free[0]["seed"]:,}'],
            ['with an alarm', of(alarms, len(free))],
            ['upper bound of that (95 %)', f'{upper_bound(alarms, len(free)):.1%}'],
            ['success lost, holds never answered',
             f'{lost} of {len(free)} ({lost / len(free):.2%})'],
            [f'success lost, each accepted after {ANSWERED_AFTER_S:g} s',
             f'{still_lost} of {len(free)} ({still_lost / len(free):.2%})']]


def latency(model: Path, plain: Path, folder: Path, repeats: int, rounds: int) -> str:
    """Return the ratio of the planning times with and without doubt, measured in turns."""
    out = folder / 'latency.json'
    subprocess.run([sys.executable, '-m', 'comparison.latency', plain, model, '--repeats',
                    str(repeats), '--rounds', str(rounds), '--out', out],
                   cwd=Path(__file__).parent, check=True)
    found = {one['name']: one for one in json.loads(out.read_text())['ratios']}['uncloned']
    return f'{found["value"]:.3f} ({found["low"]:.3f} to {found["high"]:.3f})'


def weights_of(name: str, plain: Path) -> str:
    """Return in words whether a policy without doubt has the weights of the shipped one."""
    shipped = share_path('models') / f'{name}.onnx'
    if not shipped.exists():
        return 'of its own'
    found = compare(shipped, plain)
    same = found.difference is None and all(one.relative < SAME for one in found.changes)
    return 'as shipped' if same else 'made again by the recipe of the shipped one'


def asks(one: Episode) -> bool:
    """Tell whether an alarm comes before a hidden side is shown."""
    return one['alarmed_s'] is not None and (
        one['lifted_s'] is None or one['alarmed_s'] < one['lifted_s'] + one['shown_late_s'])


def hidden_page(model: Path, records: Records, each: int, most: int) -> str:
    """Return the page about hidden information, from enough episodes of each kind."""
    policy = load_policy(model)
    assert policy.doubt is not None and policy.doubt.calibration is not None
    assert policy.doubt.hidden is not None, 'a file that tells hidden information'
    calibration = policy.doubt.calibration
    kinds = (lambda one: not one['shown_late_s'], lambda one: bool(one['shown_late_s']))
    free, holding = records.judged(
        HIDDEN, most, lambda found: all(sum(map(kind, found)) >= each for kind in kinds))
    rows = []
    for words, kind, alarm in (
            ('shown in time', kinds[0], lambda one: one['alarmed_s'] is not None),
            ('shown too late', kinds[1], asks)):
        one, two = list(filter(kind, free)), list(filter(kind, holding))
        before = [e['alarmed_s'] - e['lifted_s'] for e in one
                  if e['alarmed_s'] is not None and e['lifted_s'] is not None]
        rows.append([words, of(sum(map(alarm, one)), len(one)),
                     f'{np.median(before):+.1f} s' if before else '-',
                     *(of(sum(e[what] for e in some), len(some))
                       for some, what in ((one, 'success'), (two, 'success'), (two, 'held'))),
                     ' / '.join(str(sum(e['unsafe_s'] is not None for e in some))
                                for some in (one, two))])
    return '\n'.join([
        '# Hidden information, measured', '', STATEMENT, '',
        f'Episodes of the scenario `{HIDDEN}`, seeds from {free[0]["seed"]:,}. Where the side is '
        f'shown too late, an alarm counts as asking if it comes before that. Holds are never '
        f'answered here, so a held episode is not a success. Made with `bench/doubt.py --hidden`; '
        f'model sha256 {policy.sha256[:12]}, threshold {calibration.threshold:.4g} for '
        f'{calibration.after_s:g} s, for a rate of {calibration.false_alarms:.0%}, by '
        f'{calibration.episodes} episodes in which the side is shown in time. Without the '
        f'commands of the demonstrators, the place to which {policy.doubt.hidden.key} will '
        f'go is {policy.doubt.hidden.saved_cm:g} cm off.', '',
        table(['side of the hand', 'asks', 'median alarm, from the lift on',
               'success without holds', 'success with holds', 'held',
               'unsafe without / with holds'], rows), ''])


def add_figures(model: Path, plain: Path | None, args: argparse.Namespace) -> None:
    """Add to the figures what they lack of a file; shifts with the scenario knife alone."""
    policy = load_policy(model)
    assert policy.doubt is not None and policy.doubt.calibration is not None
    calibration = policy.doubt.calibration
    assert calibration.scenario is not None, 'a threshold chosen by simulated episodes'
    records = Records(args.out / f'{policy.sha256[:12]}.jsonl', model, args.workers)
    found = recorded().get(model.stem, {})
    if found.get('model') != policy.sha256[:12]:
        usual = USUAL if calibration.scenario == SHIFTED else calibration.scenario
        free, _ = records.judged(usual, args.episodes)
        found = {
            'model': policy.sha256[:12], 'scenario': calibration.scenario,
            'threshold': calibration.threshold, 'after_s': calibration.after_s,
            'calibrated_by': calibration.episodes, 'rate': calibration.false_alarms,
            'undisturbed': undisturbed(records, usual, args.episodes),
            'clock_s': threshold_of([one['total_s'] for one in free], calibration.false_alarms),
            'weights': '-' if plain is None else weights_of(model.stem, plain), 'shifts': {}}
        if plain is not None:
            found['undisturbed'].append(['planning time with doubt over without', latency(
                model.resolve(), plain.resolve(), args.out.resolve(), args.repeats,
                args.rounds)])
        write_json(FIGURES, recorded() | {model.stem: found})
    for name in args.shifts if calibration.scenario == SHIFTED else ():
        if name not in found['shifts']:
            found['shifts'][name] = shift_row(SHIFTS[name], *records.judged(
                name, args.most, lambda found: len(failures(found)) >= args.failures),
                found['clock_s'])
            write_json(FIGURES, recorded() | {model.stem: found})


def page_of(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page from the figures of every file, by name."""
    text = [
        '# Doubt, measured', '', STATEMENT, '',
        'Failures are unsafe events and drops; timeouts stand apart. Episodes are judged with '
        'doubt that stops nothing; those with an alarm are then repeated with a hold that is '
        'never answered, undisturbed ones once more with a person who accepts each doubt. Made '
        'with `bench/doubt.py`.', '',
        '## Undisturbed episodes', '',
        'Each file in the scenario of its demonstrations: edited policies, which are the ones to '
        'run, and mixed ones to compare with. Aims: an alarm in at most 5 % of the episodes, at '
        'most 2 % of the successes lost, 20 % more planning time.', '',
        table(['file', 'model', 'weights', 'threshold', *(words for words, _ in next(
            iter(files.values()))['undisturbed'])], [
                [f'`{name}`', one['model'], one['weights'],
                 f'{one["threshold"]:.4g} for {one["after_s"]:g} s, by {one["calibrated_by"]} '
                 f'episodes, for a rate of {one["rate"]:.0%}',
                 *(value for _, value in one['undisturbed'])]
                for name, one in sorted(files.items())]), '']
    for name, one in files.items():
        if one['shifts']:
            text += [f'## Shifts with which no threshold was calibrated: `{name}`', '',
                     'Aims, for shifts that the observations show: at least 80 % of the failures '
                     'with an alarm as early as that; with holds at most a fifth of the unsafe '
                     'events.', '', table(
                ['shift', 'episodes', f'failures with an alarm at least {AHEAD_S:g} s before',
                 f'alarm by the clock ({one["clock_s"]:.1f} s)', 'median lead',
                 'alarms of timeouts', 'alarms of successes', 'unsafe without / with holds',
                 'held', 'unsafe of those not held'],
                [one['shifts'][key] for key in SHIFTS if key in one['shifts']]), '']
            if lacking := [words for key, words in SHIFTS.items() if key not in one['shifts']]:
                text += [f'Not measured yet: {", ".join(lacking)}.', '']
    return '\n'.join(text)


def recorded() -> dict[str, Any]:
    """Return the figures so far, by name of the file."""
    return read_json(FIGURES, UncloningError) if FIGURES.exists() else {}


def main() -> int:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', type=Path, nargs='*', metavar='MODEL',
                        help='files made by uncloning doubt, one of each scenario')
    parser.add_argument('--hidden', action='store_true',
                        help='a model of knife_hidden: write that page alone')
    parser.add_argument('--plain', type=Path, help='export of the same run as the first model')
    parser.add_argument('--out', type=Path, help='folder of finished episodes')
    parser.add_argument('--episodes', type=int, default=1049, help='of the usual condition')
    parser.add_argument('--failures', type=int, default=100,
                        help='of each shift; with --hidden episodes of each kind')
    parser.add_argument('--most', type=int, default=3000, help='episodes of each shift')
    parser.add_argument('--shifts', nargs='*', choices=SHIFTS, default=list(SHIFTS),
                        help='of the scenario knife (default: all)')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--rounds', type=int, default=300)
    parser.add_argument('--page', type=Path)
    args = parser.parse_args()
    if args.models:
        if args.out is None:
            parser.error('--out: expected a folder for finished episodes, got none')
        args.out.mkdir(parents=True, exist_ok=True)
    if args.hidden:
        policy = load_policy(args.models[0])
        records = Records(args.out / f'{policy.sha256[:12]}.jsonl', args.models[0], args.workers)
        page = hidden_page(args.models[0], records, args.failures, args.most)
        write_whole(args.page or PAGE.with_name('doubt_hidden.md'), page.encode())
        print(page)
        return 0
    for model in args.models:
        add_figures(model, args.plain if model is args.models[0] else None, args)
    page = page_of(recorded())
    write_whole(args.page or PAGE, page.encode())
    print(page)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
