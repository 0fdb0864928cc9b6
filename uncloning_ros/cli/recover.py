# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finish the recordings that a crash, a power cut or a full disk left unfinished.

Every NAME.partial in the folder becomes the episode NAME, with every message that was on the
disk and a last event that names the missing ones; the original then lies in recovered_from/. A
take that cannot become an episode goes to quarantine/, beside a text with the reason. Nothing is
deleted, and an episode that is being recorded now is left alone.

  uncloning recover demos/ --dry-run
  uncloning recover demos/
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('demos', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    parser.add_argument('--dry-run', action='store_true',
                        help='print the fate of each take, and change nothing')


def run(args: argparse.Namespace) -> int:
    """Recover bag after bag and print the fate of each."""
    from uncloning_ros.demos.bags.layout import list_episodes
    from uncloning_ros.demos.recording.recovery import recover

    found = False
    for outcome in recover(args.demos, args.dry_run):
        found = True
        print(f'{outcome.name} {outcome.kind}: {outcome.sentence}', flush=True)
    if not found:
        print(f'every episode of {args.demos} is finished' if list_episodes(args.demos) else
              f'{args.demos} holds no take, finished or not; give the folder in which takes lie')
    return 0
