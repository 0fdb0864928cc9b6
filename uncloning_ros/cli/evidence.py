# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Show, check, merge and plan evidence: of audits, and of trials on a robot.

show prints the contents of an evidence file in words.

check computes again everything that follows from the episodes or trials in the file: each
episode's judgement, the figures, the bounds, the verdict. With --model and --scenario it also
compares digests, and simulates some episodes again, chosen by the file's digest: they must be
equal to the last bit on the same processor with the same versions. Exit status: 0 everything
holds, 1 something does not, 2 the file is damaged or is not evidence.

merge joins the shards of one audit, of uncloning audit --shard, and writes the same files as an
audit in one piece. The limits are those that the shards were run with. Exit status: 0 done, 1 a
limit is exceeded, 2 the shards are not all shards of one audit.

plan prints the number of episodes for a claim, and how likely a policy passes.

  uncloning audit policy.onnx --scenario knife --max-umr 0.01 \
      --evidence policy.evidence
  uncloning evidence show policy.evidence
  uncloning evidence check policy.evidence --model policy.onnx --episodes 20
  uncloning evidence merge shard_*.json --evidence policy.evidence
  uncloning evidence plan --max-umr 0.005

The other actions are for trials on a robot, whose outcomes people observe.

trial-plan fixes beforehand how many trials are run, from which starts, when they may end and
which limits are claimed, and writes a sheet to print. serve shows a page for each trial, to be
filled in on a telephone. trials turns the results into evidence of the kind observed.

  uncloning evidence trial-plan policy.onnx --trials 60 --max-umr 0.05 \
      --draw x_cm=30:50 y_cm=-20:20 --out lab/
  uncloning evidence serve lab/plan.json --results lab/results.csv \
      --host 0.0.0.0
  uncloning evidence trials lab/results.csv --plan lab/plan.json \
      --model policy.onnx --evidence lab.evidence
"""

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli import trials
from uncloning_ros.cli.arguments import (
    add_workers,
    count,
    fraction,
    new_path,
    require_new_files,
)
from uncloning_ros.cli.output import WIDTH
from uncloning_ros.errors import EvidenceError
from uncloning_ros.files import write_whole

if TYPE_CHECKING:
    from uncloning_ros.audit.evidence import EvidenceDocument
    from uncloning_ros.trials.evidence import ObservedDocument

_EPISODES = 10
_MOST_MODELS = 1000
_ALLOWED = (0, 1, 2, 5)
_TRUE_RATES = (0.1, 0.3, 0.5)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    show = actions.add_parser('show', help='print an evidence file in words')
    check = actions.add_parser(
        'check', help='compute the figures again, and simulate some episodes again')
    merge = actions.add_parser(
        'merge', help='join the shards of one audit, of uncloning audit --shard')
    plan = actions.add_parser('plan', help='print the number of episodes for a claim')
    trials.add_plan_arguments(actions.add_parser(
        'trial-plan', help='fix the trials of one or two models on a robot',
        usage='uncloning evidence trial-plan MODEL [MODEL] --trials N --out FOLDER\n'
              '           (--starts | --grid | --draw | --simulated) ... [options]'))
    trials.add_serve_arguments(actions.add_parser(
        'serve', help='serve a page for each trial, for a telephone'))
    trials.add_trials_arguments(actions.add_parser(
        'trials', help='turn the results of trials into evidence'))
    for action in (show, check):
        action.add_argument('file', type=Path, metavar='FILE', help='evidence file')
    check.add_argument('--model', type=Path, metavar='MODEL',
                       help='exported policy that the evidence should be about')
    check.add_argument('--partner', type=Path, metavar='MODEL',
                       help='exported policy of the arm that received, in a scenario with two')
    check.add_argument('--scenario', metavar='NAME',
                       help='scenario in which it should have been gathered')
    check.add_argument('--episodes', type=count(), default=_EPISODES, metavar='N',
                       help='number of episodes to simulate again, with --model (default: '
                            '%(default)s)')
    add_workers(check)
    merge.add_argument('shards', type=Path, nargs='+', metavar='FILE',
                       help='file of a shard; give those of all shards, in any order')
    merge.add_argument('--evidence', type=Path, metavar='FILE',
                       help='write the evidence about the first model to this file')
    merge.add_argument('--json', type=Path, metavar='FILE',
                       help='write all figures and episodes to this file')
    plan.add_argument('--max-umr', type=fraction, required=True, metavar='RATE',
                      help='the claim: the unsafe rate is below RATE')
    plan.add_argument('--models', type=count(_MOST_MODELS), default=1, metavar='N',
                      help='number of models in one claim (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Show, check or plan evidence; return 1 if evidence does not hold."""
    if args.action == 'plan':
        return _plan(args.max_umr, args.models)
    if args.action == 'merge':
        return _merge(args)
    if args.action in (actions := {'trial-plan': trials.run_plan, 'serve': trials.run_serve,
                                   'trials': trials.run_trials}):
        return actions[args.action](args)
    from uncloning_ros.audit.evidence import read_evidence_document
    from uncloning_ros.audit.report.terminal import evidence_text
    from uncloning_ros.evidence import OBSERVED_SCHEMA, read_document
    from uncloning_ros.trials.evidence import read_observed_document
    from uncloning_ros.trials.text import observed_text

    if read_document(args.file)['schema'] == OBSERVED_SCHEMA:
        observed = read_observed_document(args.file)
        if args.action == 'check':
            return _check_observed(args, observed)
        print(observed_text(observed))
        return 0
    document = read_evidence_document(args.file)
    if args.action == 'check':
        return _check(args, document)
    print(evidence_text(document))
    return 0


def _check_observed(args: argparse.Namespace, document: 'ObservedDocument') -> int:
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.trials.evidence import contradictions, foreign

    found = contradictions(document, args.file)
    done = [f'the figures and the verdict follow from the {len(document.observed)} trials',
            'the plan is as it was fixed']
    if args.scenario is not None:
        found.append(f'expected evidence gathered in {args.scenario}, got trials on a robot')
    if args.model is not None:
        found += foreign(document, load_policy(args.model), args.model)
        done.append(f'it is about {args.model}')
    status = _told(args, found, done)
    if not status:
        print('not checked: the trials, which people observed')
    return status


def _check(args: argparse.Namespace, document: 'EvidenceDocument') -> int:
    from uncloning_ros.audit.evidence import contradictions, foreign, repeated
    from uncloning_ros.progress import progress_bar
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.scenario import find_scenario

    found = contradictions(document, args.file)
    episodes = len(document.per_seed)
    done = [f'the figures and the verdict follow from the {episodes} episodes']
    if args.scenario is not None:
        expected = find_scenario(args.scenario)
        if expected.sha256 != document.scenario.sha256:
            found.append(f'scenario.sha256 is {document.scenario.sha256}, that of '
                         f'{args.scenario} is {expected.sha256}')
        done.append(f'it was gathered in {args.scenario} as it is now')
    if args.model is not None:
        policy = load_policy(args.model)
        partner = None if args.partner is None else load_policy(args.partner)
        about = foreign(document, policy, args.model, partner)
        found += about
        done.append(f'it is about {args.model} with its own deployment part')
        if not about:
            again = min(args.episodes, episodes)
            with progress_bar('simulated again', again) as bar:
                found += repeated(document, args.file, args.model, policy, again, args.workers,
                                  args.partner, lambda _: bar.update())
            done.append(f'{again} episodes came out the same again')
    return _told(args, found, done)


def _told(args: argparse.Namespace, found: list[str], done: list[str]) -> int:
    """Print the sentences of a check; return 1 if something does not hold."""
    if found:
        print(f'{args.file} does not hold:')
        for sentence in found:
            print(f'  {sentence}')
        return 1
    for sentence in done:
        print(f'ok: {sentence}')
    if args.model is None:
        print('not checked: the model that it is about (--model)')
    return 0


def _merge(args: argparse.Namespace) -> int:
    outputs = {kind: path for kind in ('evidence', 'json')
               if (path := getattr(args, kind)) is not None}
    require_new_files(list(outputs.values()))

    from uncloning_ros.audit.audit import texts
    from uncloning_ros.audit.record.audit_record import audit_record
    from uncloning_ros.audit.report.terminal import audit_text
    from uncloning_ros.audit.shards import merged

    whole = merged(args.shards)
    record = audit_record(whole.models, whole.scenario, whole.inference_latency_s, whole.limits)
    make = texts(whole.models, record, whole.scenario, whole.limits)
    for kind, path in outputs.items():
        write_whole(new_path(path), make[kind]().encode())
    print(audit_text(record))
    return 1 if record.limits.exceeded else 0


def _plan(claim: float, models: int) -> int:
    from uncloning_ros.audit.figures.sample_size import plans_table

    if not 0.0 < claim < 1.0:
        raise EvidenceError(f'expected --max-umr between 0 and 1, got {claim:g}; no number of '
                            f'episodes shows a rate of 0, and none is needed for 1')
    print(plans_table((claim,), _ALLOWED, _TRUE_RATES, 0.05 / models))
    together = f' for {models} models at once' if models > 1 else ''
    print('\n' + textwrap.fill(
        f'Episodes, by the number of unsafe ones allowed, for a 95 % upper bound below the claim'
        f'{together}. The other columns are the probability that a policy passes with that share '
        f'of the claim as its true rate. Decide before the audit, and audit once.', WIDTH))
    return 0
