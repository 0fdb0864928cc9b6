# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Hand over in simulation, many times, and count what was unsafe.

Runs an exported policy in closed loop, one episode for each seed, and reports how many
handovers were completed (TCR), were completed as desired and safely (SR), and held an unsafe
event (UMR), with the 95 % upper bound of the last. The result is statistical evidence under
the stated simulated distribution, and no more. Seeds by which the policy was made are refused.

How many episodes a claim takes is decided before: 299 show a rate below 1 % if none is unsafe,
1049 if at most 5 are, which a policy with a true rate of 0.3 % passes in 41 and 90 of 100
audits. uncloning evidence plan tells it for other claims.

Ctrl-C keeps the finished episodes beside the first output file; the same command with --resume
goes on, and ends with the same bytes.

Exit status: 0 done, 1 a limit of --max-umr or --min-sr is exceeded, 2 bad input.

  uncloning audit policy.onnx --against mixed.onnx --scenario knife \
      --max-umr 0.01 --min-sr 0.9 --json audit.json --html audit.html \
      --evidence policy.evidence
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import (
    add_workers,
    fraction,
    new_path,
    non_negative_float,
    positive_int,
    seed,
)
from uncloning_ros.cli.json_text import json_text
from uncloning_ros.errors import AuditError
from uncloning_ros.files import write_whole

if TYPE_CHECKING:
    from uncloning_ros.audit.audited import AuditedModel
    from uncloning_ros.audit.record.finished_episodes import FinishedEpisodes
    from uncloning_ros.audit.report.page import Strip
    from uncloning_ros.judging.episode import EpisodeResult
    from uncloning_ros.runtime.inference import OnnxPolicy
    from uncloning_ros.scenario import Scenario

# Up to 5 unsafe ones show a rate below 1 %, so that a good policy seldom fails by chance.
_EPISODES = 1049


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('model', type=Path, metavar='MODEL', help='exported policy (ONNX file)')
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--episodes', type=positive_int, default=_EPISODES, metavar='N',
                        help='how many handovers (default: %(default)s)')
    parser.add_argument('--seed', type=seed, metavar='N',
                        help='seed of the first episode, the next has the next seed '
                             '(default: derived from the digests of models and scenario)')
    parser.add_argument('--against', type=Path, action='append', default=[], metavar='MODEL',
                        help='another model, audited on the same seeds and compared in pairs; '
                             'may be given several times')
    parser.add_argument('--wrong-starts', type=positive_int, metavar='N',
                        help='also begin N episodes in each undesired mode, the tool grasped '
                             'and lifted by the scripted teacher, and count how the policy goes '
                             'on (default: none)')
    parser.add_argument('--max-umr', type=fraction, metavar='RATE',
                        help='exit with 1 if the 95 %% upper bound of the unsafe rate is above')
    parser.add_argument('--min-sr', type=fraction, metavar='RATE',
                        help='exit with 1 if the success rate is below')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--html', type=Path, metavar='FILE',
                        help='write a report with plots, pictures and films here')
    parser.add_argument('--evidence', type=Path, metavar='FILE',
                        help='write the evidence about MODEL here, for uncloning evidence and '
                             'the policy node')
    parser.add_argument('--resume', action='store_true',
                        help='go on with an audit that was stopped')
    parser.add_argument('--inference-latency', type=non_negative_float, metavar='S',
                        help='time from planning to the first command, in s (default: 0.005)')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Audit models on the same seeds; return 1 if a stated limit of the first is exceeded."""
    outputs = [path for path in (args.json, args.evidence, args.html) if path is not None]
    _require_writable(outputs, args.resume)

    from uncloning_ros.audit.evidence import evidence_document
    from uncloning_ros.audit.figures.summary import StatedLimits, audit_record
    from uncloning_ros.audit.report.terminal import table
    from uncloning_ros.audit.run.rollout import INFERENCE_LATENCY_S
    from uncloning_ros.audit.run.seeds import derived_seed, require_unseen
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.scenario import find_scenario

    latency_s = (INFERENCE_LATENCY_S if args.inference_latency is None
                 else args.inference_latency)
    limits = StatedLimits(args.max_umr, args.min_sr)
    scenario = find_scenario(args.scenario)
    paths = [args.model, *args.against]
    policies = [load_policy(path) for path in paths]
    _require_comparable(paths, policies, scenario)
    first = derived_seed(policies, scenario) if args.seed is None else args.seed
    seeds = range(first, first + args.episodes)
    for path, policy in zip(paths, policies, strict=True):
        require_unseen(path, policy, seeds)

    with _partial(outputs, policies, scenario, seeds, latency_s, args.resume) as partial:
        audited = [_audit(path, policy, scenario, seeds, args.workers, latency_s, partial)
                   for path, policy in zip(paths, policies, strict=True)]
        if args.wrong_starts is not None:
            audited = [_begun_wrong(one, path, scenario, seeds[:args.wrong_starts], args.workers,
                                    latency_s) for one, path in zip(audited, paths, strict=True)]
        record = audit_record(audited, scenario, latency_s, limits)
        texts: dict[Path, str] = {}
        if args.json is not None:
            texts[args.json] = f'{json_text(record)}\n'
        if args.evidence is not None:
            texts[args.evidence] = json_text(
                evidence_document(audited[0], scenario, latency_s, limits)) + '\n'
        if args.html is not None:
            from uncloning_ros.audit.report.page import html_report

            texts[args.html] = html_report(
                record, scenario, _strips(audited, paths, scenario, args.workers, latency_s))
        try:
            for path, text in texts.items():
                write_whole(new_path(path), text.encode())
            if partial is not None:
                partial.finish()
        finally:
            # Neither takes a full disk the figures from the screen, nor a reader who has seen
            # enough of them, as `head` does, the files.
            print(table(record))
    return 1 if record['limits']['exceeded'] else 0


def _audit(path: Path, policy: 'OnnxPolicy', scenario: 'Scenario', seeds: range, workers: int,
           latency_s: float, partial: 'FinishedEpisodes | None') -> 'AuditedModel':
    from tqdm import tqdm

    from uncloning_ros.audit.audited import AuditedModel, identity_of
    from uncloning_ros.audit.run.rollout import run_rollouts

    there = {} if partial is None else {number: result for (sha256, number), result
                                        in partial.done.items() if sha256 == policy.sha256}
    missing = [number for number in seeds if number not in there]
    unsafe = sum(result.outcome.unsafe is not None for result in there.values())
    with tqdm(total=len(seeds), initial=len(there), unit='episode',
              desc=f'audit of {path.name}') as bar:
        def tell(result: 'EpisodeResult') -> None:
            nonlocal unsafe
            if partial is not None:
                partial.add(policy.sha256, result)
            unsafe += result.outcome.unsafe is not None
            bar.set_postfix(unsafe=unsafe, refresh=False)
            bar.update()

        made = run_rollouts(path, scenario, missing, workers, latency_s, tell) if missing else []
    there |= {result.seed: result for result in made}
    return AuditedModel(identity_of(policy, path.name), tuple(there[number] for number in seeds))


def _begun_wrong(audited: 'AuditedModel', path: Path, scenario: 'Scenario', seeds: range,
                 workers: int, latency_s: float) -> 'AuditedModel':
    """Return the model with episodes that were begun in each undesired mode of the scenario."""
    from tqdm import tqdm

    from uncloning_ros.audit.run.rollout import run_wrong_starts
    from uncloning_ros.audit.run.wrong_starts import WrongStart

    starts = [WrongStart(number, mode) for mode in scenario.modes
              if mode not in audited.identity.desired_modes for number in seeds]
    if not starts:
        return audited
    with tqdm(total=len(starts), unit='episode', desc=f'{path.name} begun wrong') as bar:
        results = run_wrong_starts(path, scenario, starts, workers, latency_s, bar.update)
    by_mode: dict[str, list[EpisodeResult]] = {}
    for start, result in zip(starts, results, strict=True):
        by_mode.setdefault(start.mode, []).append(result)
    return dataclasses.replace(audited, wrong_starts={
        mode: tuple(results) for mode, results in by_mode.items()})


@contextmanager
def _partial(outputs: Sequence[Path], policies: 'Sequence[OnnxPolicy]', scenario: 'Scenario',
             seeds: range, latency_s: float, resume: bool) -> 'Iterator[FinishedEpisodes | None]':
    """Give the file of finished episodes, None where nothing is written and so nothing kept."""
    from uncloning_ros.audit.record.finished_episodes import FinishedEpisodes, finished_path
    from uncloning_ros.audit.record.provenance import machine

    if not outputs:
        yield None
        return
    setting = {'models': [policy.sha256 for policy in policies],
               'scenario_sha256': scenario.sha256, 'seed': seeds[0], 'episodes': len(seeds),
               'inference_latency_s': latency_s, 'machine': machine()}
    with FinishedEpisodes(finished_path(outputs[0]), setting, resume) as partial:
        try:
            yield partial
        except BaseException:
            total = len(seeds) * len(policies)
            if partial.done and partial.path.exists():
                print(f'\n{len(partial.done)} of {total} episodes are kept in {partial.path}; '
                      f'go on with the same command and --resume', file=sys.stderr)
            raise


def _strips(audited: 'Sequence[AuditedModel]', paths: Sequence[Path], scenario: 'Scenario',
            workers: int, latency_s: float) -> 'list[Strip]':
    """Return the pictures and films that the report shows."""
    from tqdm import tqdm

    from uncloning_ros.audit.report.page import Strip, worth_a_picture
    from uncloning_ros.audit.run.rollout import film_episodes

    chosen = worth_a_picture(audited)
    strips = []
    with tqdm(total=len(chosen), unit='episode', desc='films for the report') as bar:
        for one, path in zip(audited, paths, strict=True):
            results = [result for sha256, result in chosen if sha256 == one.identity.sha256]
            films = film_episodes(path, scenario, results, workers, latency_s, bar.update)
            strips += [Strip(one.identity.name, result, film)
                       for result, film in zip(results, films, strict=True)]
    return strips


def _require_writable(paths: Sequence[Path], resume: bool) -> None:
    """Raise before hours of simulation what would stop the result from being written."""
    for path in paths:
        new_path(path)
        if not path.parent.is_dir():
            raise AuditError(f'{path}: there is no folder {path.parent}; make it first')
    if len(paths) != len({path.absolute() for path in paths}):
        raise AuditError(f'two outputs are both named {paths[0]}; give each a name of its own')
    if resume and not paths:
        raise AuditError('--resume goes on with what lies beside --json, --evidence or --html, '
                         'but none is given; give the command that was stopped')


def _require_comparable(paths: Sequence[Path], policies: 'Sequence[OnnxPolicy]',
                        scenario: 'Scenario') -> None:
    from uncloning_ros.audit.run.rollout import require_fit

    seen: dict[str, Path] = {}
    for path, policy in zip(paths, policies, strict=True):
        require_fit(policy, path, scenario)
        if policy.sha256 in seen:
            raise AuditError(f'{seen[policy.sha256]} and {path} are the same model; give another '
                             f'one to --against')
        seen[policy.sha256] = path
        if policy.contract.interface.sha256 != policies[0].contract.interface.sha256:
            raise AuditError(f'{paths[0]} and {path} were made for different interfaces, so they '
                             f'cannot be compared; audit each on its own')
