# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that read bags: contract, topics, and how to cut."""

import argparse
from collections import Counter
from pathlib import Path

from uncloning_ros.cli.arguments import positive_float
from uncloning_ros.contract import load_contract
from uncloning_ros.demos.episodes.reading import CUTS, LEAST_IDLE_S, Cutting, Reading
from uncloning_ros.errors import UncloningError


def add_reading(parser: argparse.ArgumentParser, contract: str = 'contract file; ') -> None:
    """Add the options for reading bags; `contract` begins the help of --contract."""
    group = parser.add_argument_group('reading bags')
    group.add_argument('--contract', type=Path, metavar='YAML',
                       help=f'{contract}needed for bags of plain ros2 bag record')
    group.add_argument('--topic', type=topic_name, action='append', default=[],
                       metavar='KEY=TOPIC',
                       help='read an observation or action of the contract from another topic; '
                            'may be given several times')
    group.add_argument('--cut', choices=CUTS,
                       help='cut each bag into several episodes: by the messages of a topic, by '
                            'the gripper, or where the tool stands still; see uncloning dataset '
                            '--help')
    group.add_argument('--event-topic', metavar='TOPIC',
                       help=f'topic for --cut event (default: {Cutting.event_topic})')
    group.add_argument('--idle', type=positive_float, metavar='SECONDS',
                       help=f'stillness for --cut idle, at least {LEAST_IDLE_S:g} (default: '
                            f'{Cutting.idle_s:g}); choose it longer than any wait of the robot '
                            f'within an episode')


def topic_name(text: str) -> tuple[str, str]:
    """Return the key and the topic of a text 'KEY=TOPIC'."""
    key, _, topic = text.partition('=')
    if not key.strip() or not topic.strip('/ '):
        raise argparse.ArgumentTypeError(f'expected KEY=TOPIC, as in hand_pose=/tracker/hand, '
                                         f'got {text!r}')
    return key.strip(), topic.strip()


def reading_of(args: argparse.Namespace) -> Reading:
    """Return how to read bags by the options of `add_reading`; raise if they contradict."""
    contract = None if args.contract is None else load_contract(args.contract)
    twice = [key for key, n in Counter(key for key, _ in args.topic).items() if n > 1]
    if twice:
        raise UncloningError(f'--topic names {twice[0]} more than once; a signal has one topic')
    given = {}
    for option, by, name, value in (('--event-topic', 'event', 'event_topic', args.event_topic),
                                    ('--idle', 'idle', 'idle_s', args.idle)):
        if value is not None:
            given[name] = value
            if args.cut != by:
                raise UncloningError(f'{option} goes with --cut {by} alone, got '
                                     f'{"no --cut" if args.cut is None else f"--cut {args.cut}"}')
    cutting = None if args.cut is None else Cutting(args.cut, **given)
    return Reading(contract, dict(args.topic), cutting)
