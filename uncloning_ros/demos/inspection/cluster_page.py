# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters of episodes as one self-contained HTML page, for whoever is to name them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from uncloning_ros import page
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import EpisodeRef, Reading
from uncloning_ros.demos.inspection import pictures
from uncloning_ros.demos.inspection.facts import Scene, scene_of
from uncloning_ros.demos.labelling.cluster_file import Cluster, Clustering
from uncloning_ros.demos.labelling.clusters import approach
from uncloning_ros.errors import DatasetError, counted


@dataclass(frozen=True)
class Seen:
    """What of one episode matters to its clustering and to the pictures."""

    interface_sha256: str
    planned_mode: str | None
    scene: Scene


def see(take: Take, reading: Reading) -> Seen | LeftOut:
    """Read one episode, or say why it cannot be used.

    Raise `ContractError` if object or hand were not tracked.
    """
    try:
        if (gone := lost(take)) is not None:
            return gone
        episode: Episode = take.read(reading)
    except DatasetError as err:
        return LeftOut(take.name, str(err))
    scene = scene_of(episode)
    if scene is None:
        approach(episode)  # says what is missing
    assert scene is not None
    return Seen(episode.contract.interface.sha256, episode.metadata.planned_mode, scene)


def planned_of(clustering: Clustering, seen: Mapping[str, Seen],
               cluster: int | None) -> dict[str, int]:
    """Return how many episodes of a cluster were planned in which mode."""
    planned = Counter(seen[one.name].planned_mode or 'nothing' for one in clustering.episodes
                      if one.cluster == cluster)
    return dict(sorted(planned.items()))


def cluster_page(title: str, clustering: Clustering, seen: Mapping[str, Seen],
                 command: str) -> str:
    """Return the page; `command` names the clusters once a person has looked at it."""
    colors = {one.cluster: pictures.CLUSTERS[one.cluster % len(pictures.CLUSTERS)]
              for one in clustering.clusters}
    shown: dict[str, list[Scene]] = {}
    for one in clustering.episodes:
        color = pictures.UNLABELLED if one.cluster is None else colors[one.cluster]
        shown.setdefault(color, []).append(seen[one.name].scene)
    used = {f'cluster {number}': color for number, color in colors.items()}
    if clustering.outliers:
        used['in no cluster'] = pictures.UNLABELLED
    key = pictures.legend(used)
    sections = [
        _head(title, clustering, command),
        page.section(
            'All of them', key,
            page.words(pictures.APPROACHES_SAY),
            pictures.approaches_picture(shown, 'Ways of the objects to the hand')),
        page.section(
            'Each cluster by its most central episode',
            page.words('Its steps grow darker. What a cluster is called, you say.'),
            *(_cluster(clustering, one, seen, colors[one.cluster])
              for one in clustering.clusters)),
        page.section('In no cluster', _outliers(clustering, seen)),
    ]
    return page.html(f'Clusters of {title}', sections)


def _head(title: str, clustering: Clustering, command: str) -> str:
    todo = (f'Name the clusters with<br><code>{escape(command)}</code>' if clustering.clusters else
            'No way was shown often enough to make a cluster: look for them with a larger '
            '--apart, or label by hand.')
    return (f'<header><p class="kicker">Clusters of demonstrations</p><h1>{escape(title)}</h1>'
            f'<p class="sub">{counted(len(clustering.episodes), "episode")}, '
            f'{counted(len(clustering.clusters), "cluster")}, '
            f'{counted(len(clustering.outliers), "episode")} in none; ways that differ by less '
            f'than {100 * clustering.apart_m:g} cm belong together</p>'
            f'<p class="limit">Nothing is labelled yet. {todo}</p></header>')


def _cluster(clustering: Clustering, one: Cluster, seen: Mapping[str, Seen], color: str) -> str:
    planned = ', '.join(f'{mode} {n}' for mode, n in
                        planned_of(clustering, seen, one.cluster).items())
    return (f'<h3>Cluster {one.cluster}: {counted(one.size, "episode")} '
            f'<span class="dim">most central {escape(one.medoid)}; planned '
            f'{escape(planned)}</span></h3>'
            + pictures.approach_picture(seen[one.medoid].scene, color,
                                        f'Most central episode of cluster {one.cluster}'))


def _outliers(clustering: Clustering, seen: Mapping[str, Seen]) -> str:
    if not clustering.outliers:
        return page.words('Every episode lies in a cluster.')
    rows = [[escape(name), escape(seen[name].planned_mode or '')]
            for name in clustering.outliers]
    return (page.words('These are like too few others. They stay without a label; look at them '
                       'one by one, and label them by hand.')
            + page.table(['episode', 'planned'], rows))
