# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a trained or edited policy as one self-contained ONNX file.

The file holds the whole sampler, the normalisation, the contract, the records of training and
edit, and a digest of its own bytes. It is kept only if onnxruntime and torch agree to 1e-4.

With --contract the file gets the deployment part of another contract, that of your robot. RUN may
then be an exported policy: the new file has its weights. Audit it, for evidence of another
deployment part does not count.

  uncloning export runs/uncloned --out policy.onnx
  uncloning export policy.onnx --contract mine.yaml --out mine.onnx
"""

import argparse
from dataclasses import replace
from pathlib import Path

from uncloning_ros.cli.arguments import new_path, seed_range
from uncloning_ros.cli.output import print_warnings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE',
                        help='ONNX file to write')
    parser.add_argument('--contract', type=Path, metavar='FILE',
                        help='contract file whose deployment part replaces that of RUN, which may '
                             'be an exported policy then')
    parser.add_argument('--development-seeds', type=seed_range, default=(), metavar='FROM:TO',
                        help='seeds of the episodes used to choose options; the file records '
                             'them, and an audit refuses them (default: none)')


def run(args: argparse.Namespace) -> int:
    """Export one run, or one exported policy again; print size, sha256 and differences."""
    path = new_path(args.out)

    from uncloning_ros.contract import load_contract, with_deployment
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.export import export, export_again
    from uncloning_ros.runtime.doubt import unused_doubt, watch_of
    from uncloning_ros.runtime.inference import load_policy

    robot = None if args.contract is None else load_contract(args.contract)
    if robot is not None and args.run.is_file():
        policy = load_policy(args.run)
        contract = with_deployment(policy.contract, robot, str(args.run))
        watch_of(contract, policy.doubt)
        sha256 = export_again(args.run, path, contract, args.development_seeds)
        print(f'{path}: the policy of {args.run} with the deployment part of {args.contract}, '
              f'sha256 {sha256}')
        if warning := unused_doubt(contract, policy.doubt):
            print_warnings([warning])
        return 0
    run = load_run(args.run)
    if robot is not None:
        contract = with_deployment(run.config.contract, robot, str(args.run))
        run = replace(run, config=replace(run.config, contract=contract))
    watch_of(run.config.contract, None)
    done = export(run, path, args.development_seeds)
    print(f'{path}: {done.bytes / 2 ** 20:.2f} MiB, sha256 {done.sha256}\n'
          f'onnxruntime is within {done.recorded_difference:.1g} of torch on recorded inputs, '
          f'{done.random_difference:.1g} on random ones')
    return 0
