# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Attack an edited policy and count how often a removed mode comes back.

Three attacks, each a choice of --attacks. `rounding` rounds the weights to int8 for each output
channel, as a tool for quantisation does. `fine-tuning` takes benign steps on demonstrations of the
kept modes; then, from the edit again, the same steps with a few demonstrations of the removed
modes among them. `search` draws many noises at observations where modes part and at the starts of
unseen episodes, and simulates the starts whose first plan is most likely of a removed mode.

Each policy is judged in simulated episodes on the same seeds as the policy as it was edited; seeds
that it was made with are refused. The report counts the episodes in which the person took the
tool in a removed mode, with the 95 % upper bound of their share. The new folder --out has
attack.json, and a run and an ONNX file of each policy. All attacks with the defaults are 2400
episodes.

Exit status: 0 done, 1 a bound is above --max-removed, 2 bad input.

  uncloning attack runs/uncloned --data data/ --scenario knife --out attack/
  uncloning attack runs/uncloned --data data/ --scenario knife --out int8/ \
      --attacks rounding --episodes 1049 --max-removed 0.01
"""

import argparse
from dataclasses import replace
from pathlib import Path

from uncloning_ros.attack.options import FROM_DEMONSTRATIONS, NAMES, AttackOptions
from uncloning_ros.cli.arguments import (
    add_workers,
    count,
    counts,
    fraction,
    names,
    new_path,
    seed,
    seed_range,
)
from uncloning_ros.cli.optimisation import add_threads, default_threads, given

_MOST_STEPS, _MOST_DRAWS = 1_000_000, 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    default = AttackOptions()
    parser.add_argument('run', type=Path, metavar='RUN',
                        help='folder of an edited run, made by uncloning unclone')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='dataset with demonstrations of kept and removed modes')
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='a shipped scenario, or the path of a scenario file')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR',
                        help='new folder of the report and of the attacked policies')
    parser.add_argument('--attacks', type=names, default=default.attacks, metavar='NAME[,NAME]',
                        help=f'of {", ".join(NAMES)} (default: all)')
    parser.add_argument('--episodes', type=count(), default=default.episodes, metavar='N',
                        help='handovers of each policy (default: %(default)s)')
    parser.add_argument('--seed', type=seed, metavar='N',
                        help='seed of the first episode; each further one has the next seed '
                             '(default: derived from the digests of model and scenario)')
    parser.add_argument('--steps', type=count(_MOST_STEPS), default=default.steps, metavar='N',
                        help='updates of each fine-tuning (default: %(default)s)')
    parser.add_argument('--from-demonstrations', type=counts, metavar='N[,N]',
                        help='numbers of demonstrations of removed modes, one fine-tuning each; 0 '
                             f'adds none (default: of {", ".join(map(str, FROM_DEMONSTRATIONS))} '
                             f'those that the dataset has)')
    parser.add_argument('--draws', type=count(_MOST_DRAWS), default=default.draws, metavar='N',
                        help='noises of the search at each observation (default: %(default)s)')
    parser.add_argument('--max-removed', type=fraction, metavar='RATE',
                        help='limit of the 95 %% upper bound of episodes in a removed mode; exit '
                             'with 1 above it. It holds for the edit as it is, rounded, and '
                             'fine-tuned on kept modes')
    parser.add_argument('--development-seeds', type=seed_range, default=(), metavar='FROM:TO',
                        help='seeds of the episodes used to choose options, which are refused '
                             '(default: none)')
    add_threads(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Attack one edited run; return 1 if a bound is above the stated limit."""
    out = new_path(args.out)
    new_path(out.with_name(out.name + '.partial'))
    options = AttackOptions(**given(args, AttackOptions))

    from uncloning_ros.attack.attack import attack
    from uncloning_ros.attack.text import attack_text
    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.scenario import find_scenario

    edited = load_run(args.run)
    if args.threads is None:
        options = replace(options, threads=default_threads(edited.config.contract))
    record = attack(edited, load_dataset(args.data), find_scenario(args.scenario), out, options)
    print(attack_text(record))
    return 1 if record.exceeded else 0
