# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clone a policy from a dataset.

Trains one network on all windows, or with --only-modes on those of some modes: windows outside of
the span of a label, and episodes without a label, belong to no mode. On the kept modes alone this
gives the filtered retrain, with which an edit is compared. Ctrl-C saves the run; the same
command with --resume goes on to exactly the weights of a run that was not interrupted.

  uncloning train data/ --out runs/mixed
  uncloning train data/ --out runs/retrained --only-modes handle_first

The classes of policies differ in their loss, and in the way from observation and noise to the
actions:

    regression    squared error: the mean of the demonstrations
    mixture       likelihood of Gaussians, of which the noise picks one
    categorical   cross entropy of motions, of which the noise picks one
    flow          flow matching: the noise becomes the motion step by step
    plan          mode and key poses first, then a flow that follows them
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from uncloning_ros.cli.arguments import names, new_path
from uncloning_ros.cli.optimisation import add_optimisation, default_threads, given
from uncloning_ros.cli.output import print_warnings
from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning.options import (
    CAMERA_TRAINING,
    NETWORK,
    POLICY_KINDS,
    TRAINING,
    TrainingOptions,
)

_STOPPED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command; an option that is not given is None."""
    parser.add_argument('data', type=Path, metavar='DATA', help='folder made by uncloning dataset')
    parser.add_argument('--out', required=True, type=Path, metavar='RUN',
                        help='folder of the training run')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the run in --out, with the options it was begun with')
    parser.add_argument('--only-modes', type=names, metavar='MODE[,MODE]',
                        help='train on the windows of these modes alone (default: all)')
    parser.add_argument('--policy', choices=POLICY_KINDS,
                        help=f'class of the policy (default: {NETWORK.kind})')
    add_optimisation(parser, TRAINING, 'with cameras', CAMERA_TRAINING)


def run(args: argparse.Namespace) -> int:
    """Train a new run, or go on with one; return 0, or 130 if Ctrl-C stopped it."""
    options = given(args, TrainingOptions)
    if not args.resume:
        new_path(args.out)

    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning import checkpoint, cloning

    dataset = load_dataset(args.data)
    if args.resume:
        config = cloning.config_to_resume(args.out, dataset, options, args.policy)
    else:
        defaults = CAMERA_TRAINING if dataset.pictures else TRAINING
        config = cloning.new_config(
            dataset, replace(defaults, **{'threads': default_threads(dataset.contract)} | options),
            replace(NETWORK, kind=args.policy or NETWORK.kind))
        args.out.mkdir(parents=True)
        checkpoint.write_config(args.out, config)

    if without := cloning.left_out(dataset, config):
        print_warnings([without])
    go_on = f'go on with:\n  uncloning train {args.data} --out {args.out} --resume'
    try:
        result = cloning.train(dataset, args.out, config)
    except CheckpointError:
        if not args.resume:  # a loss that is not finite: the same run would meet it again
            shutil.rmtree(args.out)
        raise
    except KeyboardInterrupt:
        print(f'stopped before it was saved again; {go_on}')
        return _STOPPED
    if not result.ended:
        print(f'stopped after step {result.steps} of {config.training.steps}; {go_on}')
        return _STOPPED
    loss = result.validation_loss
    print(f'{args.out}: {result.steps} steps in {result.elapsed_s:.0f} s, '
          f'{1e3 * result.elapsed_s / result.steps:.1f} ms each; '
          + ('no episode held out' if loss is None else f'validation loss {loss:.4f}'))
    return 0
