# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label episodes: by hand, by the geometric rule, or by named clusters.

An opinion is formed for every episode, and every sidecar is read, before the first label is
written: what is refused is refused as a whole.
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
from uncloning_ros.demos.episodes.takes import Reading, Take, digests_of, lost
from uncloning_ros.demos.labelling.cluster_file import Clustering
from uncloning_ros.demos.labelling.rule import label_of_rule, rule_label
from uncloning_ros.errors import BagError, ContractError, DatasetError, near_miss
from uncloning_ros.scenario import Scenario


@dataclass(frozen=True)
class Opinion:
    """The label that an episode is to get; `reason` tells why it has no mode.

    A label without a mode withdraws what its source said before; None says nothing.
    """

    take: Take
    interface: Interface
    planned_mode: str | None
    label: Label | None
    reason: str = ''

    @property
    def mode(self) -> str | None:
        """Return the mode, None if there is none."""
        return None if self.label is None else self.label.mode


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
        return self.opinion.take.labelled_path.name


def named_takes(takes: Sequence[Take], names: Sequence[str]) -> list[Take]:
    """Return the takes of these names, each once, in the order of the names.

    A name may come with the folder before it, as a shell completes it. Raise `BagError` for one
    that is not there, suggesting the near miss.
    """
    known = {take.name: take for take in takes}
    paths = {take.labelled_path.resolve(): take for take in takes}
    found = {}
    for text in names:
        take = known.get(text) or paths.get(Path(text).resolve())
        if take is None:
            hint = near_miss(text, known)
            raise BagError(f'there is no episode {text!r} among the {len(takes)}'
                           f'{hint if "did you mean" in hint or len(known) < 10 else ""}')
        found[take.name] = take
    return list(found.values())


def by_hand(take: Take, label: Label, reading: Reading) -> Opinion:
    """Return a person's opinion on one episode, checked against its contract alone."""
    interface = take.interface(reading)
    if label.mode is not None:
        interface.require_modes([label.mode])
    elif newest_label(take.labels(interface), label.source) is None:
        raise BagError(f'{take.name} has no label of an operator that could be withdrawn')
    return Opinion(take, interface, None, label)


def by_rule(take: Take, scenario: Scenario, reading: Reading, at: str) -> Opinion | LeftOut:
    """Return the geometric rule's opinion on one episode, or why it cannot be used."""
    try:
        if (gone := lost(take)) is not None:
            return gone
        episode = take.read(reading)
    except DatasetError as err:
        return LeftOut(take.name, str(err))
    found = rule_label(episode.contract, scenario, episode)
    return Opinion(take, episode.contract.interface, episode.metadata.planned_mode,
                   label_of_rule(found, scenario, at), found.reason)


def by_clusters(takes: Sequence[Take], clustering: Clustering, clusters: str,
                named: Mapping[int, str], who: str, at: str,
                reading: Reading) -> tuple[list[Opinion], list[str]]:
    """Return the opinions that named clusters give, and the episodes that are no longer there.

    `clusters` tells which these are, `who` named them, '' if nobody told. Of outliers, and of
    episodes whose cluster got no name now, what was said from other clusters is withdrawn. Raise
    `DatasetError` for a cluster that is not there, and for an episode that changed since.
    """
    sizes = {one.cluster: one.size for one in clustering.clusters}
    for number in named:
        if number not in sizes:
            there = ', '.join(map(str, sizes)) or 'none'
            raise DatasetError(f'there is no cluster {number}; clusters: {there}')
    known = {take.name: take for take in takes}
    members = [one for one in clustering.episodes if one.name in known]
    if not members:
        raise DatasetError(f'none of the {len(clustering.episodes)} clustered episodes is there; '
                           f'give the folder that was clustered, cut in the same way')
    here = [known[one.name] for one in members]
    interface = here[0].interface(reading)
    if interface.sha256 != clustering.interface_sha256:
        raise ContractError(f'{here[0].name} has another interface than the episodes that were '
                            f'clustered; cluster them anew under another name')
    interface.require_modes(list(named.values()))
    opinions = []
    for one, take, digest in zip(members, here, digests_of(here), strict=True):
        if digest != one.digest:
            raise DatasetError(f'{take.name} is another recording than the one that was '
                               f'clustered; cluster the episodes anew under another name')
        mode = None if one.cluster is None else named.get(one.cluster)
        by = f'cluster {one.cluster} of {clusters}' + (f', named by {who}' if who else '')
        label: Label | None = Label(mode, 'cluster', one.confidence if mode else 0.0, at, by)
        reason = ''
        if mode is None:
            reason = ('it lies in no cluster' if one.cluster is None
                      else f'cluster {one.cluster} got no name')
            before = newest_label(take.labels(interface), 'cluster')
            if before is None or clusters in before.by:
                label = None
        opinions.append(Opinion(take, interface, None, label, reason))
    return opinions, [one.name for one in clustering.episodes if one.name not in known]


def give(opinions: Sequence[Opinion]) -> list[Given]:
    """Add the labels, once every sidecar was read without a fault; say what became of each."""
    known = [one.take.labels(one.interface) for one in opinions]
    given = []
    for one, labels in zip(opinions, known, strict=True):
        added = one.label is not None and _is_news(one.label, labels)
        if one.label is not None and added:
            add_label(one.take.labelled_path, one.label, one.interface, one.take.span_ns)
            labels = (*labels, one.label)
        given.append(Given(one, added, standing_label(labels)))
    return given


def _is_news(label: Label, known: Sequence[Label]) -> bool:
    """Tell whether a label says what its source did not say last."""
    before = newest_label(known, label.source)
    return before is not None if label.mode is None else not label.says_the_same(before)
