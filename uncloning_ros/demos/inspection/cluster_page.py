# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show clusters of episodes as one self-contained HTML page, for the person who names them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from uncloning_ros import page
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection import pictures
from uncloning_ros.demos.inspection.facts import Scene, scene_of
from uncloning_ros.demos.labelling.cluster_file import Cluster, Clustering
from uncloning_ros.errors import ContractError, counted


@dataclass(frozen=True)
class ClusteredEpisode:
    """The parts of one episode that its clustering and the pictures need."""

    interface_sha256: str
    planned_mode: str | None
    scene: Scene


def load_scene(ref: EpisodeRef, reading: Reading) -> ClusteredEpisode | LeftOut:
    """Read one episode, or tell why it is left out, as if object or hand were not tracked."""
    episode = ref.read_or_leave_out(reading)
    if isinstance(episode, LeftOut):
        return episode
    try:
        scene = scene_of(episode)
    except ContractError as err:
        return LeftOut(ref.name, str(err))
    return ClusteredEpisode(episode.contract.interface.sha256, episode.metadata.planned_mode,
                            scene)


def planned_modes(clustering: Clustering, episodes: Mapping[str, ClusteredEpisode],
                  cluster: int) -> str:
    """Return the planned modes of a cluster's episodes, each with its count."""
    planned = Counter(episodes[one.name].planned_mode or 'nothing' for one in clustering.episodes
                      if one.cluster == cluster)
    return ', '.join(f'{mode} {count}' for mode, count in sorted(planned.items()))


def cluster_page(title: str, clustering: Clustering, episodes: Mapping[str, ClusteredEpisode],
                 command: str) -> str:
    """Return the page; `command` names the clusters once a person has looked at it."""
    colors: dict[int | None, str] = {
        one.cluster: pictures.CLUSTERS[one.cluster % len(pictures.CLUSTERS)]
        for one in clustering.clusters}
    legend = {f'cluster {number}': color for number, color in colors.items()}
    colors[None] = pictures.UNLABELLED
    if clustering.outliers:
        legend['in no cluster'] = pictures.UNLABELLED
    shown: dict[str, list[Scene]] = {}
    for one in clustering.episodes:
        shown.setdefault(colors[one.cluster], []).append(episodes[one.name].scene)
    return page.html(f'Clusters of {title}', [
        _head(title, clustering, command),
        pictures.approaches_section('All of them', shown, legend),
        page.section(
            'Each cluster by its most central episode',
            page.words('The steps of its way grow darker. You give each cluster its name.'),
            *(_cluster(clustering, one, episodes, colors[one.cluster])
              for one in clustering.clusters)),
        page.section('In no cluster', _outliers(clustering, episodes)),
    ])


def _head(title: str, clustering: Clustering, command: str) -> str:
    todo = (page.joined('Name the clusters with', page.Html('<br>'), page.code(command))
            if clustering.clusters else
            'No way was shown often enough to make a cluster: look for them with a larger '
            '--apart, or label by hand.')
    return page.header(
        'Clusters of demonstrations', title,
        f'{counted(len(clustering.episodes), "episode")}, '
        f'{counted(len(clustering.clusters), "cluster")}, '
        f'{counted(len(clustering.outliers), "episode")} in none; ways that differ by less than '
        f'{100 * clustering.apart_m:g} cm belong together',
        page.notice(page.joined('Nothing is labelled yet. ', todo)))


def _cluster(clustering: Clustering, one: Cluster, episodes: Mapping[str, ClusteredEpisode],
             color: str) -> str:
    return (page.heading(f'Cluster {one.cluster}: {counted(one.size, "episode")}',
                         f'most central {one.medoid}; planned '
                         f'{planned_modes(clustering, episodes, one.cluster)}')
            + pictures.approach_picture(episodes[one.medoid].scene, color,
                                        f'Most central episode of cluster {one.cluster}'))


def _outliers(clustering: Clustering, episodes: Mapping[str, ClusteredEpisode]) -> str:
    if not clustering.outliers:
        return page.words('Every episode lies in a cluster.')
    return (page.words('Too few other episodes are like these. They stay without a label; look '
                       'at them one by one, and label them by hand.')
            + page.table(['episode', 'planned'],
                         [page.row(name, episodes[name].planned_mode or '')
                          for name in clustering.outliers]))
