# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The clusters that `uncloning label --cluster` found, to be named by a person."""

import datetime
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from uncloning_ros import page
from uncloning_ros.demos.bags.labels import standing_label
from uncloning_ros.demos.labelling.cluster_file import Clustering, read_clustering
from uncloning_ros.demos.labelling.opinions import add_labels, by_clusters
from uncloning_ros.errors import DatasetError, UncloningError, counted
from uncloning_ros.studio.state import State


class ClusterTab:
    """The clusters in a file, which may not be there yet; `command` makes it."""

    def __init__(self, state: State, file: Path, command: str) -> None:
        self._state, self._file, self._command = state, file, command

    def sections(self, person: str) -> list[str]:
        """Return the parts of the page of a person."""
        if not self._file.exists():
            return [page.notice('There are no clusters yet. This command finds them; then reload '
                                'this page.'), f'<pre>{page.joined(self._command)}</pre>']
        clustering, sha256 = read_clustering(self._file)
        places = {ref.name: i for i, ref in enumerate(self._state.episodes)}

        def link(name: str) -> str:
            if name not in places:
                return page.joined(f'{name} (not in this folder)')
            return (f'<a href="../episode/{quote(person)}/{places[name]}">{page.joined(name)}'
                    f'</a>')
        rows = [[str(one.cluster), str(one.size), link(one.medoid),
                 page.joined(self._labelled(clustering, one.cluster)),
                 f'<select name="{one.cluster}" aria-label="mode of cluster {one.cluster}">'
                 + ''.join(f'<option value="{page.joined(mode)}">{page.joined(words)}</option>'
                           for mode, words in [('', 'no name'), *(
                               (mode, mode) for mode in self._state.contract.interface.modes)])
                 + '</select>'] for one in clustering.clusters]
        return [
            page.words('Each cluster is a way to hand over. Open the most central episode of '
                       'each, then name the clusters that are a mode.'),
            f'<form method="post"><input type="hidden" name="sha256" value="{sha256}">'
            + page.table(('cluster', 'episodes', 'most central', 'labels now', 'name'), rows)
            + '<p><button>Label the episodes of named clusters</button></p></form>',
            page.words(f'{counted(len(clustering.outliers), "episode")} in no cluster.'),
            f'<p>{", ".join(link(name) for name in clustering.outliers)}</p>']

    def save(self, form: Mapping[str, str], person: str) -> str:
        """Label the episodes of the clusters that a form names; return what was done."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        try:
            clustering, sha256 = read_clustering(self._file)
            if form.get('sha256') != sha256:
                raise DatasetError(f'{self._file} has other clusters than the page that was sent; '
                                   f'name those below')
            modes = {one.cluster: mode for one in clustering.clusters
                     if (mode := form.get(str(one.cluster)))}
            if not modes:
                return page.notice('Expected a name of a cluster at least, got none.', 'bad')
            opinions, _ = by_clusters(self._state.episodes, clustering, sha256, modes, person,
                                      now, self._state.reading)
            labelled = add_labels(opinions)
        except UncloningError as err:
            return page.notice(str(err), 'bad')
        added = Counter(one.opinion.mode for one in labelled if one.added and one.opinion.mode)
        words = ', '.join(f'{mode} {count}' for mode, count in added.items())
        return page.notice(f'{counted(added.total(), "label")} added'
                           f'{f": {words}" if words else ", they were there already"}.', 'good')

    def _labelled(self, clustering: Clustering, cluster: int) -> str:
        """Return the modes that the episodes of a cluster have now."""
        members = {one.name for one in clustering.episodes if one.cluster == cluster}
        labels = [standing_label(self._state.labels(ref)) for ref in self._state.episodes
                  if ref.name in members]
        found = Counter('none' if one is None else str(one.mode) for one in labels)
        return ', '.join(f'{mode} {count}' for mode, count in found.most_common())

