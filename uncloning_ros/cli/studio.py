# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""See and label episodes on pages in the browser.

One tab lists the episodes: all, those without a label, those that a person should look at. An
episode is shown in 3D and with its pictures; digits label it and go on to the next one. Other tabs
name the clusters that uncloning label --cluster found, and show the warnings of uncloning inspect.
Every label goes into the sidecar beside its bag, as from uncloning label; several people may label
at the same time.

  uncloning studio demos/ --scenario knife
  uncloning studio demos/ --person anna --host 0.0.0.0
  uncloning studio demos/ --doubted runs/uncloned/report.json
"""

import argparse
import shlex
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from uncloning_ros.cli.arguments import add_workers
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.cli.serving import add_serving, opened
from uncloning_ros.errors import BagError, DatasetError, counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    parser.add_argument('--scenario', metavar='NAME',
                        help='shipped scenario, or the path of a .yaml file, whose tool is drawn '
                             '(default: arm and hand alone)')
    parser.add_argument('--person', default='', metavar='NAME',
                        help='name or pseudonym that stands in the labels (default: the page '
                             'asks)')
    parser.add_argument('--clusters', type=Path, metavar='FILE',
                        help='file of the clusters (default: clusters.json in FOLDER)')
    parser.add_argument('--doubted', type=Path, metavar='FILE',
                        help='report.json of an edit: labels that its classifier doubted are '
                             'shown as those to look at')
    add_serving(parser)
    add_reading(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the pages until Ctrl-C; meanwhile read the episodes."""
    from dataclasses import replace

    from uncloning_ros.cli.label import cluster_files
    from uncloning_ros.demos.bags.answers import require_rater
    from uncloning_ros.demos.bags.decoding import with_topics
    from uncloning_ros.demos.episodes.find import find_episodes, first_contract
    from uncloning_ros.demos.inspection.facts import facts_of
    from uncloning_ros.processes import in_order
    from uncloning_ros.progress import progress_bar
    from uncloning_ros.scenario import find_scenario
    from uncloning_ros.studio.cluster_tab import ClusterTab
    from uncloning_ros.studio.pages import StudioPages
    from uncloning_ros.studio.state import State

    if args.person:
        require_rater(args.person)
    reading = reading_of(args)
    contract = with_topics(first_contract([args.folder], reading.contract), reading.topics)
    reading = replace(reading, contract=contract)
    listing = find_episodes([args.folder], reading, args.workers)
    state = State(args.folder.resolve().name, listing, reading, _doubted(args.doubted))
    scenario = None if args.scenario is None else find_scenario(args.scenario)
    command = f'uncloning label {shlex.quote(str(args.folder))} --cluster'
    pages = StudioPages(state, ClusterTab(state, cluster_files(args)[0], command), scenario)
    server = opened(pages, args)
    own = f'list/{quote(args.person)}' if args.person else ''
    print(f'{counted(len(listing.episodes), "episode")} in {args.folder}\n'
          f'open {server.address}{own}' + (f'\nother people open {server.address}' if own else ''),
          flush=True)
    # Ctrl-C arrives in the main thread, where it stops the reading too.
    serving = Thread(target=server.run, daemon=True)
    serving.start()
    try:
        with progress_bar('reading episodes', len(listing.episodes)) as bar:
            for facts in in_order(partial(facts_of, reading=reading), listing.episodes,
                                  args.workers, 'the studio', BagError):
                state.add(facts)
                bar.update()
        serving.join()
    finally:
        server.shutdown()
        serving.join()
    return 0


def _doubted(report: Path | None) -> dict[str, str]:
    """Return by name why an edit doubted a label."""
    from uncloning_ros.files import read_json

    if report is None:
        return {}
    found = read_json(report, DatasetError, 'give the report.json in the folder of an edited run')
    labels = found.get('labels') if isinstance(found, dict) else None
    if not isinstance(labels, dict) or not isinstance(labels.get('doubted'), list):
        raise DatasetError(f'{report}: expected the report of an edit with labels, got another '
                           f'file; give the report.json in the folder of an edited run')
    return {one['episode']: f'an edit saw {one["seen"]} in it ({one["probability"]:.0%} sure)'
            for one in labels['doubted']}
