# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Remove undesired modes from the weights of a trained policy.

A mode classifier learns to read the mode from what the policy predicts; then a few hundred
steps move the weights so that on demonstrations of the removed modes it reads a kept mode,
while demonstrations of the kept modes hold everything else in place. The result is a run like
the one it came from: same network, same normaliser, other weights.

With --gamma 0 nothing is redirected: that is the filtered fine-tune, a reference that an edit
has to beat.

  uncloning unclone runs/mixed --data data/ --remove blade_first \
      --out runs/uncloned
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncloning_ros.cli.arguments import (
    available_cores,
    fraction,
    names,
    new_path,
    non_negative_float,
    positive_float,
    positive_int,
    seed,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='dataset with demonstrations of kept and removed modes')
    parser.add_argument('--remove', required=True, type=names, metavar='MODE[,MODE]',
                        help='modes to remove; all others in the dataset are kept')
    parser.add_argument('--out', required=True, type=Path, metavar='RUN',
                        help='folder of the edited run')
    parser.add_argument('--gamma', type=non_negative_float, default=0.02, metavar='WEIGHT',
                        help='weight of the redirect loss (default: %(default)s); 0 is the '
                             'filtered fine-tune')
    parser.add_argument('--tau', type=fraction, default=0.5, metavar='P',
                        help='a sample is redirected while its own mode is given a probability '
                             'below this (default: %(default)s)')
    parser.add_argument('--steps', type=positive_int, default=450, metavar='N',
                        help='updates of the network (default: %(default)s)')
    parser.add_argument('--batch-size', type=positive_int, default=256, metavar='N',
                        help='windows of each loss in one update (default: %(default)s)')
    parser.add_argument('--lr', type=positive_float, default=1e-4, metavar='RATE',
                        help='first learning rate; it falls as a cosine (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=0, metavar='N',
                        help='seed of classifier, batches and noise (default: %(default)s)')
    parser.add_argument('--threads', type=positive_int, default=available_cores(), metavar='N',
                        help='threads of torch (default: %(default)s); an edit repeats exactly '
                             'with the same number')


def run(args: argparse.Namespace) -> int:
    """Edit one run and print what the edit did."""
    out = new_path(args.out)
    new_path(out.with_name(out.name + '.partial'))

    from uncloning_ros.demos.dataset import load_dataset
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.uncloning import EditOptions, unclone, warnings_of

    report = unclone(load_run(args.run), load_dataset(args.data), out, EditOptions(
        args.remove, args.gamma, args.tau, args.steps, args.batch_size, args.lr, args.seed,
        args.threads))
    print('\n'.join(_lines(out, report)))
    for warning in warnings_of(report):
        print(f'warning: {warning}')
    return 0


def _lines(out: Path, report: Mapping[str, Any]) -> list[str]:
    """Return the report as lines of at most 80 columns, the folder's name apart."""
    edit, loss = report['edit'], report['retained_loss']
    lines = [f'{out}: removed {", ".join(edit["remove"])}; kept {", ".join(report["kept"])}',
             f'edit            {report["stopped"]}, {report["elapsed_s"]:.1f} s']
    if loss['before'] is not None:
        change = 100 * (loss['after'] / loss['before'] - 1)
        lines.append(f'retained loss   {loss["before"]:.4f} before, {loss["after"]:.4f} after '
                     f'({change:+.1f} %) on {loss["windows"]} held-out windows')
    seen = report['classifier']
    if seen is None:
        return [*lines, 'redirect        none (gamma 0): a filtered fine-tune']
    first, last = report['curve'][0], report['curve'][-1]
    lines += [
        f'redirect loss   {first["redirect"]:.3f} at step {first["step"]}, '
        f'{last["redirect"]:.3f} at step {last["step"]} (gamma {edit["gamma"]:g})',
        f'classifier      {_percent(seen["accuracy"])} % right on held-out windows, '
        f'{seen["steps"]} steps, {seen["elapsed_s"]:.1f} s',
        '',
        'noise level     ' + ''.join(f'{(i + 1) / 10:6.1f}' for i in range(10)),
        'gate open, %    ' + _row(report['gate']['open_by_level']),
        'classifier, %   ' + _row(seen['accuracy_by_level']),
    ]
    return lines


def _row(values: list[float | None]) -> str:
    return ''.join(f'{_percent(value):>6}' for value in values)


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'
