# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label episodes: by hand, by the geometric rule, or by named clusters.

An opinion is formed for every episode, and every sidecar is read, before the first label is
written: one refusal keeps all labels as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uncloning_ros.contract import Interface
from uncloning_ros.demos.bags.labels import (
    Label,
    add_label,
    newest_label,
    standing_label,
)
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import EpisodeRef, digests_of
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.labelling.cluster_file import Clustering
from uncloning_ros.demos.labelling.rule import label_of_rule, rule_label
from uncloning_ros.errors import BagError, ContractError, DatasetError, near_miss
from uncloning_ros.scenario import Scenario


@dataclass(frozen=True)
class Opinion:
    """The label that an episode is to get; `reason` tells why it has no mode.

    A label without a mode withdraws the last label of its source; None changes nothing.
    """

    ref: EpisodeRef
    interface: Interface
    planned_mode: str | None
    label: Label | None
    reason: str = ''

    @property
    def mode(self) -> str | None:
        """Return the mode, None if there is none."""
        return None if self.label is None else self.label.mode


@dataclass(frozen=True)
class Labelled:
    """One episode after labelling: whether a label was added, and the label that counts now.

    Nothing is added where the same label stood already, or there was none to withdraw.
    """

    opinion: Opinion
    added: bool
    standing: Label | None

    @property
    def name(self) -> str:
        """Return the name of the episode."""
        return self.opinion.ref.labelled_path.name


def named_episodes(episodes: Sequence[EpisodeRef], names: Sequence[str]) -> list[EpisodeRef]:
    """Return the episodes of these names, each once, in the order of the names.

    A name may come with the folder before it, as a shell completes it. Raise `BagError` for one
    that is not there, suggesting the near miss.
    """
    known = {one.name: one for one in episodes}
    paths = {one.labelled_path.resolve(): one for one in episodes}
    found = {}
    for text in names:
        ref = known.get(text) or paths.get(Path(text).resolve())
        if ref is None:
            raise BagError(f'no episode {text!r} among the {len(episodes)}'
                           f'{near_miss(text, known)}; give names of episodes in the folder')
        found[ref.name] = ref
    return list(found.values())


def by_hand(ref: EpisodeRef, label: Label, reading: Reading) -> Opinion:
    """Return a person's opinion on one episode, checked against its contract alone."""
    interface = ref.interface(reading)
    if label.mode is not None:
        interface.require_modes([label.mode])
    elif newest_label(ref.labels(interface), label.source) is None:
        raise BagError(f'{ref.name} has no label of an operator that could be withdrawn')
    return Opinion(ref, interface, None, label)


def by_rule(ref: EpisodeRef, scenario: Scenario, reading: Reading, at: str) -> Opinion | LeftOut:
    """Return the geometric rule's opinion on one episode, or why the episode is left out."""
    episode = ref.read_or_leave_out(reading)
    if isinstance(episode, LeftOut):
        return episode
    found = rule_label(episode.contract, scenario, episode)
    return Opinion(ref, episode.contract.interface, episode.metadata.planned_mode,
                   label_of_rule(found, scenario, at), found.reason)


def by_clusters(episodes: Sequence[EpisodeRef], clustering: Clustering, file_sha256: str,
                modes: Mapping[int, str], operator: str, at: str,
                reading: Reading) -> tuple[list[Opinion], list[str]]:
    """Return the opinions that named clusters give, and the episodes that are no longer there.

    `modes` are the names that `operator` ('' if unknown) gave the clusters by number. The labels
    tell the cluster, the first 12 digits of its file's sha256, and the operator. Outliers, and
    episodes whose cluster has no name here, lose the labels of clusters in other files. Raise
    `DatasetError` for a cluster that is not there, and for an episode that changed since.
    """
    sizes = {one.cluster: one.size for one in clustering.clusters}
    for number in modes:
        if number not in sizes:
            there = ', '.join(map(str, sizes)) or 'none'
            raise DatasetError(f'no cluster {number}; clusters: {there}')
    known = {one.name: one for one in episodes}
    members = [one for one in clustering.episodes if one.name in known]
    if not members:
        raise DatasetError(f'none of the {len(clustering.episodes)} clustered episodes was found; '
                           f'give the folder that was clustered, cut in the same way')
    refs = [known[one.name] for one in members]
    interface = refs[0].interface(reading)
    if interface.sha256 != clustering.interface_sha256:
        raise ContractError(f'{refs[0].name} has another interface than the episodes that were '
                            f'clustered; cluster them again under another name')
    interface.require_modes(list(modes.values()))
    file = file_sha256[:12]
    opinions = []
    for one, ref, digest in zip(members, refs, digests_of(refs), strict=True):
        if digest != one.digest:
            raise DatasetError(f'{ref.name} is another recording than the one that was '
                               f'clustered; cluster the episodes again under another name')
        mode = None if one.cluster is None else modes.get(one.cluster)
        by = f'cluster {one.cluster} of {file}' + (f', named by {operator}' if operator else '')
        label: Label | None = Label(mode, 'cluster', one.confidence if mode else 0.0, at, by)
        reason = ''
        if mode is None:
            reason = ('it lies in no cluster' if one.cluster is None
                      else f'cluster {one.cluster} got no name')
            before = newest_label(ref.labels(interface), 'cluster')
            if before is None or file in before.by:
                label = None
        opinions.append(Opinion(ref, interface, None, label, reason))
    return opinions, [one.name for one in clustering.episodes if one.name not in known]


def add_labels(opinions: Sequence[Opinion]) -> list[Labelled]:
    """Add the labels of opinions, once every sidecar was read without a fault."""
    known = [one.ref.labels(one.interface) for one in opinions]
    labelled = []
    for one, labels in zip(opinions, known, strict=True):
        added = one.label is not None and _is_news(one.label, labels)
        if one.label is not None and added:
            add_label(one.ref.labelled_path, one.label, one.interface, one.ref.span_ns)
            labels = (*labels, one.label)
        labelled.append(Labelled(one, added, standing_label(labels)))
    return labelled


def _is_news(label: Label, known: Sequence[Label]) -> bool:
    """Tell whether a label differs from the last one of its source."""
    before = newest_label(known, label.source)
    return before is not None if label.mode is None else not label.says_the_same(before)
