#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Write docs/benchmarks/preference_edit.md: true and learned reward as an edit strengthens.

A simulated rater, whose reward is known here, compares demonstrations and says good or bad of
some. The edit removes what the answers refuse, in several strengths; a rival removes what the
rater truly refuses. Then more raters, each with the default edit by answers and by the truth.
Files in --work are used again, so a stopped benchmark goes on with the same command.

    cd bench; python preference_edit.py ../runs/mixed ../data --work ../runs/bench-preferences
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measure  # noqa: F401 - limits the threads, so it comes before numpy
import numpy as np
from cloning.picture import picture
from comparison.markdown import STATEMENT, bullets, table
from preferences import COMPARED, HELD_OUT, INCONSISTENT, RESAMPLED, SIGNS, Rater, scaled_of

from uncloning_ros.audit.run.rollout import result_of, run_episode
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli.arguments import count, seed
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode, EpisodeMetadata
from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_json, write_whole
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import EDIT, METHODS, SELF_DISTILLATION, EditOptions
from uncloning_ros.learning.uncloning import Prepared, look
from uncloning_ros.preferences.features import features_of
from uncloning_ros.preferences.removal import (
    ACCEPTED,
    REFUSED,
    Division,
    Verdict,
    features_in,
)
from uncloning_ros.runtime.control_loop import ControlLoop, Decision
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world
from uncloning_ros.sweep.sweep import STRENGTHS

PAGE = Path(__file__).parent.parent / 'docs' / 'benchmarks' / 'preference_edit.md'
PICTURE = 'preference_edit.svg'
SINGLES = 40  # answers good or bad, after the comparisons
TRUE, LEARNED, SUCCESS = 'true reward', 'learned reward', 'success'
COLORS = {TRUE: '#2b5f8a', LEARNED: '#b3471d', SUCCESS: '#7a8894'}
UNEDITED, RIVAL = 'unedited', 'removes what the rater refuses'
BY_ANSWERS, BY_TRUTH = 'edited by the answers', 'edited by what the rater truly refuses'
# Judged by hand from the figures of the page in the repository: judge them again after a run.
RATERS = '''## Other raters

{args.raters} raters (seeds from {args.rater} on), each with two default edits of the same policy:
one by the answers, one by what the rater truly refuses. {args.each} judged episodes of each.
Means over the raters, with the 90 % interval for other raters, drawn again from these. Aim: the
edit by answers is as good as the other one.'''
SHOWS = '''## What it shows

The edit by answers is as good as the one by what the rater truly refuses. Both remove a part of
what is refused: mostly the way of presenting that a rater likes less. For the first rater a
fine-tune (strength 0) does about as much as any strength, and the true reward falls as the
strength rises beyond 0.25.

- The first table is one rater, one training of each policy, and one set of episodes. Small
  differences between rows may be chance.
- The edit changes the way of presenting, and little else. Success, which needs the handle first,
  rises. But of the demonstrations in `bench/preferences_features.json` the first rater refuses
  more than half of those with the handle first, and nearly all of those with the blade first. The
  edited policies are refused about as often as the former.
- Within one way of presenting, handovers differ in the speed near the person, the length of the
  way, the waiting and the force. In the same episode two shipped policies have much the same
  values of these. They follow from the places of tool and person, and from the habits that both
  policies learned. An edit can only move the choice between plans that a policy has.
- Why a stronger removal costs reward, these figures do not tell.'''


class RecordingLoop(ControlLoop):
    """A control loop that keeps every sample that it was given, as a recorder does."""

    def __init__(self, *setting: Any) -> None:
        super().__init__(*setting)
        self.kept: dict[str, dict[int, Sample]] = {}

    def step(self, now_ns: int, samples: Mapping[str, Sample], *more: Any,
             **named: Any) -> Decision:
        """Keep the new samples, and decide."""
        for key, one in samples.items():
            self.kept.setdefault(key, {})[one.stamp_ns] = one
        return super().step(now_ns, samples, *more, **named)

DEFAULT = replace(EDIT, remove=(REFUSED,), trust_labels=True)


@dataclass(frozen=True)
class Bench:
    """A run with its data, a rater who has answered, and the scale of the features."""

    run: Run
    dataset: Dataset
    scenario: Scenario
    names: tuple[str, ...]
    scaled: np.ndarray
    rater: Rater
    of_demonstrations: Mapping[str, Mapping[str, float]]
    args: argparse.Namespace

    def edited(self, name: str, refused: Callable[[np.ndarray], np.ndarray],
               options: EditOptions) -> Path:
        """Return the file of an edit that removes what is surely refused."""
        out = self.args.work / name
        model = self.args.work / f'{name}.onnx'  # a strength has a point
        if not out.exists():
            verdicts = (Verdict(one, None, 0.0, float(chance)) for one, chance in zip(
                self.names, refused(self.scaled), strict=True))
            divided = Division(tuple(verdicts), 0, (), (), ()).applied(self.dataset)
            Prepared(self.run, divided, (ACCEPTED,), look(self.run.policy, divided), None).edit(
                out, options)
        if not model.exists():
            export(load_run(out), model)
        return model

    def judged(self, name: str, model: Path, episodes: int) -> dict[str, Any]:
        """Return the scaled features of episodes of a model, None without an exchange."""
        path = self.args.work / f'{name}.json'
        if not path.exists():
            write_json(path, self._judged(model, episodes))
        found: dict[str, Any] = json.loads(path.read_text('utf-8'))
        return found

    def _judged(self, model: Path, episodes: int) -> dict[str, Any]:
        policy = load_policy(model)
        contract, values, outcomes = policy.contract, [], []
        world = open_world(self.scenario, contract.interface)
        for at in range(self.args.seed, self.args.seed + episodes):
            loop = RecordingLoop(contract, 0)
            rollout = run_episode(world, loop, contract, policy, at, INFERENCE_LATENCY_S)
            outcomes.append(result_of(rollout, self.scenario,
                                      contract.interface.desired_modes).outcome)
            episode = Episode(Path(str(at)), EpisodeMetadata('', 0, '', None, '', at), contract, {
                key: tuple(one for _, one in sorted(some.items()))
                for key, some in loop.kept.items()}, ())
            try:
                values.append(dict(features_of(contract, self.scenario, episode)))
            except UncloningError:
                values.append(None)
        world.close()
        return {'features': values, 'success': [one.success for one in outcomes],
                'modes': [one.mode for one in outcomes]}

    def row(self, name: str, model: Path, episodes: int) -> dict[str, Any]:
        """Return rewards and shares of one policy, over the episodes with an exchange."""
        found = self.judged(name, model, episodes)
        there = [one for one in found['features'][:episodes] if one is not None]
        values = self.as_scaled(there)
        true = values @ self.rater.weights
        belief = self.rater.belief()
        return {'name': name, 'exchanges': len(there),
                TRUE: float(true.mean()), LEARNED: float((values @ belief.weights).mean()),
                'true share': float((true < self.rater.limit).mean()),
                'learned share': float((belief.below(values) > 0.5).mean()),
                SUCCESS: float(np.mean(found['success'][:episodes]))}

    def truth(self, values: np.ndarray) -> np.ndarray:
        """Return 1 for each episode that the rater truly refuses, and 0 for the others."""
        return (values @ self.rater.weights < self.rater.limit).astype(float)

    def as_scaled(self, features: list[Mapping[str, float]]) -> np.ndarray:
        """Return features in standard deviations of the demonstrations."""
        known, found = (np.array([[one[name] for name in SIGNS] for one in some])
                        for some in (self.of_demonstrations.values(), features))
        return (found - known.mean(axis=0)) / known.std(axis=0)


def opened(args: argparse.Namespace) -> Bench:
    """Return the run with a rater who has given all answers."""
    run, dataset = load_run(args.run), load_dataset(args.data)
    scenario = find_scenario(dataset.scenario)
    features, _ = features_in(dataset, scenario)
    scaled, signs = scaled_of(features)
    args.work.mkdir(parents=True, exist_ok=True)
    return Bench(run, dataset, scenario, tuple(features), scaled,
                 answered(args.rater, scaled, signs), features, args)


def answered(rater_seed: int, scaled: np.ndarray, signs: list[int]) -> Rater:
    """Return a rater who has given all answers."""
    rater = Rater(rater_seed, scaled, signs)
    for _ in range(COMPARED):
        rater.compare(active=True)
    for _ in range(SINGLES):
        rater.judge()
    return rater


def rows_of(bench: Bench) -> list[dict[str, Any]]:
    """Return the rows of the unedited policy, of each strength, and of the rival."""
    method = METHODS[SELF_DISTILLATION]
    base = bench.args.work / 'unedited.onnx'
    if not base.exists():
        export(bench.run, base)
    episodes = bench.args.episodes
    rows = [bench.row(UNEDITED, base, episodes)]

    def strong(strength: float) -> EditOptions:
        return DEFAULT if not strength else replace(
            DEFAULT, method=SELF_DISTILLATION, gamma=strength * method.gamma, tau=method.tau)

    for strength in STRENGTHS:
        name = f'strength {strength:g}'
        rows.append(bench.row(name, bench.edited(name, bench.rater.belief().below,
                                                 strong(strength)), episodes))
        print(rows[-1], flush=True)
    return [*rows, bench.row(RIVAL, bench.edited(RIVAL, bench.truth, strong(1.0)), episodes)]


def raters_of(bench: Bench) -> list[list[dict[str, Any]]]:
    """Return for each rater the rows of no edit, and of the default edit by answers and truth."""
    args, found = bench.args, []
    for number in range(args.rater, args.rater + args.raters):
        one = replace(bench, rater=answered(number, bench.scaled, list(SIGNS.values())))
        rows = [one.row(UNEDITED, args.work / 'unedited.onnx', args.each)]
        for way, refused in ((BY_ANSWERS, one.rater.belief().below), (BY_TRUTH, one.truth)):
            name = f'rater {number}, {way}'
            rows.append(one.row(name, one.edited(name, refused, DEFAULT), args.each))
        found.append(rows)
        print(found[-1], flush=True)
    return found


def meant(values: list[float], form: Callable[[float], str]) -> str:
    """Return the mean over raters, with its 90 % interval for other raters."""
    some, rng = np.array(values), np.random.default_rng(0)
    low, high = np.quantile(some[rng.integers(len(some), size=(RESAMPLED, len(some)))].mean(1),
                            [0.05, 0.95])
    return f'{form(some.mean())} [{form(low)}, {form(high)}]'


def raters_table(raters: list[list[dict[str, Any]]]) -> str:
    """Return the table of means over the raters, and of the differences of the last two rows."""
    forms = {TRUE: '{:+.2f}'.format, 'true share': percent, SUCCESS: percent}
    lines = [[rows[0]['name'].split(', ')[-1], *(meant([row[key] for row in rows], form)
                                                 for key, form in forms.items())]
             for rows in zip(*raters, strict=True)]
    points = '{:+.1f}'.format
    lines.append(['difference of the last two (shares in points)', *(
        meant([(100 if key != TRUE else 1) * (rows[1][key] - rows[2][key]) for rows in raters],
              points if key != TRUE else forms[TRUE]) for key in forms)])
    return table(('policy', TRUE, 'truly refused', SUCCESS), lines)


def written(bench: Bench, rows: list[dict[str, Any]], raters: list[list[dict[str, Any]]]) -> str:
    """Return the page."""
    sections = [
        '# Preferences, from answers to an edit', STATEMENT,
        'This page is written by `bench/preference_edit.py`. A strength is the weight of the '
        'removal, relative to that of `--method self-distillation`; 0 is a fine-tune on the '
        'accepted episodes, as [an edit by preferences]'
        '(../learning-from-people.md#from-preferences-to-an-edit) makes it by default. Rewards '
        'are means over the episodes with an exchange, in standard deviations of the features of '
        'the demonstrations, whose mean is 0.',
        bullets([f'One simulated rater (seed {bench.args.rater}): {COMPARED} comparisons, '
                 f'{SINGLES} answers good or bad, {INCONSISTENT:.0%} of both wrong. {HELD_OUT} '
                 f'demonstrations were not asked about.',
                 f'{bench.args.episodes} judged episodes of each policy on the same seeds, from '
                 f'{bench.args.seed}.',
                 'Success is that of an audit, whose desired modes the rater does not know.']),
        f'![Rewards and shares by strength]({PICTURE})',
        table(('policy', 'exchanges', TRUE, LEARNED, 'truly refused', 'refused by the answers',
               SUCCESS),
              [[row['name'], str(row['exchanges']), f'{row[TRUE]:+.2f}', f'{row[LEARNED]:+.2f}',
                percent(row['true share']), percent(row['learned share']), percent(row[SUCCESS])]
               for row in rows]), RATERS.format(args=bench.args), raters_table(raters), SHOWS]
    return '\n\n'.join(sections) + '\n'


def drawn(rows: list[dict[str, Any]]) -> str:
    """Return the picture: rewards above that of the unedited policy, and shares accepted."""
    edits = rows[:-1]
    places = [row['name'].removeprefix('strength ') for row in edits]
    return picture([
        ('reward above that of the unedited policy', places,
         {name: [row[name] - rows[0][name] for row in edits] for name in (TRUE, LEARNED)}),
        ('share of exchanges that are accepted', places,
         {TRUE: [1.0 - row['true share'] for row in edits],
          LEARNED: [1.0 - row['learned share'] for row in edits]}),
        ('success', places, {SUCCESS: [row[SUCCESS] for row in edits]})],
        'rewards, accepted exchanges and success by strength of the edit', COLORS)


def main() -> None:
    """Run what is missing; write the page and its picture."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='run of which nothing was removed')
    parser.add_argument('data', type=Path, help='its dataset')
    parser.add_argument('--work', type=Path, required=True, help='folder for all files')
    parser.add_argument('--rater', type=seed, default=100, help='seed of the simulated rater')
    parser.add_argument('--episodes', type=count(), default=100,
                        help='judged episodes of each policy (default: %(default)s)')
    parser.add_argument('--raters', type=count(), default=20,
                        help='raters of the second table (default: %(default)s)')
    parser.add_argument('--each', type=count(), default=50,
                        help='judged episodes of each of their policies (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=540_000_000,
                        help='first seed of the judged episodes (default: %(default)s)')
    bench = opened(parser.parse_args())
    rows = rows_of(bench)
    write_whole(PAGE, written(bench, rows, raters_of(bench)).encode())
    write_whole(PAGE.with_name(PICTURE), drawn(rows).encode())


if __name__ == '__main__':
    main()
