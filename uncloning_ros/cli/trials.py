# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plan trials on a robot, serve their pages, and make evidence of their results."""

import argparse
import math
import random
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import count, error_rate, fraction, new_path, seed
from uncloning_ros.cli.output import filled, print_warnings
from uncloning_ros.cli.serving import add_serving, opened, serve
from uncloning_ros.errors import TrialError, counted
from uncloning_ros.files import require_folder, whole_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncloning_ros.runtime.inference import OnnxPolicy
    from uncloning_ros.trials.results import Observed
    from uncloning_ros.trials.starts import Axis, Start

_MOST_TRIALS = 10_000


def add_plan_arguments(plan: argparse.ArgumentParser) -> None:
    """Add the arguments of trial-plan."""
    plan.add_argument('models', type=Path, nargs='+', metavar='MODEL',
                      help='exported policy; two are compared under the labels A and B')
    plan.add_argument('--trials', type=count(_MOST_TRIALS), required=True, metavar='N',
                      help='number of trials, of both models together')
    plan.add_argument('--out', type=new_path, required=True, metavar='FOLDER',
                      help='new folder for plan.json and sheet.html')
    plan.add_argument('--anytime', action='store_true',
                      help='allow to stop after any trial, with bounds that stay valid; '
                           'without it all trials are run, and bounds are tighter')
    starts = plan.add_mutually_exclusive_group(required=True)
    starts.add_argument('--starts', type=Path, metavar='FILE',
                        help='CSV file with a start in each line, dealt in random order')
    starts.add_argument('--grid', type=_grid_axis, nargs='+', metavar='NAME=FROM:TO:COUNT',
                        help='every combination of evenly spaced values, in random order')
    starts.add_argument('--draw', type=_drawn_axis, nargs='+', metavar='NAME=FROM:TO',
                        help='a random value of each quantity for each start')
    starts.add_argument('--simulated', type=Path, metavar='EVIDENCE',
                        help='starts of the episodes of this audit of the first model')
    plan.add_argument('--task', default='', metavar='TEXT',
                      help='the task in words, for sheet and pages')
    plan.add_argument('--max-umr', type=fraction, metavar='RATE',
                      help='limit of the 95 %% upper bound of the unsafe rate')
    plan.add_argument('--min-sr', type=fraction, metavar='RATE',
                      help='limit of the 95 %% lower bound of the success rate')
    plan.add_argument('--contract', type=Path, metavar='FILE',
                      help="contract with the robot's deployment part (default: the model's own)")
    plan.add_argument('--seed', type=seed, metavar='N',
                      help='seed of the starts and of the order in the blocks (default: random)')
    plan.add_argument('--blind', type=new_path, metavar='FOLDER',
                      help='with two models: new folder for A.onnx, B.onnx and key.json')
    plan.add_argument('--alpha', type=error_rate, metavar='SHARE',
                      help='with two models: chance to find a difference if there is none '
                           '(default: 0.05)')


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of serve."""
    parser.add_argument('plan', type=Path, metavar='PLAN', help='plan.json of trial-plan')
    parser.add_argument('--results', type=Path, required=True, metavar='FILE',
                        help='CSV file to write the outcomes into')
    add_serving(parser)


def add_trials_arguments(trials: argparse.ArgumentParser) -> None:
    """Add the arguments of trials."""
    trials.add_argument('results', type=Path, metavar='RESULTS', help='CSV file of outcomes')
    trials.add_argument('--plan', type=Path, required=True, metavar='PLAN',
                        help='plan.json of trial-plan')
    trials.add_argument('--model', type=Path, metavar='MODEL',
                        help='exported policy that the evidence is about')
    trials.add_argument('--key', type=Path, metavar='KEY',
                        help='with two models: key.json, to be opened at the end')
    trials.add_argument('--simulated', type=Path, metavar='EVIDENCE',
                        help='audit of MODEL, to be shown beside the trials')
    trials.add_argument('--evidence', type=new_path, metavar='FILE',
                        help='write the evidence about MODEL to this file')


def run_plan(args: argparse.Namespace) -> int:
    """Write a plan with its sheet, and the models under their labels."""
    from uncloning_ros.audit.record.json_text import json_text
    from uncloning_ros.contract import load_contract, require_same_interface
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.schema import plain
    from uncloning_ros.trials import plan as planning
    from uncloning_ros.trials.evidence import require_possible
    from uncloning_ros.trials.sheet import sheet

    two = _two_models(args)
    policies = [load_policy(path) for path in args.models]
    robot = None if args.contract is None else load_contract(args.contract)
    for path, policy in zip(args.models, policies, strict=True):
        for other in (robot or policy.contract, policies[0].contract):
            require_same_interface(other.interface, policy.contract.interface, str(path))
    models = sorted((planning.planned_model(policy, path.name, robot)
                     for path, policy in zip(args.models, policies, strict=True)),
                    key=lambda model: model.model_sha256)
    if two and models[0].model_sha256 == models[1].model_sha256:
        raise TrialError(f'expected two different models, got {models[0].model_sha256} twice; '
                         f'give another')
    key = planning.make_key(models) if two else None
    drawn_seed = secrets.randbelow(2**53) if args.seed is None else args.seed
    rng = random.Random(drawn_seed)
    starts, simulated_digest = _starts(args, policies[0], args.trials // len(models), rng)
    plan = planning.sealed(planning.TrialPlan(
        digest='', task=args.task.strip(), stopping='anytime' if args.anytime else 'fixed',
        max_umr=args.max_umr, min_sr=args.min_sr, modes=policies[0].contract.interface.modes,
        models=tuple(models), seed=drawn_seed,
        trials=planning.trials_from(starts, len(models), rng),
        alpha=(args.alpha or planning.ALPHA) if two else None,
        key_sha256=None if key is None else key.sha256, simulated_digest=simulated_digest))
    require_possible(plan)
    with whole_folder(args.out) as folder:
        (folder / 'plan.json').write_text(json_text(plain(plan)) + '\n', 'utf-8')
        (folder / 'sheet.html').write_text(sheet(plan), 'utf-8')
        if key is not None:
            with whole_folder(args.blind) as blind:
                (blind / 'key.json').write_text(json_text(plain(key)) + '\n', 'utf-8')
                paths = {policy.sha256: path
                         for path, policy in zip(args.models, policies, strict=True)}
                for label, sha256 in key.labels.items():
                    shutil.copyfile(paths[sha256], blind / f'{label}.onnx')
    print(filled(f'plan {plan.code}: {plan.ending}. Keep the code where it cannot be changed, for '
                 f'instance send it to a colleague, before the first trial.'))
    if plan.max_umr is None and plan.min_sr is None:
        print_warnings(['no limit is stated, and a policy node accepts no evidence without one; '
                        'give --max-umr'])
    return 0


def run_serve(args: argparse.Namespace) -> int:
    """Serve the pages of a plan until Ctrl-C."""
    from uncloning_ros.trials.phone import TrialPages
    from uncloning_ros.trials.plan import read_plan

    plan = read_plan(args.plan)
    require_folder(args.results.parent, f'cannot write {args.results}', TrialError)

    def tell(one: 'Observed') -> None:
        print(f'trial {one.trial}: {one.sentence}', flush=True)

    pages = TrialPages(plan, args.results, tell)
    print(f'{len(pages.found())} of {len(plan.trials)} trials are answered', flush=True)
    serve(opened(pages, args))
    return 0


def run_trials(args: argparse.Namespace) -> int:
    """Print the figures of trials, write evidence; return 1 if a stated limit is exceeded."""
    from uncloning_ros.audit.evidence import read_evidence_document
    from uncloning_ros.audit.record.json_text import json_text
    from uncloning_ros.runtime.inference import load_policy
    from uncloning_ros.schema import plain
    from uncloning_ros.trials import evidence, text
    from uncloning_ros.trials.plan import read_key, read_plan
    from uncloning_ros.trials.results import read_results, require_ended
    from uncloning_ros.trials.side_by_side import simulated_side

    plan = read_plan(args.plan)
    results = read_results(args.results, plan)
    require_ended(results, plan, args.results)
    if args.model is None:
        if args.evidence or args.key or args.simulated:
            raise TrialError('expected --model, the policy that the evidence is about, got none; '
                             'give it')
        print(text.blinded_text(plan, results))
        return 0
    policy = load_policy(args.model)
    evidence.require_planned(policy, args.model, plan)
    if (args.key is None) == (len(plan.models) == 2):
        remedy = 'give key.json of --blind' if args.key is None else 'leave it out'
        raise TrialError(f'expected --key for a plan of two models, and only then, got '
                         f'{args.key or "none"} for {len(plan.models)}; {remedy}')
    key = None if args.key is None else read_key(args.key, plan)
    simulated = None if args.simulated is None else simulated_side(
        read_evidence_document(args.simulated), args.simulated, policy.sha256, plan)
    document = evidence.observed_document(plan, results, policy.sha256, key, simulated)
    if args.evidence is not None:
        write_whole(args.evidence, f'{json_text(plain(document))}\n'.encode())
    print(text.observed_text(document))
    return 1 if document.limits.exceeded else 0


def _two_models(args: argparse.Namespace) -> bool:
    """Tell whether two models are compared; raise `TrialError` where the options do not fit."""
    two = len(args.models) == 2
    if len(args.models) > 2:
        raise TrialError(f'expected one model or two, got {len(args.models)}; compare two at a '
                         f'time')
    if two and args.trials % 2:
        raise TrialError(f'expected an even number of trials, one of each model in a block, got '
                         f'{args.trials}; give {args.trials + 1}')
    if two != (args.blind is not None) or (args.alpha is not None and not two):
        raise TrialError(f'expected --blind with two models, and --blind and --alpha only then, '
                         f'got {counted(len(args.models), "model")}; '
                         f'{"give" if two else "leave out"} {"--blind" if two else "both"}')
    out, blind = args.out.absolute(), (args.blind or args.out.parent).absolute()
    if two and (blind.is_relative_to(out) or out.is_relative_to(blind)):
        raise TrialError(f'expected --blind and --out as folders outside of each other, got '
                         f'{args.blind} and {args.out}; those who observe should not meet the key')
    return two


def _starts(args: argparse.Namespace, policy: 'OnnxPolicy', number: int,
            rng: random.Random) -> 'tuple[Sequence[Start], str | None]':
    """Return the starts, and the digest of the evidence that they are from."""
    from uncloning_ros.audit.evidence import read_evidence_document
    from uncloning_ros.trials import starts

    if args.draw:
        return starts.drawn(args.draw, number, rng), None
    if args.simulated is None:
        found = starts.listed(args.starts) if args.starts else starts.grid(args.grid)
        return starts.dealt(found, number, rng), None
    document = read_evidence_document(args.simulated)
    if document.figures.model_sha256 != policy.sha256:
        raise TrialError(f'{args.simulated}: expected evidence about {args.models[0]}, '
                         f'{policy.sha256}, got {document.figures.model_sha256}; audit this model')
    if len(document.per_seed) < number:
        raise TrialError(f'{args.simulated}: expected a simulated episode for each of {number} '
                         f'starts, got {len(document.per_seed)}; audit more, or run fewer trials')
    return starts.dealt(starts.simulated(document), number, rng), document.digest


def _grid_axis(text: str) -> 'Axis':
    return _axis(text, 'NAME=FROM:TO:COUNT', 3)


def _drawn_axis(text: str) -> 'Axis':
    return _axis(text, 'NAME=FROM:TO', 2)


def _axis(text: str, form: str, parts: int) -> 'Axis':
    from uncloning_ros.trials.starts import Axis

    name, _, values = text.partition('=')
    try:
        low, high, *rest = (float(value) for value in values.split(':'))
        number = int(rest[0]) if rest else 1
    except (ValueError, OverflowError):
        low = high = math.nan
        rest, number = [], 0
    if (not name.strip() or len(rest) != parts - 2 or not math.isfinite(high - low)
            or number < 1 or (rest and number != rest[0])):
        raise argparse.ArgumentTypeError(f'expected {form}, as in x_cm=0:40'
                                         f'{":5" if parts == 3 else ""}, got {text!r}')
    return Axis(name.strip(), low, high, number)
