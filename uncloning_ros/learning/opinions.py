# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Have a classifier judge the mode of each demonstration: of those without a label, and of labels.

The classifier reads the mode from condition and demonstrated chunk. An episode is judged by
classifiers that never saw it (cross-fitting), by the geometric mean of the probabilities that
they give to a mode over its windows. It is sure of a mode from a probability of `SURE` on.

Episodes without a label get the mode that it is sure of. Labels that it is sure are wrong are
doubted: their episodes belong to no mode then, and a person should look at them. A classifier that
agrees with too few of the labels has no opinion.

Where it is right in too few windows of unseen episodes, kept or removed, the labels do not hold
for whole episodes. Then their spans are found: the time since the begin in which it is right. They
are whole where observations tell how far an episode is: else the begin of one mode and the rest of
another may be alike.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.learning.edit_report import LEAST_AGREEMENT
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import Looked, Windows, windows_of_frames
from uncloning_ros.progress import progress_bar

SURE = 0.8
SOURCE = 'classifier'  # of a label

# Labelled episodes of a mode from which on they are judged; with fewer those that remain to
# learn from are too few to contradict a person.
_ENOUGH = 10
_FOLDS = 5
_ROUNDS = 2  # the second one learns from the modes that the first one gave, too
_WINDOWS = 32  # of an episode, evenly spread
_TOLD = 0.8  # least share of unseen windows that are right where labels hold for whole episodes
_STEPS, _BATCH, _RATE, _DECAY = 200, 256, 3e-4, 1e-2
_NOISE = 0.05  # of inputs, in the normaliser's units: few episodes are few places


@dataclass(frozen=True)
class Doubt:
    """A label that the classifier is sure is wrong: it sees the mode `seen` instead."""

    episode: str
    label: str
    seen: str
    probability: float


@dataclass(frozen=True)
class Opinions:
    """What the classifier thinks of the episodes of a dataset, by their index.

    `given` are modes of episodes without a label, of which there are `unlabelled`. Of `labelled`
    episodes the classifier was sure of `judged` ones, before it doubted any, and saw the mode of
    their label in the share `agreement`; None where it was sure of none. `trusted` is the reason
    why all labels are taken as they are, '' where the wrong ones are doubted. `told` is the share
    of unseen windows in which it was right, kept or removed; None if it saw all episodes. `spans`
    are those that were found, none where labels hold for whole episodes.
    """

    given: Mapping[int, str]
    doubted: Mapping[int, Doubt]
    unlabelled: int
    labelled: int
    judged: int
    agreement: float | None
    trusted: str
    told: float | None
    spans: Mapping[int, tuple[int, int]]

    def report(self) -> dict[str, Any]:
        """Return the opinions as plain data."""
        return {'unlabelled': self.unlabelled, 'given': dict(Counter(self.given.values())),
                'labelled': self.labelled, 'judged': self.judged, 'agreement': self.agreement,
                'trusted': self.trusted, 'told': self.told, 'spans': len(self.spans),
                'doubted': [vars(one) for one in self.doubted.values()]}

    def applied(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the given modes, and without those that are doubted."""
        episodes = list(dataset.episodes)
        for index, mode in self.given.items():
            episodes[index] = replace(episodes[index], mode=mode, label_source=SOURCE)
        for index in self.doubted:
            episodes[index] = replace(episodes[index], mode=None, label_source=None, span=None)
        for index, span in self.spans.items():
            episodes[index] = replace(episodes[index], span=span)
        return replace(dataset, episodes=tuple(episodes))


def opinions(normaliser: Normaliser, dataset: Dataset, modes: Sequence[str], kept: int,
             seed: int, looked: Looked | None = None) -> Opinions:
    """Judge the episodes of a dataset that have a label of these modes, or none.

    The first `kept` modes are the kept ones. `looked` is as `dataset_windows` takes it.
    """
    judge = _Judge(normaliser, dataset, modes, seed, looked)
    labels = {index: modes.index(one.mode) for index, one in enumerate(dataset.episodes)
              if one.mode in modes}
    counts = Counter(labels.values())
    folds = _folds({index: label for index, label in labels.items() if counts[label] > 1}, seed)

    def contradicted(sure: Mapping[int, Tensor]) -> dict[int, Doubt]:
        return {index: Doubt(dataset.episodes[index].name, modes[labels[index]],
                             modes[int(share.argmax())], float(share.max()))
                for index, share in sorted(sure.items())
                if int(share.argmax()) != labels[index]}

    with progress_bar('judging labels', _FOLDS, 'part', delay_s=2.0) as bar:
        sure, unseen = judge.sure_of_unseen(labels, labels, folds, bar.update)
        wrong = contradicted(sure)
        agreement = 1.0 - len(wrong) / len(sure) if sure else None
        able = agreement is None or agreement >= LEAST_AGREEMENT
        trusted = _trusted(agreement, able, min(counts.values()))
        doubted = {} if trusted else wrong
        right = {index: label for index, label in labels.items() if index not in doubted}
        if doubted:
            bar.total += _FOLDS
            # Without these wrong labels the classifier finds more of them.
            surer, unseen = judge.sure_of_unseen(right, labels, folds, bar.update)
            doubted = contradicted(surer)
            right = {index: label for index, label in labels.items() if index not in doubted}
        told, spans = judge.spans(unseen, right, kept) if able else (None, {})
        given = judge.sure_of_unlabelled(right) if able and not spans else {}
    return Opinions({index: modes[mode] for index, mode in given.items()}, doubted,
                    len(judge.unlabelled), len(labels), len(sure), agreement, trusted, told, spans)


def _trusted(agreement: float | None, able: bool, least: int) -> str:
    """Return the reason why no label is doubted; the rarest mode has `least` labels."""
    if not able:
        return 'the classifier disagrees'
    if least < _ENOUGH:
        return f'a mode has fewer than {_ENOUGH}'
    return 'the classifier is unsure' if agreement is None else ''


def _folds(labels: Mapping[int, int], seed: int) -> dict[int, int]:
    """Return the fold of each episode; each mode is spread evenly over the folds."""
    order = np.random.default_rng(seed).permutation(sorted(labels)).tolist()
    return {index: place % _FOLDS for mode in set(labels.values()) for place, index in enumerate(
        index for index in order if labels[index] == mode)}


class _Judge:
    """The windows that are judged, and classifiers that learn from some of them."""

    def __init__(self, normaliser: Normaliser, dataset: Dataset, modes: Sequence[str], seed: int,
                 looked: Looked | None) -> None:
        self._frames = frames = np.concatenate(list(_judged_frames(dataset, modes, looked)))
        self._dataset = dataset
        self._windows = windows_of_frames(normaliser, dataset, frames, looked)
        self._episodes = torch.from_numpy(dataset.episode_of(frames))
        self._count, self._modes, self._seed = len(dataset.episodes), len(modes), seed
        self.unlabelled = [index for index, one in enumerate(dataset.episodes)
                           if one.mode is None]

    def sure_of_unseen(self, taught: Mapping[int, int], judged: Mapping[int, int],
                       folds: Mapping[int, int], on_fold: Callable[[], object],
                       ) -> tuple[dict[int, Tensor], Tensor]:
        """Return the probability (M,) of each mode for episodes that are judged and sure.

        Those of a fold are judged by what the other folds of `taught` teach. Return too the
        probability (N, M) of each mode in each window, NaN for those of episodes in no fold.
        """
        found: dict[int, Tensor] = {}
        unseen = torch.full((len(self._windows), self._modes), torch.nan)
        for fold in range(_FOLDS):
            held_out = [index for index in judged if folds.get(index) == fold]
            if held_out:
                shares, logs = self._shares({index: label for index, label in taught.items()
                                             if folds.get(index) != fold})
                theirs = torch.isin(self._episodes, torch.tensor(held_out))
                unseen[theirs] = logs[theirs].exp()
                found |= {index: shares[index] for index in held_out
                          if float(shares[index].max()) >= SURE}
            on_fold()
        return found, unseen

    def spans(self, unseen: Tensor, labels: Mapping[int, int],
              kept: int) -> tuple[float | None, dict[int, tuple[int, int]]]:
        """Return the share of right windows, kept or removed, and the spans of labels.

        `unseen` are probabilities (N, M). Spans are the part of the time since the begin of an
        episode in which most windows are right: each one counts `_TOLD` less, right or wrong.
        None are returned where labels hold for whole episodes, or have spans.
        """
        of_kept = torch.zeros(self._count, dtype=torch.bool)
        of_kept[[index for index, label in labels.items() if label < kept]] = True
        right = (unseen[:, :kept].sum(1) > 0.5) == of_kept[self._episodes]
        judged = ~unseen[:, 0].isnan() & torch.isin(self._episodes, torch.tensor(sorted(labels)))
        told = float(right[judged].float().mean()) if judged.any() else None
        if told is None or told >= _TOLD or any(one.span for one in self._dataset.episodes):
            return told, {}
        since = torch.from_numpy(self._frames - self._dataset.bounds[self._episodes])
        gains = since[judged].bincount(right[judged].float() - _TOLD)
        first, end = _best_part(np.asarray(gains))
        return told, {index: (first, min(end, frames)) for index in sorted(labels)
                      if (frames := self._dataset.episodes[index].frames) > first}

    def sure_of_unlabelled(self, labels: Mapping[int, int]) -> dict[int, int]:
        """Return the modes of unlabelled episodes that are sure."""
        if not self.unlabelled:
            return {}
        return self._sure(self._shares(labels)[0])

    def _sure(self, shares: Tensor) -> dict[int, int]:
        return {index: int(shares[index].argmax()) for index in self.unlabelled
                if float(shares[index].max()) >= SURE}

    def _shares(self, labels: Mapping[int, int]) -> tuple[Tensor, Tensor]:
        """Return the probability (E, M) of each mode for each episode, learned from `labels`.

        Return its logarithm for each window (N, M) too.
        """
        known = dict(labels)
        for _ in range(_ROUNDS if self.unlabelled else 1):
            logs = self._classified(known)
            total = torch.zeros(self._count, self._modes).index_add(0, self._episodes, logs)
            windows = self._episodes.bincount(minlength=self._count).clamp(min=1)
            shares = (total / windows[:, None]).softmax(1)
            known = self._sure(shares) | dict(labels)
        return shares, logs

    def _classified(self, labels: Mapping[int, int]) -> Tensor:
        """Return the log probability (N, M) of each mode for each window."""
        of_episode = torch.full((self._count,), -1)
        for index, label in labels.items():
            of_episode[index] = label
        targets = of_episode[self._episodes]
        learned = torch.nonzero(targets >= 0)[:, 0]
        if not len(learned):  # of no labelled episode was a picture looked at
            return torch.zeros(len(targets), self._modes)
        classifier = trained(self._windows.picked(learned), targets[learned], self._modes,
                              self._seed)
        with torch.no_grad():
            return classifier(self._windows.conditions, self._windows.clean).log_softmax(1)


def _best_part(values: NDArray[np.float64]) -> tuple[int, int]:
    """Return (first, end) of the part of values (N,) with the greatest sum, one value at least."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    gains = sums[None] - sums[:, None]
    gains[np.tri(len(sums), dtype=bool)] = -np.inf
    first, end = np.unravel_index(gains.argmax(), gains.shape)
    return int(first), int(end)


def _judged_frames(dataset: Dataset, modes: Sequence[str],
                   looked: Looked | None) -> Iterator[Frames]:
    for index, one in enumerate(dataset.episodes):
        frames = np.arange(dataset.bounds[index], dataset.bounds[index + 1])
        if one.mode is not None:
            frames = frames[one.of_mode]
        if looked is not None:
            frames = frames[np.isin(frames, looked.frames)]
        if one.mode is None or one.mode in modes:
            yield frames[::1 + len(frames) // _WINDOWS]


def trained(windows: Windows, labels: Tensor, modes: int, seed: int) -> ModeClassifier:
    """Return a classifier of the modes, each of the same weight; the first one is kept."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # the first weights
    classifier = ModeClassifier(windows.conditions.shape[1], windows.clean.shape[1], modes, 1)
    optimizer = torch.optim.AdamW(classifier.parameters(), _RATE, weight_decay=_DECAY, fused=True)
    weights = (1.0 / labels.bincount(minlength=modes).clamp(min=1))[labels]
    for _ in range(_STEPS):
        picks = torch.multinomial(weights, _BATCH, replacement=True, generator=generator)
        condition, clean = (part[picks] + _NOISE * torch.randn(part[picks].shape,
                                                               generator=generator)
                            for part in (windows.conditions, windows.clean))
        loss = nn.functional.cross_entropy(classifier(condition, clean), labels[picks])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return classifier.eval().requires_grad_(False)
