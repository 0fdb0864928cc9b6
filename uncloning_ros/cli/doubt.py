# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Export a policy that says how much it doubts, with a threshold at which the arm holds and asks.

Takes the place of uncloning export. A head for doubt is fitted to the observations of the dataset,
but for those of removed modes. Then the file acts in simulated episodes with seeds of their own,
and the threshold is chosen so that at most the stated rate of such episodes has an alarm. The file
names both, and its deployment asks for the hold.

Where the commands of the demonstrators tell where the person's hand will go, and the observations
do not, they knew what the policy cannot see. Then the file tells doubt about that too, if
held-out demonstrations confirm it; a free choice, of the mode for example, is none. In simulation
episodes in which the side of the hand is shown too late do not choose the threshold: there it is
right to ask.

Without a scenario, or with --recordings, held-out episodes of the dataset choose the threshold.
The policy did not act in them, so no rate of false alarms is promised.

After an edit, fit and calibrate again: an exported file of other weights has no threshold. Ctrl-C
keeps the finished episodes; the same command with --resume continues.

  uncloning doubt runs/uncloned --data data/ --out policy.onnx
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import (
    add_workers,
    count,
    error_rate,
    non_negative_float,
    positive_float,
    require_new_files,
    seed_range,
)
from uncloning_ros.cli.output import print_warnings
from uncloning_ros.errors import UncloningError

if TYPE_CHECKING:
    from uncloning_ros.scenario import Scenario

_EPISODES, _AFTER_S = 500, 0.4
_SIMULATED, _RECORDED = 0.02, 0.05  # rates of false alarms; recordings are fewer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='dataset that the run was trained on')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE',
                        help='ONNX file to write')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--scenario', metavar='NAME',
                        help='scenario of the episodes that choose the threshold (default: that '
                             'of the run)')
    source.add_argument('--recordings', action='store_true',
                        help='choose the threshold by held-out episodes of the dataset')
    parser.add_argument('--partner', type=Path, metavar='MODEL',
                        help='policy of the arm that receives, in a scenario with two arms')
    parser.add_argument('--episodes', type=count(10_000), metavar='N',
                        help=f'number of simulated episodes (default: {_EPISODES})')
    parser.add_argument('--false-alarms', type=error_rate, metavar='RATE',
                        help='largest share of undisturbed episodes with an alarm (default: '
                             f'{_SIMULATED}, with --recordings {_RECORDED})')
    parser.add_argument('--after', type=non_negative_float, metavar='S',
                        help="time in s for which doubt has to last (default: that of the run's "
                             f'contract, or {_AFTER_S})')
    parser.add_argument('--accepted', type=positive_float, metavar='S',
                        help='time in s for which ~/start accepts a doubt (default: that of the '
                             "run's contract, or 10)")
    parser.add_argument('--development-seeds', type=seed_range, default=(), metavar='FROM:TO',
                        help='as for uncloning export')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted command')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Fit, calibrate and export one run; print threshold, rate and size."""
    require_new_files([args.out])
    simulated = {'--partner': args.partner, '--episodes': args.episodes,
                 '--resume': args.resume or None}
    for option in (option for option, value in simulated.items() if value is not None):
        if args.recordings:
            raise UncloningError(f'{option} goes with simulated episodes, got it with '
                                 f'--recordings; leave one of them out')
    episodes = args.episodes or _EPISODES
    rate = args.false_alarms or (_RECORDED if args.recordings else _SIMULATED)

    from uncloning_ros.audit.run.doubt_threshold import rank_of, threshold_of
    from uncloning_ros.contract import DoubtStop
    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.doubt import lacks_for_hidden, recorded_scores, with_doubt
    from uncloning_ros.learning.export import export
    from uncloning_ros.runtime.doubt import HIDDEN_FROM, Calibration
    from uncloning_ros.runtime.model_structure import graph_sha256
    from uncloning_ros.scenario import find_scenario
    from uncloning_ros.schema import plain, read

    run, dataset = load_run(args.run), load_dataset(args.data)
    if dataset.sha256 != run.config.data.get('sha256'):
        print_warnings(['the run was trained on another dataset: observations that it knows and '
                        'this one lacks will be strange to it'])
    name = None if args.recordings else args.scenario or run.config.data.get('scenario')
    scenario = None if name is None else find_scenario(name)
    asked = run.config.contract.deployment.doubt
    given = {'after_s': args.after, 'accepted_s': args.accepted}
    stop = read(DoubtStop, plain(asked or DoubtStop(_AFTER_S)) | {
        key: value for key, value in given.items() if value is not None},
        '--after and --accepted', UncloningError)
    late = scenario is not None and scenario.receiver.hidden is not None
    shown = (' that are held out' if scenario is None else
             ' in which the side of the hand is shown in time' if late else '')
    if scenario is not None:  # the side is shown in time in about half of the episodes
        rank_of(episodes // 2 if late else episodes, rate, shown)
    doubting, record = with_doubt(run, dataset, stop)
    lacks = lacks_for_hidden(run, dataset)
    print('hidden information: ' + (
        f'the commands of the demonstrators tell where {record.hidden.key} will go, the '
        f'observations alone do not ({record.hidden.saved_cm:g} cm off); the file tells doubt '
        f'about it' if record.hidden is not None else
        f'not looked for: {lacks}' if lacks else 'none found in the dataset'))
    seeds: Sequence[int] = ()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as written:
        model = Path(folder) / args.out.name
        export(doubting, model, args.development_seeds, record)
        graph = graph_sha256(model.read_bytes())
        if scenario is None:
            scores = recorded_scores(doubting, dataset, stop.after_s)
        else:
            seeds, scores = _simulated_scores(model, graph, scenario, stop.after_s, episodes,
                                              args, written)
        threshold = threshold_of(scores, rate, shown)
        if record.hidden is not None and threshold >= HIDDEN_FROM:
            raise UncloningError(
                f'expected a threshold below {HIDDEN_FROM:g}, for from there on doubt is about '
                f'hidden information, got {threshold:.3g}: too many episodes{shown} have such '
                f'doubt; give --recordings, or --resume with a higher --false-alarms')
        record = replace(record, calibration=Calibration(
            threshold, stop.after_s, rate, len(scores), graph,
            None if scenario is None else scenario.name))
        done = export(doubting, args.out, args.development_seeds, record, tuple(seeds))
    calibration = record.calibration
    assert calibration is not None
    print(f'{args.out}: {done.bytes / 2 ** 20:.2f} MiB, sha256 {done.sha256}\n'
          f'threshold {calibration.threshold:.4g} for {stop.after_s:g} s, by {len(scores)} '
          + (f'episodes of {scenario.name}{shown}: at most {rate:.1%} of such '
             f'episodes have an alarm' if scenario else 'held-out recordings'))
    if scenario is None:
        print_warnings(['recordings show no episode in which this policy acted, so no rate of '
                        'false alarms is promised; watch the first episodes'])
    return 0


def _simulated_scores(model: Path, graph: str, scenario: 'Scenario', after_s: float,
                      episodes: int, args: argparse.Namespace,
                      written: contextlib.ExitStack) -> tuple[range, list[float]]:
    """Return the seeds of simulated episodes, and the greatest doubt that lasted in each.

    Their file is removed once the exported file is `written`: a full disk loses none of them.
    """
    from uncloning_ros.audit.record.finished_episodes import finished_episodes, finished_path
    from uncloning_ros.audit.record.provenance import machine
    from uncloning_ros.audit.run.doubt_threshold import calibration_seeds
    from uncloning_ros.audit.run.rollout import require_fit, run_rollouts
    from uncloning_ros.audit.run.seeds import require_unseen
    from uncloning_ros.judging.episode import EpisodeResult
    from uncloning_ros.progress import progress_bar
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.scenario import SHOWN_LATE
    from uncloning_ros.schema import plain

    seeds, policy = calibration_seeds(graph, scenario, episodes), load_policy(model)
    require_fit(policy, args.out, scenario)
    require_unseen(args.out, policy, seeds)
    setting = {'graph_sha256': graph, 'scenario_sha256': scenario.sha256, 'after_s': after_s,
               'partner': None if args.partner is None else load_policy(args.partner).sha256,
               'machine': plain(machine())}
    with finished_episodes(finished_path(args.out), setting, args.resume) as finished:
        missing = [seed for seed in seeds if (graph, seed) not in finished.done]
        with progress_bar('doubt in undisturbed episodes', len(seeds),
                          done=len(seeds) - len(missing)) as bar:
            def tell(result: EpisodeResult) -> None:
                finished.add(graph, result)
                bar.update()
            if missing:
                run_rollouts(model, scenario, missing, args.workers, on_done=tell,
                             partner=args.partner, ignore_doubt=True)
        # To ask is right, and no false alarm, where the side of the hand is shown too late.
        found = [one.doubted for one in (finished.done[graph, seed] for seed in seeds)
                 if not one.conditions.get(SHOWN_LATE)]
    written.push(lambda kind, *_: finished_path(args.out).unlink() if kind is None else None)
    return seeds, [0.0 if one is None or one.greatest is None else one.greatest for one in found]
