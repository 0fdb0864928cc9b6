# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label the episodes of a folder: by hand, by the geometric rule, or by named clusters.

An opinion is formed for every episode, and every sidecar is read, before the first label is
written: what is refused is refused as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.contract import Contract, Interface
from uncloning_ros.demos.bag import Episode, list_episodes
from uncloning_ros.demos.bag_reader import episode_digest, read_episode
from uncloning_ros.demos.cluster_file import Clustering
from uncloning_ros.demos.labels import (
    Label,
    add_label,
    newest_label,
    read_labels,
    standing_label,
)
from uncloning_ros.demos.mode_rule import label_of_rule, rule_label
from uncloning_ros.errors import BagError, ContractError, DatasetError, near_miss
from uncloning_ros.scenario import Scenario


@dataclass(frozen=True)
class Opinion:
    """The label that an episode is to get; one without a mode withdraws, `reason` tells why."""

    path: Path
    interface: Interface
    planned_mode: str | None
    label: Label
    reason: str = ''


@dataclass(frozen=True)
class Given:
    """What became of an opinion: whether a label was added, and the label that counts now.

    Nothing is added where the same opinion stood already, or there was nothing to withdraw.
    """

    opinion: Opinion
    added: bool
    standing: Label | None

    @property
    def name(self) -> str:
        """Return the name of the episode."""
        return self.opinion.path.name


def find_episodes(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the named episodes of a folder, each once, in the order of the names.

    A name may come with the folder before it, as a shell completes it. Raise `BagError` for one
    that is not there, suggesting the near miss.
    """
    known = {path.name: path for path in list_episodes(folder)}
    found = {}
    for text in names:
        path = Path(text)
        elsewhere = path.parent != Path() and path.parent.resolve() != folder.resolve()
        if elsewhere or path.name not in known:
            # Of many episodes only one that is written alike is worth telling.
            hint = near_miss(path.name, known) if len(known) < 10 or not elsewhere else ''
            raise BagError(f'{folder} has no episode {text!r}'
                           f'{hint if "did you mean" in hint else ""}; it has {len(known)} '
                           f'episodes')
        found[path.name] = known[path.name]
    return list(found.values())


def by_hand(path: Path, label: Label, contract: Contract | None) -> Opinion:
    """Return a person's opinion on one episode, checked against its contract."""
    episode = read_episode(path, contract)
    if label.mode is not None:
        episode.contract.interface.require_modes([label.mode])
    elif newest_label(read_labels(path, episode.contract.interface), label.source) is None:
        raise BagError(f'{path.name} has no label of an operator that could be withdrawn')
    return _opinion(path, episode, label)


def by_rule(path: Path, scenario: Scenario, contract: Contract | None, at: str) -> Opinion:
    """Return the geometric rule's opinion on one episode."""
    episode = read_episode(path, contract)
    found = rule_label(episode.contract, scenario, episode)
    return _opinion(path, episode, label_of_rule(found, scenario, at), found.reason)


def by_clusters(folder: Path, clustering: Clustering, named: Mapping[int, str], by: str, at: str,
                contract: Contract | None) -> tuple[list[Opinion], list[str]]:
    """Return the opinions that named clusters give, and the episodes that are no longer there.

    `by` tells whose clusters these are. Outliers, and episodes of clusters without a name, get
    an opinion without a mode: it withdraws what an earlier naming said. Raise `DatasetError` for
    a cluster that is not there, and for a bag that changed since it was clustered.
    """
    sizes = {one.cluster: one.size for one in clustering.clusters}
    for number in named:
        if number not in sizes:
            there = ', '.join(map(str, sizes)) or 'none'
            raise DatasetError(f'there is no cluster {number}; clusters: {there}')
    paths = {path.name: path for path in list_episodes(folder)}
    here = [one for one in clustering.episodes if one.name in paths]
    if not here:
        raise DatasetError(f'none of the {len(clustering.episodes)} clustered episodes is in '
                           f'{folder}; give the folder that was clustered')
    interface = read_episode(paths[here[0].name], contract).contract.interface
    if interface.sha256 != clustering.interface_sha256:
        raise ContractError(f'{folder}: the episodes were clustered for another interface; '
                            f'cluster them anew under another name')
    interface.require_modes(list(named.values()))
    opinions = []
    for one in here:
        path, mode = paths[one.name], None if one.cluster is None else named.get(one.cluster)
        if episode_digest(path) != one.digest:
            raise DatasetError(f'{path} is another bag than the one that was clustered; cluster '
                               f'the episodes anew under another name')
        if one.cluster is None:
            reason = 'it lies in no cluster'
        else:
            reason = '' if mode else f'cluster {one.cluster} has no name'
        whose = f'cluster {one.cluster} of {by}' if mode else by
        label = Label(mode, 'cluster', one.confidence if mode else 0.0, at, whose)
        opinions.append(Opinion(path, interface, None, label, reason))
    return opinions, [one.name for one in clustering.episodes if one.name not in paths]


def give(opinions: Sequence[Opinion]) -> list[Given]:
    """Add the labels, once every sidecar was read without a fault; say what became of each."""
    known = [read_labels(one.path, one.interface) for one in opinions]
    given = []
    for one, labels in zip(opinions, known, strict=True):
        before = newest_label(labels, one.label.source)
        added = (before is not None if one.label.mode is None
                 else not one.label.says_the_same(before))
        if added:
            add_label(one.path, one.label, one.interface)
            labels = (*labels, one.label)
        given.append(Given(one, added, standing_label(labels)))
    return given


def _opinion(path: Path, episode: Episode, label: Label, reason: str = '') -> Opinion:
    return Opinion(path, episode.contract.interface, episode.metadata.planned_mode,
                   label, reason)
