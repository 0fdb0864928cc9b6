# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Label the mode of each episode: by hand, by a geometric rule, or by clusters.

A mode is a way to hand over, such as handle_first or blade_first; the contract lists them.
Labels lie beside the bags, one small JSON file for each episode. A label is never
changed or removed; a newer one is added. The label of an operator outranks the
rule's, and the rule's outranks a cluster's.

By hand; --none withdraws the operators' labels of an episode, so that the rule or
a cluster counts again:

  uncloning label demos/ --episode episode_000003 episode_000007 \
      --mode blade_first --operator anna
  uncloning label demos/ --episode episode_000003 --none --operator anna

A label may count for a part of an episode, in seconds since its first message, both
ends included. What begins outside of the part belongs to no mode:

  uncloning label demos/ --episode episode_000003 --mode blade_first \
      --from-s 0.5 --to-s 4 --operator anna

By the rule of a scenario; episodes on which the rule abstains are listed:

  uncloning label demos/ --rule --scenario knife

By clusters, which need tracked poses of object and hand but no rule. --cluster
writes clusters.json and clusters.html and labels nothing. Look at the page, then
name the mode of each cluster; episodes in no cluster stay without a label:

  uncloning label demos/ --cluster
  uncloning label demos/ --name-cluster 0=handle_first 1=blade_first
"""

import argparse
import datetime
import shlex
from collections import Counter
from functools import partial
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import (
    add_workers,
    fraction,
    new_path,
    non_negative_float,
    positive_float,
)
from uncloning_ros.cli.output import SHOWN, each_usable, filled, listed, more, print_warnings
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.demos.labelling.clusters import APART_M
from uncloning_ros.errors import UncloningError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncloning_ros.demos.bags.labels import Label
    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.find import Listing
    from uncloning_ros.demos.episodes.reading import Reading
    from uncloning_ros.demos.labelling.opinions import Labelled

_WAYS = ('episode', 'rule', 'cluster', 'name_cluster')
# Option -> the ways of labelling that it belongs to.
_BELONGS = {'mode': ('episode',), 'none': ('episode',), 'confidence': ('episode',),
            'from_s': ('episode',), 'to_s': ('episode',),
            'operator': ('episode', 'name_cluster'), 'scenario': ('rule',),
            'apart': ('cluster',), 'clusters': ('cluster', 'name_cluster')}


def cluster_name(text: str) -> tuple[int, str]:
    """Return the number and the mode of a text 'NUMBER=MODE'."""
    number, _, mode = text.partition('=')
    if not (number.isascii() and number.isdigit()) or len(number) > 9 or not mode.strip():
        raise argparse.ArgumentTypeError(f'expected NUMBER=MODE, as in 0=handle_first, got '
                                         f'{text!r}')
    return int(number), mode.strip()


def person(text: str) -> str:
    """Return a person's name, with single blanks between its words."""
    words = ' '.join(text.split())
    if not words or not words.isprintable():
        raise argparse.ArgumentTypeError(f'expected a name, got {text!r}')
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    hand = parser.add_argument_group('by hand')
    hand.add_argument('--episode', nargs='+', action='extend', metavar='NAME',
                      help='label these episodes, with --operator and --mode or --none')
    hand.add_argument('--mode', metavar='MODE', help='mode that the episodes show')
    hand.add_argument('--none', action='store_true', default=None,
                      help="withdraw the operators' labels of the episodes")
    hand.add_argument('--operator', type=person, metavar='NAME',
                      help='person who gives the labels; optional with --name-cluster')
    hand.add_argument('--confidence', type=fraction, metavar='SHARE',
                      help='confidence of the operator, 0 to 1 (default: 1)')
    hand.add_argument('--from-s', type=non_negative_float, metavar='SECONDS',
                      help='the episodes show the mode from this time on (default: from their '
                           'beginning)')
    hand.add_argument('--to-s', type=non_negative_float, metavar='SECONDS',
                      help='the episodes show the mode up to this time (default: to their end)')
    rule = parser.add_argument_group('by rule')
    rule.add_argument('--rule', action='store_true', default=None,
                      help='label every episode by the rule of --scenario')
    rule.add_argument('--scenario', metavar='NAME',
                      help='shipped scenario, or the path of a .yaml file')
    cluster = parser.add_argument_group('by clusters')
    cluster.add_argument('--cluster', action='store_true', default=None,
                         help='find clusters of episodes that hand over in the same way')
    cluster.add_argument('--apart', type=positive_float, metavar='METRES',
                         help=f'largest distance between two ways to the hand in one cluster '
                              f'(default: {APART_M:g})')
    cluster.add_argument('--name-cluster', nargs='+', action='extend', type=cluster_name,
                         metavar='NUMBER=MODE',
                         help='label the episodes of each cluster NUMBER with MODE')
    cluster.add_argument('--clusters', type=Path, metavar='FILE',
                         help='file of the clusters, with the page beside it (default: '
                              'FOLDER/clusters.json)')
    add_reading(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Label, or find clusters, and print the result for every episode."""
    from uncloning_ros.demos.episodes.find import find_episodes, stray_labels

    way = _way(args)
    if way == 'cluster':
        for file in cluster_files(args):
            new_path(file)
    reading = reading_of(args)
    listing = find_episodes([args.folder], reading, args.workers)
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    if way == 'cluster':
        print('\n'.join(_find_clusters(args, listing, reading, at)))
        return 0
    by = {'episode': _by_hand, 'rule': _by_rule, 'name_cluster': _by_clusters}[way]
    print('\n'.join(by(args, listing, reading, at)))
    print_warnings(stray_labels(listing.episodes))
    return 0


def _way(args: argparse.Namespace) -> str:
    """Return how to label; refuse an option that would have no effect, or one that is missing."""
    given = [way for way in _WAYS if getattr(args, way) is not None]
    if len(given) != 1:
        raise UncloningError(f'expected one of {_options(_WAYS)}, got '
                             f'{_options(given) or "none of them"}')
    way = given[0]
    for option, ways in _BELONGS.items():
        if getattr(args, option) is not None and way not in ways:
            raise UncloningError(f'{_options([option])} goes with {_options(ways)}, not with '
                                 f'{_options([way])}')
    if way == 'episode' and args.operator is None:
        raise UncloningError('a manual label needs its author; add --operator NAME')
    if way == 'episode' and (args.mode is None) == (args.none is None):
        raise UncloningError('expected either --mode MODE, to label the episodes, or --none, to '
                             'withdraw labels; give one of the two')
    for option in ('confidence', 'from_s', 'to_s'):
        if args.none and getattr(args, option) is not None:
            raise UncloningError(f'{_options([option])} goes with --mode, not with --none')
    if way == 'rule' and args.scenario is None:
        raise UncloningError('--rule needs the scenario that has the rule; add --scenario NAME, '
                             'as in --scenario knife')
    return way


def _options(names: 'Sequence[str]') -> str:
    """Return options as they are typed."""
    return ', '.join(f'--{name.replace("_", "-")}' for name in names)


def _by_hand(args: argparse.Namespace, listing: 'Listing', reading: 'Reading',
             at: str) -> list[str]:
    from uncloning_ros.demos.bags.labels import Label
    from uncloning_ros.demos.dataset.spans import require_windows
    from uncloning_ros.demos.labelling.opinions import add_labels, by_hand, named_episodes

    confidence = 0.0 if args.none else 1.0 if args.confidence is None else args.confidence
    label = Label(args.mode, 'operator', confidence, at, args.operator, from_s=args.from_s,
                  to_s=args.to_s)
    named = named_episodes(listing.episodes, args.episode)
    opinions = [by_hand(ref, label, reading) for ref in named]
    for ref in named if label.has_span else ():
        require_windows(ref, label, reading)
    labelled = add_labels(opinions)
    lines = []
    for one in labelled[:SHOWN]:
        now = 'no label counts now' if one.standing is None else (
            f'{one.standing.mode} counts now{_span(one.standing)}, by {one.standing.source}')
        done = 'withdrawn' if args.none else 'added' if one.added else 'there already'
        lines.append(f'{one.name}: {done}; {now}')
    return lines + more(len(labelled))


def _span(label: 'Label') -> str:
    return f' {label.span}' if label.has_span else ''


def _by_rule(args: argparse.Namespace, listing: 'Listing', reading: 'Reading',
             at: str) -> list[str]:
    from uncloning_ros.contract import HAND_KEY, OBJECT_KEY
    from uncloning_ros.demos.labelling.opinions import add_labels, by_rule
    from uncloning_ros.scenario import find_scenario

    task = partial(by_rule, scenario=find_scenario(args.scenario), reading=reading, at=at)
    opinions, left_out = each_usable(task, args.folder, listing, args.workers, 'labelling')
    tracked = any({OBJECT_KEY, HAND_KEY} <= {*one.interface.observation_slices}
                  for one in opinions)
    unfit = [] if any(one.mode for one in opinions) else [filled(
        f'warning: the rule of {args.scenario} knows none of these episodes; ' + (
            'if they show another task, name its scenario with --scenario' if tracked else
            'it needs the poses of tool and hand; label them by hand, with --episode'))]
    return [*summary(add_labels(opinions), 'the rule abstains'), *_left_out_lines(left_out),
            *unfit]


def _left_out_lines(left_out: 'list[LeftOut]') -> list[str]:
    return listed(f'left out {len(left_out)}', [f'{one.name}: {one.reason}' for one in left_out])


def _find_clusters(args: argparse.Namespace, listing: 'Listing', reading: 'Reading',
                   at: str) -> list[str]:
    import numpy as np

    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.find import digests_of
    from uncloning_ros.demos.inspection.cluster_page import cluster_page, load_scene, planned_modes
    from uncloning_ros.demos.labelling.cluster_file import cluster_episodes, write_clustering
    from uncloning_ros.files import write_whole

    file, html = cluster_files(args)
    found, left_out = each_usable(partial(load_scene, reading=reading), args.folder, listing,
                                  args.workers, 'clustering')
    unused = {one.name for one in left_out}
    used = [one for one in listing.episodes if one.name not in unused]
    same = [one.interface_sha256 == found[0].interface_sha256 for one in found]
    left_out += [LeftOut(ref.name, f'it has another interface than {used[0].name}; cluster '
                                   f'episodes of one interface at a time')
                 for ref, fits in zip(used, same, strict=True) if not fits]
    refs, found = [*compress(used, same)], [*compress(found, same)]
    names = [one.name for one in refs]
    scenes = dict(zip(names, found, strict=True))
    clustering = cluster_episodes(names, digests_of(refs),
                                  np.stack([one.scene.approach for one in found]),
                                  np.stack([one.scene.way for one in found]),
                                  found[0].interface_sha256, args.apart or APART_M, at)
    naming = ' '.join(f'{one.cluster}=MODE' for one in clustering.clusters)
    where = '' if args.clusters is None else f' --clusters {shlex.quote(str(args.clusters))}'
    command = f'uncloning label {shlex.quote(str(args.folder))} --name-cluster {naming}{where}'
    title = args.folder.resolve().name
    write_whole(html, cluster_page(title, clustering, scenes, command).encode())
    try:
        write_clustering(file, clustering)
    except BaseException:
        html.unlink()
        raise
    return [
        f'{"cluster":<8} {"episodes":>8} {"share":>6}  {"most central":<18} planned',
        *(f'{one.cluster:<8} {one.size:>8} {one.size / len(names):>6.0%}  {one.medoid:<18} '
          f'{planned_modes(clustering, scenes, one.cluster)}' for one in clustering.clusters),
        *listed(f'{len(clustering.outliers)} in no cluster', clustering.outliers),
        *_left_out_lines(left_out),
        f'wrote {file} and {html}',
        f'nothing is labelled yet; look at the page, then name each cluster:\n  {command}'
        if clustering.clusters else
        f'no way was shown often enough to make a cluster; try more than --apart '
        f'{clustering.apart_m:g}, or label by hand']


def _by_clusters(args: argparse.Namespace, listing: 'Listing', reading: 'Reading',
                 at: str) -> list[str]:
    from uncloning_ros.demos.labelling.cluster_file import read_clustering
    from uncloning_ros.demos.labelling.opinions import add_labels, by_clusters

    twice = [number for number, n in Counter(one for one, _ in args.name_cluster).items() if n > 1]
    if twice:
        raise UncloningError(f'--name-cluster names cluster {twice[0]} more than once; a cluster '
                             f'has one mode')
    clustering, sha256 = read_clustering(cluster_files(args)[0])
    opinions, gone = by_clusters(listing.episodes, clustering, sha256, dict(args.name_cluster),
                                 args.operator or '', at, reading)
    new = sorted({one.name for one in listing.episodes}
                 - {one.name for one in clustering.episodes})
    return [*summary(add_labels(opinions), 'not in a cluster that got a name'),
            *listed(f'{len(new)} were not there when the clusters were found', new),
            *listed(f'{len(gone)} of the clusters are no longer there', gone)]


def cluster_files(args: argparse.Namespace) -> tuple[Path, Path]:
    """Return where the clusters and their page lie; never inside a bag."""
    from uncloning_ros.demos.bags.info import is_bag

    folder: Path = args.folder
    place = (folder.with_name(f'{folder.name}.clusters.json') if is_bag(folder)
             else folder / 'clusters.json')
    file: Path = args.clusters or place
    if file.suffix != '.json':
        raise UncloningError(f'expected a file that ends in .json for --clusters, got {file}')
    return file, file.with_suffix('.html')


def summary(labelled: 'Sequence[Labelled]', without: str) -> list[str]:
    """Return lines of at most 80 columns: episodes by mode, those without one, disagreements.

    `without` tells why episodes have no mode.
    """
    counts = Counter(one.opinion.mode for one in labelled if one.opinion.mode is not None)
    lines = [f'{"mode":<20} {"episodes":>8}']
    lines += [f'{mode:<20} {n:>8}' for mode, n in sorted(counts.items())]
    added = sum(one.added for one in labelled if one.opinion.mode is not None)
    withdrawn = [one.name for one in labelled if one.added and one.opinion.mode is None]
    lines.append(f'{counted(added, "label")} added, {counts.total() - added} there already')
    lines += listed(f'{len(withdrawn)} withdrawn', withdrawn)
    reasons: dict[str, list[str]] = {}
    for one in labelled:
        if one.opinion.mode is None:
            reasons.setdefault(one.opinion.reason, []).append(one.name)
    lines += listed(f'{len(labelled) - counts.total()} {without}',
                    [f'{len(names)}: {reason} ({", ".join(names[:SHOWN])}'
                     f'{" ..." if len(names) > SHOWN else ""})'
                     for reason, names in reasons.items()])
    differ = [f'{one.name}: {said}, labelled {one.opinion.mode}' for one in labelled
              if one.opinion.mode is not None and (said := _disagreement(one))]
    return lines + listed(f'{len(differ)} of another opinion', differ)


def _disagreement(one: 'Labelled') -> str:
    """Return who disagrees: a source that outranks the new label, or the plan; '' if none."""
    mode = one.opinion.mode
    if one.standing is not None and one.standing.mode != mode:
        return f'{one.standing.source} {one.standing.by} said {one.standing.mode}, which counts'
    planned = one.opinion.planned_mode
    return f'planned {planned}' if planned not in (None, mode) else ''
