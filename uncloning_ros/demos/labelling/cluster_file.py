# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters of named episodes, and their file: who names them names what was looked at.

    {"schema": "uncloning/clusters@1", "software_version": "0.1.0",
     "at": "2026-01-31T12:00:00+00:00", "interface_sha256": "...", "apart_m": 0.13,
     "clusters": [{"cluster": 0, "size": 219, "medoid": "episode_000003"}],
     "episodes": [{"name": "episode_000000", "digest": "...", "cluster": 0,
                   "confidence": 0.91},
                  {"name": "episode_000001", "digest": "...", "cluster": null,
                   "confidence": 0.0}]}

`digest` is that of the bag. A cluster of null is an outlier.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros import __version__
from uncloning_ros.demos.labelling.clusters import distances, find_clusters
from uncloning_ros.errors import DatasetError
from uncloning_ros.files import require_new, write_whole
from uncloning_ros.geometry import Array
from uncloning_ros.schema import Fields

SCHEMA = 'uncloning/clusters@1'


@dataclass(frozen=True)
class Cluster:
    """Episodes that hand over in the same way; `medoid` names the most central one."""

    cluster: int
    size: int
    medoid: str


@dataclass(frozen=True)
class Member:
    """One episode, the sha256 of its bag, and its cluster, None for an outlier."""

    name: str
    digest: str
    cluster: int | None
    confidence: float


@dataclass(frozen=True)
class Clustering:
    """What clustering found, as a file keeps it."""

    software_version: str
    at: str
    interface_sha256: str
    apart_m: float
    clusters: tuple[Cluster, ...]
    episodes: tuple[Member, ...]

    @property
    def outliers(self) -> tuple[str, ...]:
        """Return the names of the episodes that lie in no cluster."""
        return tuple(one.name for one in self.episodes if one.cluster is None)


def cluster_episodes(names: Sequence[str], digests: Sequence[str], approaches: Array,
                     ways: Array, interface_sha256: str, apart_m: float, at: str) -> Clustering:
    """Cluster episodes by their approaches (N, STEPS, 3, 3) and ways (N, WAY_STEPS, 3)."""
    found = find_clusters(distances(approaches), distances(ways), apart_m)
    members = tuple(
        Member(name, digest, None if label < 0 else int(label), round(float(confidence), 3))
        for name, digest, label, confidence
        in zip(names, digests, found.labels, found.confidence, strict=True))
    clusters = tuple(Cluster(number, int((found.labels == number).sum()), names[index])
                     for number, index in enumerate(found.medoids))
    return Clustering(__version__, at, interface_sha256, apart_m, clusters, members)


def write_clustering(path: Path, clustering: Clustering) -> None:
    """Write a clustering to a file that is not there yet."""
    data = {'schema': SCHEMA} | vars(clustering) | {
        'clusters': [vars(one) for one in clustering.clusters],
        'episodes': [vars(one) for one in clustering.episodes]}
    write_whole(require_new(path), (json.dumps(data, indent=1) + '\n').encode())


def read_clustering(path: Path) -> tuple[Clustering, str]:
    """Return a clustering and the sha256 of its file.

    Raise `DatasetError` if it is missing, damaged, of another version, or at odds with itself.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError as err:
        raise DatasetError(f'there is no {path}; make it with uncloning label --cluster, and '
                           f'look at its pictures before you name anything') from err
    except OSError as err:
        raise DatasetError(f'cannot read {path}: {err.strerror or err}') from err
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise DatasetError(f'{path} is not JSON: {err}') from err
    fields = Fields(data, str(path), DatasetError)
    fields.schema(SCHEMA)
    clusters = tuple(_cluster(item) for item in _items(fields, 'clusters'))
    episodes = tuple(_member(item) for item in _items(fields, 'episodes'))
    clustering = Clustering(fields.text('software_version'), fields.text('at'),
                            fields.text('interface_sha256'), fields.number('apart_m', 0.0),
                            clusters, episodes)
    fields.done()
    _require_consistent(path, clustering)
    return clustering, hashlib.sha256(text).hexdigest()


def _items(fields: Fields, key: str) -> list[Fields]:
    """Return the mappings in a list that may be empty."""
    if fields.has(key) and fields.plain()[key] == []:
        return []
    return fields.list_of_fields(key)


def _cluster(item: Fields) -> Cluster:
    cluster = Cluster(item.count('cluster', 0), item.count('size'), item.text('medoid'))
    item.done()
    return cluster


def _member(item: Fields) -> Member:
    outlier = item.has('cluster') and item.plain()['cluster'] is None
    member = Member(item.text('name'), item.text('digest'),
                    None if outlier else item.count('cluster', 0),
                    item.number('confidence', 0.0, 1.0))
    item.done()
    return member


def _require_consistent(path: Path, clustering: Clustering) -> None:
    """Refuse a file that counts other members than it lists, or lists an episode twice."""
    names = [one.name for one in clustering.episodes]
    listed = [one.cluster for one in clustering.episodes if one.cluster is not None]
    sizes = [(one.cluster, one.size) for one in clustering.clusters]
    if (len(set(names)) != len(names)
            or sorted(sizes) != sorted((number, listed.count(number)) for number in set(listed))):
        raise DatasetError(f'{path}: the sizes of the clusters are not those of the episodes that '
                           f'it lists; it was changed by hand, make it anew under another name')
