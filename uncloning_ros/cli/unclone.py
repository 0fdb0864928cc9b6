# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Remove undesired modes from the weights of a trained policy.

A mode classifier learns to read the mode from what the policy predicts. Then a few hundred steps
move the weights. Demonstrations of the kept modes hold what the policy can do; where they are few,
copies of them help, with tool and hand moved to other places. Where removed modes were
demonstrated and it is torn, the policy is taught its own plans of a kept mode. The result is a
run like the one it came from: same network, same normaliser, other weights.

  uncloning unclone runs/mixed --data data/ --remove blade_first \
      --out runs/uncloned

Other methods, to compare with: `redirect` is the published one (Wang et al. 2026), `fine-tune`
the filtered fine-tune on demonstrations of kept modes alone.
"""

import argparse
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncloning_ros.cli.arguments import (
    available_cores,
    fraction,
    names,
    new_path,
    positive_float,
    positive_int,
    seed,
    share,
)
from uncloning_ros.errors import UncloningError

if TYPE_CHECKING:
    from uncloning_ros.learning.uncloning import EditOptions

# As `learning.uncloning` has them, which imports torch: --help must not.
_METHODS = ('self-distillation', 'redirect', 'fine-tune')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='dataset with demonstrations of kept and removed modes')
    parser.add_argument('--remove', required=True, type=names, metavar='MODE[,MODE]',
                        help='modes to remove; all others in the dataset are kept')
    parser.add_argument('--out', required=True, type=Path, metavar='RUN',
                        help='folder of the edited run')
    parser.add_argument('--method', choices=_METHODS, default=_METHODS[0],
                        help='what takes the removed modes away (default: %(default)s)')
    parser.add_argument('--gamma', type=positive_float, metavar='WEIGHT',
                        help='weight of the method\'s loss (default: 0.5 of the '
                             'self-distillation, 0.02 of the redirect)')
    parser.add_argument('--tau', type=fraction, metavar='P',
                        help='of the redirect: a sample counts while its own mode is given a '
                             'probability below this (default: 0.5)')
    parser.add_argument('--retarget', type=share, metavar='SHARE',
                        help='where the kept modes together have at most 30 demonstrations '
                             'and fewer than another mode: the largest share of each batch '
                             'that is copies of theirs, with tool and hand moved to where '
                             'other demonstrations had them; 0 for none (default: 0.75 of the '
                             'self-distillation, 0 of other methods)')
    parser.add_argument('--steps', type=positive_int, default=450, metavar='N',
                        help='updates of the network (default: %(default)s)')
    parser.add_argument('--batch-size', type=positive_int, default=256, metavar='N',
                        help='windows of a loss in one update, half as many of the policy\'s own '
                             'chunks (default: %(default)s)')
    parser.add_argument('--lr', type=positive_float, default=3e-4, metavar='RATE',
                        help='first learning rate; it falls as a cosine (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=0, metavar='N',
                        help='seed of classifier, retargeting, batches and noise (default: '
                             '%(default)s)')
    parser.add_argument('--threads', type=positive_int, default=available_cores(), metavar='N',
                        help='threads of torch (default: %(default)s); an edit repeats exactly '
                             'with the same number')


def run(args: argparse.Namespace) -> int:
    """Edit one run and print what the edit did."""
    out = new_path(args.out)
    new_path(out.with_name(out.name + '.partial'))

    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.uncloning import unclone, warnings_of

    report = unclone(load_run(args.run), load_dataset(args.data), out, _options(args))
    print('\n'.join(_lines(out, report)))
    for warning in warnings_of(report):
        print(textwrap.fill(f'warning: {warning}', 80, subsequent_indent='  ',
                            break_long_words=False, break_on_hyphens=False))
    return 0


def _options(args: argparse.Namespace) -> 'EditOptions':
    """Return the options; raise for one that the method does not have."""
    from uncloning_ros.learning.uncloning import (
        FINE_TUNE,
        GAMMAS,
        REDIRECT,
        RETARGETED,
        TAU,
        EditOptions,
    )

    tau = args.tau
    if args.method == REDIRECT:
        tau = TAU if tau is None else tau
    elif tau is not None:
        raise UncloningError(f'--tau belongs to --method redirect, got it with {args.method}; '
                             f'leave it away')
    if args.method == FINE_TUNE and args.gamma is not None:
        raise UncloningError('--method fine-tune has no loss of its own that --gamma could weigh; '
                             'leave it away')
    gamma = GAMMAS[args.method] if args.gamma is None else args.gamma
    retarget = RETARGETED[args.method] if args.retarget is None else args.retarget
    return EditOptions(args.remove, args.method, gamma, tau, retarget, args.steps,
                       args.batch_size, args.lr, args.seed, args.threads)


def _lines(out: Path, report: Mapping[str, Any]) -> list[str]:
    """Return the report as lines of at most 80 columns, the folder's name apart."""
    edit, loss = report['edit'], report['retained_loss']
    lines = [f'{out}: removed {", ".join(edit["remove"])}; kept {", ".join(report["kept"])}',
             f'{edit["method"]:<19} {report["stopped"]}, {report["elapsed_s"]:.1f} s']
    if loss['before'] is not None:
        change = 100 * (loss['after'] / loss['before'] - 1)
        lines.append(f'retained loss       {loss["before"]:.4f} before, {loss["after"]:.4f} after '
                     f'({change:+.1f} %), {loss["windows"]} windows')
    bent = report['retargeted']
    if bent['episodes']:
        lines.append(f'retargeted          {_percent(bent["share"])} % of what is retained, '
                     f'{bent["episodes"]} episodes')
    seen, removal = report['classifier'], report['removal']
    if seen is None:
        return lines
    tested = ('not tested: no episode is held out' if seen['accuracy'] is None else
              f'{_percent(seen["accuracy"])} % right on held-out windows')
    lines.append(f'classifier          {tested}, {seen["steps"]} steps, '
                 f'{seen["elapsed_s"]:.1f} s')
    if seen['choice'] is not None:
        lines.append(f'  where modes part  {_percent(seen["choice"]["right"])} % right, follows a '
                     f'swapped chunk in {_percent(seen["choice"]["swapped"])} %')
    if 'looks' in removal:
        looks = removal['looks']
        steps = ''.join(f'{look["step"]:6d}' for look in looks)
        return [*lines, '', f'after step          {steps}',
                'choice, %           ' + _row([look['open'] / look['observations']
                                               for look in looks]),
                'of these torn, %    ' + _row([look['torn'] / look['open'] if look['open']
                                               else None for look in looks])]
    lines += ['', 'noise level         ' + ''.join(f'{(i + 1) / 10:6.1f}' for i in range(10)),
              'gate open, %        ' + _row(removal['open_by_level'])]
    if seen['accuracy'] is not None:
        lines.append('classifier, %       ' + _row(seen['accuracy_by_level']))
    return lines


def _row(values: list[float | None]) -> str:
    return ''.join(f'{_percent(value):>6}' for value in values)


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'
