# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a trained or edited policy as one self-contained ONNX file.

The file holds the whole sampler, the normalisation, the contract, the records of training and
edit, and a digest of its own bytes. It is kept only if onnxruntime and torch agree to 1e-4.

  uncloning export runs/uncloned --out policy.onnx
"""

import argparse
from pathlib import Path

from uncloning_ros.cli.arguments import new_path, seed_range


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE',
                        help='ONNX file to write')
    parser.add_argument('--development-seeds', type=seed_range, default=(), metavar='FROM:TO',
                        help='seeds of the episodes used to choose options; the file records '
                             'them, and an audit refuses them (default: none)')


def run(args: argparse.Namespace) -> int:
    """Export one run and print size, sha256 and differences."""
    path = new_path(args.out)

    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.export import export

    done = export(load_run(args.run), path, args.development_seeds)
    print(f'{path}: {done.bytes / 2 ** 20:.2f} MiB, sha256 {done.sha256}\n'
          f'onnxruntime is within {done.recorded_difference:.1g} of torch on recorded inputs, '
          f'{done.random_difference:.1g} on random ones')
    return 0
