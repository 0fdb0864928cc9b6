# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inspect a session of demonstrations before you train on it.

Prints a table of the modes, with number and length of their episodes and the sources of their
labels; a table of the observations and actions, with their rates and longest gaps; and warnings.
It warns of a mode with few demonstrations, of a mode shown on one side of the arm only, of
episodes that a dataset leaves out, of labels that differ or are missing, and of each finding in
the recorder's verdict.

  uncloning inspect demos/
  uncloning inspect demos/ --html page.html --json session.json
"""

import argparse
import json
import statistics
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, new_path
from uncloning_ros.cli.output import each_usable, listed, print_warnings
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.errors import UncloningError, counted

if TYPE_CHECKING:

    from uncloning_ros.demos.inspection.facts import EpisodeFacts
    from uncloning_ros.demos.inspection.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    parser.add_argument('--html', type=new_path, metavar='FILE',
                        help='write a page with pictures to this file')
    parser.add_argument('--json', type=new_path, metavar='FILE',
                        help='write the facts and warnings to this file, as JSON')
    add_reading(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Read every episode, write the files, print the tables and the warnings."""
    from dataclasses import replace

    from uncloning_ros.demos.bags.decoding import with_topics
    from uncloning_ros.demos.episodes.find import find_episodes, first_contract, stray_labels
    from uncloning_ros.demos.inspection.facts import facts_of
    from uncloning_ros.demos.inspection.session import Session, record_of, warnings_of
    from uncloning_ros.demos.inspection.session_page import session_page
    from uncloning_ros.files import write_whole

    if args.html is not None and args.html == args.json:
        raise UncloningError(f'--html and --json both name {args.html}; give two files')
    reading = reading_of(args)
    contract = with_topics(first_contract([args.folder], reading.contract), reading.topics)
    reading = replace(reading, contract=contract)
    listing = find_episodes([args.folder], reading, args.workers)
    episodes, unreadable = each_usable(partial(facts_of, reading=reading), args.folder, listing,
                                       args.workers, 'the inspection')
    session = Session(args.folder.resolve().name, contract, tuple(episodes), tuple(unreadable),
                      listing.unfinished)
    warnings = [*warnings_of(session), *stray_labels(listing.episodes)]
    if args.json is not None:
        record = json.dumps(record_of(session, warnings), indent=1, allow_nan=False)
        write_whole(args.json, (record + '\n').encode())
    if args.html is not None:
        write_whole(args.html, session_page(session, warnings).encode())
    print(summary(session))
    print_warnings(warnings)
    for file in filter(None, (args.json, args.html)):
        print(f'wrote {file}')
    return 0


def summary(session: 'Session') -> str:
    """Return modes, streams and cameras of a session as tables of at most 80 columns."""
    return '\n'.join([*_modes(session), '', *_streams(session), *_cameras(session)])


def _modes(session: 'Session') -> list[str]:
    lines = [f'{"mode":<30} {"episodes":>8} {"share":>6} {"length s: least":>16} {"median":>7} '
             f'{"most":>7}']
    modes = session.contract.interface.modes
    for mode in (*modes, None, 'all'):
        found = session.episodes if mode == 'all' else session.of_mode(mode)
        if not found and mode is None:
            continue
        name = 'without a label' if mode is None else mode + (' *' if modes.get(mode) else '')
        share = f'{len(found) / len(session.episodes):.0%}' if session.episodes else ''
        lines.append(f'{name:<30.30} {len(found):>8} {share:>6} {_lengths(found)}'.rstrip())
    sources = Counter(one.label.source for one in session.episodes if one.label is not None)
    by = ', '.join(f'{source} {n}' for source, n in sources.items())
    lines.append(f'* desired; labels by {by or "-"}')
    parts = [f'{one.name}: {one.label.mode} {one.label.span}' for one in session.episodes
             if one.label is not None and one.label.has_span]
    corrections = [f'{one.name}: from {one.correction_s[0]:.1f} to {one.correction_s[1]:.1f} s'
                   for one in session.episodes if one.correction_s is not None]
    return [*lines, *listed(f'{counted(len(parts), "label")} for a part of the episode', parts),
            *listed(f'{counted(len(corrections), "correction")}, in which a person took the arm '
                    f'over from a policy', corrections)]


def _lengths(found: 'tuple[EpisodeFacts, ...]') -> str:
    lengths = [one.length_s for one in found]
    if not lengths:
        return ''
    return f'{min(lengths):>16.1f} {statistics.median(lengths):>7.1f} {max(lengths):>7.1f}'


def _streams(session: 'Session') -> list[str]:
    from uncloning_ros.demos.inspection.session import stream_figures

    lines = [f'{"stream":<20} {"topic":<26} {"median Hz":>9} {"least":>6} {"longest gap":>15}']
    for one in stream_figures(session):
        worst = one.worst
        gap = f'{worst.longest_gap_s:.2f}' + (
            f' (max {worst.allowed_s:g})' if worst.longest_gap_s > worst.allowed_s else '')
        topic = one.topic if len(one.topic) <= 26 else f'...{one.topic[-23:]}'
        lines.append(f'{one.key:<20.20} {topic:<26} {one.median_hz:>9.1f} {one.least_hz:>6.1f} '
                     f'{gap:>15}')
    return lines


def _cameras(session: 'Session') -> list[str]:
    lines = ['', f'{"camera":<20} {"its pictures":>14} {"seen part":>23} {"as":>20}']
    for signal in session.contract.interface.cameras:
        view = signal.view
        left, top, *size = view.crop
        camera, part, seen = (f'{width} x {height}' for width, height in
                              (view.camera_size, size, view.size))
        lines.append(f'{signal.key:<20.20} {camera:>14} {f"{part} at {left}, {top}":>23} '
                     f'{f"{seen} {view.encoding}":>20}')
    return lines if len(lines) > 2 else []
