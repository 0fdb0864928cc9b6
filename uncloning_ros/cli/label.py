# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Say which mode each episode shows: by hand, by a geometric rule, or by clustering.

Labels lie beside the bags, one small JSON file for each episode. A label is never
changed or removed, a newer one is added. What an operator said outranks the rule,
and the rule outranks a cluster.

By hand; --none withdraws what operators said of an episode, so that the next
opinion counts again:

  uncloning label demos/ --episode episode_000003 episode_000007 \
      --mode blade_first --operator anna
  uncloning label demos/ --episode episode_000003 --none --operator anna

By the rule of a scenario; where it abstains the episode is counted and listed:

  uncloning label demos/ --rule --scenario knife

By clustering, which needs no rule and nothing but tracked poses of object and
hand. It writes clusters.json and clusters.html and labels nothing. Look at the
page, then say what each cluster shows; outliers stay without a label:

  uncloning label demos/ --cluster
  uncloning label demos/ --name-cluster 0=handle_first 1=blade_first
"""

import argparse
import datetime
import shlex
import textwrap
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from uncloning_ros.cli.arguments import (
    add_reading,
    add_workers,
    fraction,
    positive_float,
    reading_of,
)
from uncloning_ros.errors import BagError, DatasetError, UncloningError, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.takes import Found, Reading, Take
    from uncloning_ros.demos.labelling.opinions import Given

_Out = TypeVar('_Out')

_SHOWN = 10  # episodes of one kind that are named
_WAYS = ('episode', 'rule', 'cluster', 'name_cluster')
# Option -> the ways of labelling that it belongs to.
_BELONGS = {'mode': ('episode',), 'none': ('episode',), 'confidence': ('episode',),
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
    """Return a person's name, blanks between its words only."""
    words = ' '.join(text.split())
    if not words or not words.isprintable():
        raise argparse.ArgumentTypeError(f'expected a name, got {text!r}')
    return words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder of episodes (bags)')
    parser.add_argument('--episode', nargs='+', action='extend', metavar='NAME',
                        help='label these episodes by hand, with --operator and --mode or --none')
    parser.add_argument('--rule', action='store_true', default=None,
                        help='label every episode by the rule of --scenario')
    parser.add_argument('--cluster', action='store_true', default=None,
                        help='find clusters of episodes that hand over in the same way')
    parser.add_argument('--name-cluster', nargs='+', action='extend', type=cluster_name,
                        metavar='NUMBER=MODE', help='label the episodes of clusters')
    parser.add_argument('--mode', metavar='MODE', help='the mode that the episodes show')
    parser.add_argument('--none', action='store_true', default=None,
                        help='withdraw what operators said of the episodes')
    parser.add_argument('--operator', type=person, metavar='NAME',
                        help='who says so; with --name-cluster it may be left out')
    parser.add_argument('--confidence', type=fraction, metavar='SHARE',
                        help='how sure the operator is, 0 to 1 (default: 1)')
    parser.add_argument('--scenario', metavar='NAME',
                        help='shipped scenario, or the path of a .yaml file')
    parser.add_argument('--apart', type=positive_float, metavar='METRES',
                        help='ways to the hand that differ by less belong together (default: '
                             '0.13)')
    parser.add_argument('--clusters', type=Path, metavar='FILE',
                        help='file of the clusters, beside which the page lies (default: '
                             'FOLDER/clusters.json)')
    add_reading(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Label, or find clusters, and tell what became of every episode."""
    from uncloning_ros.demos.episodes.takes import find_takes, overlooked

    way = _way(args)
    reading = reading_of(args)
    found = find_takes([args.folder], reading, args.workers)
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    if way == 'cluster':
        return _cluster(args, found, reading, at)
    if way == 'episode':
        print(_by_hand(args, found.takes, reading, at))
    elif way == 'rule':
        print(_by_rule(args, found, reading, at))
    else:
        print(_by_cluster(args, found.takes, reading, at))
    for sentence in overlooked(found.takes):
        print(_warning(sentence))
    return 0


def _way(args: argparse.Namespace) -> str:
    """Return how to label; refuse an option that would have no effect, or one that is missing."""
    given = [way for way in _WAYS if getattr(args, way) is not None]
    if len(given) != 1:
        raise UncloningError(f'say how to label, with one of {_options(_WAYS)}; got '
                             f'{_options(given) or "none of them"}')
    way = given[0]
    for option, ways in _BELONGS.items():
        if getattr(args, option) is not None and way not in ways:
            raise UncloningError(f'--{option} goes with {_options(ways)}, not with '
                                 f'{_options([way])}')
    if way == 'episode' and args.operator is None:
        raise UncloningError('nobody can be asked about a label without a name; say who gives it '
                             'with --operator NAME')
    if way == 'episode' and (args.mode is None) == (args.none is None):
        raise UncloningError('say what the episodes show with --mode MODE, or withdraw what was '
                             'said with --none, one of the two')
    if way == 'rule' and args.scenario is None:
        raise UncloningError('say by the rule of which scenario, as in --scenario knife')
    return way


def _options(names: 'Sequence[str]') -> str:
    """Return options as they are typed."""
    return ', '.join(f'--{name.replace("_", "-")}' for name in names)


def _by_hand(args: argparse.Namespace, takes: 'Sequence[Take]', reading: 'Reading',
             at: str) -> str:
    from uncloning_ros.demos.bags.labels import Label
    from uncloning_ros.demos.labelling.opinions import by_hand, give, named_takes

    if args.none and args.confidence is not None:
        raise UncloningError('--confidence goes with --mode, not with --none')
    sure = 0.0 if args.none else 1.0 if args.confidence is None else args.confidence
    label = Label(args.mode, 'operator', sure, at, args.operator)
    given = give([by_hand(take, label, reading) for take in named_takes(takes, args.episode)])
    lines = []
    for one in given[:_SHOWN]:
        now = 'no label counts now' if one.standing is None else (
            f'{one.standing.mode} counts now, by {one.standing.source}')
        said = 'withdrawn' if args.none else 'added' if one.added else 'there already'
        lines.append(f'{one.name}: {said}; {now}')
    return '\n'.join(lines + _more(len(given)))


def _by_rule(args: argparse.Namespace, found: 'Found', reading: 'Reading', at: str) -> str:
    from uncloning_ros.demos.labelling.opinions import by_rule, give
    from uncloning_ros.scenario import find_scenario

    job = partial(by_rule, scenario=find_scenario(args.scenario), reading=reading, at=at)
    opinions, left_out = _each(job, args, found, 'labelling')
    return '\n'.join([summary(give(opinions), 'the rule abstains'), *_left_out(left_out)])


def _each(job: 'Callable[[Take], _Out | LeftOut]', args: argparse.Namespace, found: 'Found',
          what: str) -> 'tuple[list[_Out], list[LeftOut]]':
    """Return what became of every episode, and what had to be left out, each with its reason."""
    from tqdm import tqdm

    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.takes import no_episode
    from uncloning_ros.processes import in_order

    looks = [*tqdm(in_order(job, found.takes, args.workers, what, BagError),
                   desc='reading episodes', unit='episode', total=len(found.takes))]
    left_out = [*found.left_out, *(one for one in looks if isinstance(one, LeftOut))]
    usable = [one for one in looks if not isinstance(one, LeftOut)]
    if not usable:
        raise DatasetError(no_episode([args.folder], (), left_out))
    return usable, left_out


def _left_out(left_out: 'list[LeftOut]') -> list[str]:
    return _listed(f'left out {len(left_out)}', [f'{one.name}: {one.reason}' for one in left_out])


def _warning(sentence: str) -> str:
    return textwrap.fill(f'warning: {sentence}', 80, subsequent_indent='  ',
                         break_long_words=False, break_on_hyphens=False)


def _cluster(args: argparse.Namespace, there: 'Found', reading: 'Reading', at: str) -> int:
    import numpy as np

    from uncloning_ros.demos.episodes.takes import digests_of
    from uncloning_ros.demos.inspection.cluster_page import cluster_page, planned_of, see
    from uncloning_ros.demos.labelling.cluster_file import cluster_episodes, write_clustering
    from uncloning_ros.demos.labelling.clusters import APART_M
    from uncloning_ros.files import require_new, write_whole

    file, html = _cluster_files(args)
    require_new(file)
    require_new(html)
    looks, left_out = _each(partial(see, reading=reading), args, there, 'clustering')
    gone = {one.name for one in left_out}
    takes = [take for take in there.takes if take.name not in gone]
    names = [take.name for take in takes]
    for name, look in zip(names, looks, strict=True):
        if look.interface_sha256 != looks[0].interface_sha256:
            raise DatasetError(f'{name} has another interface than {names[0]}; cluster episodes '
                               f'of one interface at a time')
    found = cluster_episodes(names, digests_of(takes),
                             np.stack([look.scene.approach for look in looks]),
                             np.stack([look.scene.way for look in looks]),
                             looks[0].interface_sha256, args.apart or APART_M, at)
    seen = dict(zip(names, looks, strict=True))
    naming = ' '.join(f'{one.cluster}=MODE' for one in found.clusters)
    where = '' if args.clusters is None else f' --clusters {shlex.quote(str(args.clusters))}'
    command = (f'uncloning label {shlex.quote(str(args.folder))} --name-cluster {naming}{where}')
    write_whole(html, cluster_page(args.folder.resolve().name, found, seen, command).encode())
    try:
        write_clustering(file, found)
    except BaseException:
        html.unlink()
        raise
    print(f'{"cluster":<8} {"episodes":>8} {"share":>6}  {"most central":<18} planned')
    for one in found.clusters:
        planned = ', '.join(f'{mode} {n}' for mode, n in
                            planned_of(found, seen, one.cluster).items())
        print(f'{one.cluster:<8} {one.size:>8} {one.size / len(names):>6.0%}  {one.medoid:<18} '
              f'{planned}')
    for line in (*_listed(f'{len(found.outliers)} in no cluster', found.outliers),
                 *_left_out(left_out)):
        print(line)
    print(f'wrote {file} and {html}')
    print(f'nothing is labelled yet; look at the page, then name each cluster:\n  {command}'
          if found.clusters else
          f'no way was shown often enough to make a cluster; try more than --apart '
          f'{found.apart_m:g}, or label by hand')
    return 0


def _by_cluster(args: argparse.Namespace, takes: 'Sequence[Take]', reading: 'Reading',
                at: str) -> str:
    from uncloning_ros.demos.labelling.cluster_file import read_clustering
    from uncloning_ros.demos.labelling.opinions import by_clusters, give

    twice = [number for number, n in Counter(one for one, _ in args.name_cluster).items() if n > 1]
    if twice:
        raise UncloningError(f'--name-cluster names cluster {twice[0]} more than once; a cluster '
                             f'has one mode')
    clustering, sha256 = read_clustering(_cluster_files(args)[0])
    opinions, gone = by_clusters(takes, clustering, sha256[:12], dict(args.name_cluster),
                                 args.operator or '', at, reading)
    text = summary(give(opinions), 'not in a cluster that got a name')
    new = sorted({take.name for take in takes} - {one.name for one in clustering.episodes})
    lines = _listed(f'{len(new)} were not there when the clusters were found', new)
    lines += _listed(f'{len(gone)} of the clusters are no longer there', gone)
    return '\n'.join([text, *lines])


def _cluster_files(args: argparse.Namespace) -> tuple[Path, Path]:
    """Return where the clusters and their page lie; never inside a bag."""
    from uncloning_ros.demos.bags.info import is_bag

    folder: Path = args.folder
    place = (folder.with_name(f'{folder.name}.clusters.json') if is_bag(folder)
             else folder / 'clusters.json')
    file: Path = args.clusters or place
    if file.suffix != '.json':
        raise UncloningError(f'expected a file that ends in .json for --clusters, got {file}')
    return file, file.with_suffix('.html')


def summary(given: 'list[Given]', without: str) -> str:
    """Return what became of many episodes, in at most 80 columns; `without` a mode there is why.

    First the counts by mode, then who got none, then where opinions differ.
    """
    counts = Counter(one.opinion.mode for one in given if one.opinion.mode is not None)
    lines = [f'{"mode":<20} {"episodes":>8}']
    lines += [f'{mode:<20} {n:>8}' for mode, n in sorted(counts.items())]
    added = sum(one.added for one in given if one.opinion.mode is not None)
    withdrawn = [one.name for one in given if one.added and one.opinion.mode is None]
    lines.append(f'{counted(added, "label")} added, {counts.total() - added} there already')
    lines += _listed(f'{len(withdrawn)} withdrawn', withdrawn)
    reasons: dict[str, list[str]] = {}
    for one in given:
        if one.opinion.mode is None:
            reasons.setdefault(one.opinion.reason, []).append(one.name)
    lines += _listed(f'{len(given) - counts.total()} {without}',
                     [f'{len(names)}: {reason} ({", ".join(names[:_SHOWN])}'
                      f'{" ..." if len(names) > _SHOWN else ""})'
                      for reason, names in reasons.items()])
    differ = [f'{one.name}: {said}, labelled {one.opinion.mode}' for one in given
              if one.opinion.mode is not None and (said := _otherwise(one))]
    lines += _listed(f'{len(differ)} of another opinion', differ)
    return '\n'.join(lines)


def _otherwise(one: 'Given') -> str:
    """Return who is of another opinion: a source that outranks the new label, or the plan."""
    mode = one.opinion.mode
    if one.standing is not None and one.standing.mode != mode:
        return f'{one.standing.source} {one.standing.by} said {one.standing.mode}, which counts'
    planned = one.opinion.planned_mode
    return f'planned {planned}' if planned not in (None, mode) else ''


def _listed(head: str, items: 'list[str] | tuple[str, ...]') -> list[str]:
    """Return a heading with the first items below it; nothing if there is none."""
    if not items:
        return []
    lines = [textwrap.fill(item, 80, initial_indent='  ', subsequent_indent='    ',
                           break_long_words=False, break_on_hyphens=False)
             for item in items[:_SHOWN]]
    return [f'{head}:', *lines, *_more(len(items))]


def _more(count: int) -> list[str]:
    return [f'  ... and {count - _SHOWN} more'] if count > _SHOWN else []
