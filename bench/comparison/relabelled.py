# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Take labels of a dataset away, or make some wrong."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from comparison.edit_rows import Labels
from uncloning_ros.contract import Contract
from uncloning_ros.demos.dataset.store import EpisodeRecord, load_dataset
from uncloning_ros.files import whole_folder, write_whole
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.opinions import opinions
from uncloning_ros.learning.uncloning import look


def kept_first(contract: Contract) -> tuple[str, ...]:
    """Return the modes of a contract, the desired ones first."""
    kept = contract.interface.desired_modes
    return (*kept, *(mode for mode in contract.interface.mode_names if mode not in kept))


def few_labels(episodes: Sequence[EpisodeRecord], modes: Sequence[str], each: int,
               seed: int) -> list[str | None]:
    """Return the modes of the episodes where only some training episodes of each mode have one."""
    rng = np.random.default_rng(seed)
    left = {int(index) for mode in modes for index in rng.permutation(
        [i for i, one in enumerate(episodes) if one.mode == mode and one.split == 'train'])[:each]}
    return [one.mode if i in left else None for i, one in enumerate(episodes)]


def wrong_labels(episodes: Sequence[EpisodeRecord], modes: Sequence[str], share: float,
                 seed: int) -> list[str | None]:
    """Return the modes of the episodes, a share of them drawn from the other modes."""
    rng = np.random.default_rng(seed)
    labels = [one.mode for one in episodes]
    for index in sorted(rng.permutation(len(labels))[:round(share * len(labels))].tolist()):
        labels[index] = str(rng.choice([one for one in modes if one != labels[index]]))
    return labels


def write_relabelled(source: Path, out: Path, labels: Labels, mixed: Path, seed: int) -> None:
    """Write the dataset `source` with other labels to the new folder `out`.

    `mixed` is the run that an edit would start from. `seed` draws the labels.
    """
    dataset, run = load_dataset(source), load_run(mixed)
    kept = dataset.contract.interface.desired_modes
    modes = kept_first(dataset.contract)
    found = (wrong_labels(dataset.episodes, modes, labels.wrong, seed) if labels.each is None else
             few_labels(dataset.episodes, modes, labels.each, seed))
    with whole_folder(out) as folder:
        for path in source.iterdir():
            (folder / path.name).symlink_to(path.resolve())
        _write_labels(folder, found)
        if labels.given:
            given = opinions(run.policy.normaliser, load_dataset(folder), modes, len(kept), seed,
                             look(run.policy, dataset)).given
            _write_labels(folder, [given.get(i, mode) for i, mode in enumerate(found)])


def _write_labels(folder: Path, labels: Sequence[str | None]) -> None:
    """Replace the modes in the dataset's description; its frames do not depend on them."""
    path = folder / 'dataset.json'
    description = json.loads(path.read_text(encoding='utf-8'))
    for episode, mode in zip(description['episodes'], labels, strict=True):
        episode.update(mode=mode, label_source=mode and 'bench')
        episode.pop('span', None)
    path.unlink()  # the link, not the file that it leads to
    write_whole(path, json.dumps(description).encode())
