# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep clusters of episodes in a file, so that a person names the clusters that were shown.

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
from typing import Annotated, ClassVar

from uncloning_ros import __version__
from uncloning_ros.demos.labelling.clusters import distances, find_clusters
from uncloning_ros.errors import DatasetError
from uncloning_ros.files import parse_json, read_bytes, require_new, write_whole
from uncloning_ros.geometry import Array
from uncloning_ros.schema import Count, Note, Positive, Range, Rate, plain, read


@dataclass(frozen=True)
class Cluster:
    """Episodes that hand over in the same way; `medoid` names the most central one."""

    cluster: Count
    size: Positive
    medoid: str


@dataclass(frozen=True)
class Member:
    """One episode, the sha256 of its bag, and its cluster, None for an outlier."""

    name: str
    digest: str
    cluster: Count | None
    confidence: Rate


@dataclass(frozen=True)
class Clustering:
    """The clusters of named episodes, as a file keeps them."""

    SCHEMAS: ClassVar = ('uncloning/clusters@1',)
    software_version: str
    at: str
    interface_sha256: str
    apart_m: Annotated[float, Range(0.0)]
    clusters: Annotated[tuple[Cluster, ...], Note.MAY_BE_EMPTY]
    episodes: Annotated[tuple[Member, ...], Note.MAY_BE_EMPTY]

    def __post_init__(self) -> None:
        names = [one.name for one in self.episodes]
        listed = [one.cluster for one in self.episodes if one.cluster is not None]
        sizes = [(one.cluster, one.size) for one in self.clusters]
        if (len(set(names)) != len(names) or sorted(sizes)
                != sorted((number, listed.count(number)) for number in set(listed))):
            raise DatasetError('the sizes of the clusters are not those of the episodes that it '
                               'lists; it was changed by hand, cluster again under another name')

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
    write_whole(require_new(path), (json.dumps(plain(clustering), indent=1) + '\n').encode())


def read_clustering(path: Path) -> tuple[Clustering, str]:
    """Return a clustering and the sha256 of its file.

    Raise `DatasetError` if it is missing, damaged, of another version, or at odds with itself.
    """
    data = read_bytes(path, DatasetError, 'make it with uncloning label --cluster, and look at '
                                          'its page before you name a cluster')
    clustering = read(Clustering, parse_json(data, path, DatasetError), str(path), DatasetError)
    return clustering, hashlib.sha256(data).hexdigest()
