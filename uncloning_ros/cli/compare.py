# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask people which of two handovers is better, on a page in the browser.

The page shows two recorded handovers side by side in 3D. Keys answer: left, right, equal (down),
cannot tell (up). Another page asks of one handover whether it is good or bad. Every answer is in
the file at once, with rater and time. From the answers of all raters follows a reward over
geometric features, with its uncertainty; the next pair is the one that tells most about it.

  uncloning compare demos/ --scenario knife --rater Anna
  uncloning compare demos/ --scenario knife --host 0.0.0.0
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers
from uncloning_ros.cli.output import each_usable, listed, print_warnings
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.cli.serving import add_serving, opened, serve
from uncloning_ros.errors import BagError, DatasetError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncloning_ros.demos.bags.answers import Answer
    from uncloning_ros.preferences.scene import Handover


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    parser.add_argument('--scenario', required=True, metavar='NAME',
                        help='shipped scenario, or the path of a .yaml file: it has the tool')
    parser.add_argument('--rater', default='', metavar='NAME',
                        help='name or pseudonym of the one who answers (default: the page asks)')
    parser.add_argument('--answers', type=Path, metavar='FILE',
                        help='file of the answers (default: preferences.json in FOLDER)')
    add_serving(parser)
    add_reading(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Read the episodes, then serve the pages until Ctrl-C."""
    from uncloning_ros.demos.bags.answers import answers_path, read_answers, require_rater
    from uncloning_ros.demos.bags.layout import list_episodes
    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.find import EpisodeRef, digests_of, find_episodes
    from uncloning_ros.files import disk_errors, require_folder
    from uncloning_ros.preferences.features import other_tool
    from uncloning_ros.preferences.pages import ComparePages
    from uncloning_ros.preferences.scene import handover_of
    from uncloning_ros.scenario import find_scenario

    scenario, reading = find_scenario(args.scenario), reading_of(args)
    if args.rater:
        require_rater(args.rater)
    listing = find_episodes([args.folder], reading, args.workers)
    path = args.answers or answers_path(args.folder)
    require_folder(path.parent, f'cannot write {path}', DatasetError, 'give --answers FILE')
    read_answers(path)
    pages: list[ComparePages] = []  # made after the port is ours, which takes no time
    server = opened(lambda request: pages[0](request), args)
    handovers, left_out = each_usable(
        partial(handover_of, reading=reading, scenario=scenario), args.folder, listing,
        args.workers, 'the comparison')
    for line in listed(f'{counted(len(left_out), "episode")} cannot be compared',
                       [f'{one.name}: {one.reason}' for one in left_out]):
        print(line)
    if len(handovers) < 2:
        raise DatasetError(f'expected at least two handovers to compare, got {len(handovers)}; '
                           f'record more')
    digests = {ref.name: digest for ref, digest in
               zip(listing.episodes, digests_of(listing.episodes), strict=True)}

    def tell(one: 'Answer') -> None:
        print(f'{one.rater}: {one.sentence}', flush=True)

    # With the time, for the name of a take that was undone may be given again.
    known = {one.path: one.path.stat().st_mtime_ns for one in listing.episodes}
    unusable = {one.name for one in listing.left_out}

    def changed() -> 'Iterator[tuple[str, tuple[Handover, str] | None]]':
        """Yield what was recorded or moved away since the last call, if bags are not cut."""
        if reading.cutting is not None:
            return
        with disk_errors(f'cannot read {args.folder}', BagError):
            bags = {bag: bag.stat().st_mtime_ns for bag in list_episodes(args.folder)}
        for bag in [bag for bag in known if not bag.exists()]:
            del known[bag]
            yield bag.name, None
        for bag in sorted(bag for bag in bags if known.get(bag) != bags[bag]):
            known[bag] = bags[bag]
            if bag.name in unusable:
                continue
            ref = EpisodeRef(bag, bag.name)
            found = handover_of(ref, reading, scenario)
            if isinstance(found, LeftOut):
                print(f'{found.name} cannot be compared: {found.reason}', flush=True)
                yield ref.name, None
            else:
                yield ref.name, (found, digests_of([ref])[0])

    pages.append(ComparePages(handovers, digests, scenario, path, args.rater, tell, changed))
    print(f'{counted(len(handovers), "handover")}, '
          f'{counted(len(pages[0].judged().answers), "answer")} in {path}', flush=True)
    modes = next(ref for ref in listing.episodes
                 if ref.name == handovers[0].name).interface(reading).mode_names
    print_warnings([*pages[0].gone(), *other_tool(modes, scenario)])
    serve(server)
    return 0
