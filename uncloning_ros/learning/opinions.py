# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the mode of each demonstration: of those without a label, and of labels.

Episodes that look alike have one mode. Each labelled episode votes for its mode at the episodes
nearest to it, and these pass the votes on (Zhou et al. 2004, Learning with local and global
consistency), so clusters of episodes get the mode of their labels. An episode does not vote for
itself. Two episodes are near if their windows are, at places evenly spread over the arm's way.

All modes have the same weight. Episodes without a label get a mode where the share `SURE` of the
votes is for one side, kept or removed. A label is doubted where another mode has more weight, and
twice the single votes: the episode belongs to no mode then, and a person should look at it. Votes
that agree with too few of the labels count for nothing.

A classifier of windows tells whether labels hold for whole episodes. Where it is right in too few
windows of unseen episodes, kept or removed, they do not. Then their spans are found: the time
since the begin in which it is right. No label is doubted then, and no mode given. Spans are whole
where observations tell how far an episode is: else the begin of one mode and the rest of another
may be alike.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.geometry import position_of
from uncloning_ros.learning.edit_report import LEAST_AGREEMENT
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import Looked, Windows, windows_of_frames
from uncloning_ros.progress import progress_bar

SURE = 0.8  # probability, or share of votes, from which on a mode is sure
SOURCE = 'classifier'  # of a label

# Labelled episodes of a mode from which on they are judged; with fewer those that remain are too
# few to contradict a person.
_ENOUGH = 10
_PLACES = 16  # of an episode, at which it is compared with others
_NEIGHBOURS = 5
_PASSED = 0.9  # share of a vote that is passed on
_CLEAR = 2 / 3  # share of the votes against a label that contradicts it; a fifth may be wrong
_ROUNDS = 8  # without the wrong labels of one, the next one finds more
_FOLDS = 5
_WINDOWS = 32  # of an episode, evenly spread
_TOLD = 0.8  # least share of unseen windows that are right where labels hold for whole episodes
_STEPS, _BATCH, _RATE, _DECAY = 200, 256, 3e-4, 1e-2
_NOISE = 0.05  # of inputs, in the normaliser's units: few episodes are few places


@dataclass(frozen=True)
class Doubt:
    """A label that looks wrong: `share` of the votes for its mode or `seen` are for `seen`."""

    episode: str
    label: str
    seen: str
    share: float


@dataclass(frozen=True)
class Opinions:
    """What is thought of the episodes of a dataset, by their index.

    `given` are modes of episodes without a label, of which there are `unlabelled`. Of `labelled`
    episodes `judged` ones have clear votes, and in the share `agreement` of these they are for the
    side of the label, kept or removed; None where there are none. `trusted` is the reason why all
    labels are taken as they are, '' where the wrong ones are doubted. `told` is the share of
    unseen windows in which the classifier was right; None if it judged none. `spans` are those
    that were found, none where labels hold for whole episodes.
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
    labels = {index: modes.index(one.mode) for index, one in enumerate(dataset.episodes)
              if one.mode in modes}
    unlabelled = [index for index, one in enumerate(dataset.episodes) if one.mode is None]
    passed = _passed_on(normaliser, dataset, [*labels, *unlabelled], looked)

    def votes(voters: Mapping[int, int]) -> tuple[Tensor, Tensor]:
        """Return votes (E, M), and their share (E,) for kept modes; half where there are none."""
        ballots = torch.zeros(len(passed), len(modes), dtype=passed.dtype)
        ballots[[*voters], [*voters.values()]] = 1.0
        cast = passed @ (ballots / ballots.sum(0).clamp(min=1.0))  # each mode has the same weight
        return cast, (cast[:, :kept].sum(1) / cast.sum(1)).nan_to_num(0.5)

    _, shares = votes(labels)
    counts = Counter(labels.values())
    agrees = [bool(shares[index] > 0.5) == (label < kept) for index, label in labels.items()
              if counts[label] > 1 and not 1 - _CLEAR < shares[index] < _CLEAR]
    agreement = sum(agrees) / len(agrees) if agrees else None
    able = agreement is None or agreement >= LEAST_AGREEMENT
    few = min(counts.values()) < _ENOUGH
    trusted = _trusted(agreement, able, few)
    doubted: dict[int, Doubt] = {}
    right = labels
    for _ in range(0 if trusted else _ROUNDS):
        cast, _ = votes(right)
        for index, label in labels.items():
            seen = int(cast[index].argmax())
            against, own = (float(cast[index, mode]) * counts[mode] for mode in (seen, label))
            share = against / (against + own) if against else 0.0  # of single votes
            if seen != label and share >= _CLEAR:
                doubted[index] = Doubt(dataset.episodes[index].name, modes[label], modes[seen],
                                       share)
        right = {index: label for index, label in labels.items() if index not in doubted}
        counts = Counter(right.values())
    cast, shares = votes(right)
    given = {index: int(cast[index].argmax()) for index in unlabelled
             if able and not 1 - SURE < shares[index] < SURE}
    told, span = None, None
    if able or not few:
        told, span = _span(normaliser, dataset, right | given, len(modes), kept, seed, looked)
    if span is not None:
        given, doubted = {}, {}
    spans = {} if span is None else {
        index: (span[0], min(span[1], frames)) for index in labels
        if (frames := dataset.episodes[index].frames) > span[0]}
    return Opinions({index: modes[mode] for index, mode in given.items()}, doubted,
                    len(unlabelled), len(labels), len(agrees), agreement, trusted, told, spans)


def _trusted(agreement: float | None, able: bool, few: bool) -> str:
    """Return the reason why no label is doubted; '' if there is none."""
    if not able:
        return 'they contradict each other'
    if few:
        return f'a mode has fewer than {_ENOUGH}'
    return 'none could be compared' if agreement is None else ''


def _passed_on(normaliser: Normaliser, dataset: Dataset, episodes: Sequence[int],
               looked: Looked | None) -> Tensor:
    """Return how much of the vote of each episode comes to each other one, (E, E), 0 to itself.

    That is 0 for episodes without a frame that was looked at.
    """
    found = torch.zeros((len(dataset.episodes),) * 2, dtype=torch.float64)
    places = {index: places for index in sorted(episodes)
              if len(places := _places(dataset, index, looked))}
    if not places:
        return found
    windows = windows_of_frames(normaliser, dataset, np.concatenate([*places.values()]), looked)
    points = torch.cat([windows.conditions, windows.clean], 1).view(len(places), -1)
    apart = torch.cdist(points, points).double()
    near = apart.topk(min(_NEIGHBOURS + 1, len(apart)), largest=False)  # one is itself
    linked = torch.zeros_like(apart).scatter(1, near.indices, 1.0)
    scale = near.values[:, -1].clamp(min=1e-9)
    weights = torch.maximum(linked, linked.T) * torch.exp(-apart ** 2 / (scale[:, None] * scale))
    weights.fill_diagonal_(0.0)
    sums = weights.sum(1).clamp(min=1e-9).sqrt()
    flow = weights / (sums[:, None] * sums)
    votes = torch.linalg.inv(torch.eye(len(flow), dtype=flow.dtype) - _PASSED * flow)
    where = torch.tensor([*places])
    found[where[:, None], where] = votes.clamp(min=0.0).fill_diagonal_(0.0)
    return found


def _places(dataset: Dataset, index: int, looked: Looked | None) -> Frames:
    """Return `_PLACES` frames of an episode, evenly spread over the way of the arm.

    Without an observed pose of the arm they are evenly spread over the time.
    """
    frames = np.arange(dataset.bounds[index], dataset.bounds[index + 1])
    if looked is not None:
        frames = frames[np.isin(frames, looked.frames)]
    if not len(frames):
        return frames
    stops = frames[::1 + len(frames) // _WINDOWS]  # shorter steps are noise
    way = 1e-6 * np.arange(len(stops))  # of an arm that rests
    if (key := dataset.contract.interface.arm_pose_key) is not None:
        arm = position_of(dataset.observations[stops][
            :, dataset.contract.interface.observation_slices[key]])
        way[1:] += np.cumsum(np.linalg.norm(np.diff(arm, axis=0), axis=1))
    wanted = np.interp(np.linspace(0.0, way[-1], _PLACES), way, np.arange(len(stops)))
    return stops[np.round(wanted).astype(np.int64)]


def _span(normaliser: Normaliser, dataset: Dataset, labels: Mapping[int, int], modes: int,
          kept: int, seed: int, looked: Looked | None,
          ) -> tuple[float | None, tuple[int, int] | None]:
    """Return the share of right windows, kept or removed, and the span of labels.

    A window is judged by a classifier that saw others than its episode. A span is the part of the
    time since the begin of an episode in which most windows are right: each one counts `_TOLD`
    less, right or wrong. It is None where labels hold for whole episodes, or have spans, and where
    the classifier is wrong of too many of the episodes of which it is sure.
    """
    if not (folds := _folds(labels, seed)):
        return None, None
    frames = np.concatenate(list(_judged_frames(dataset, labels, looked)))
    windows = windows_of_frames(normaliser, dataset, frames, looked)
    episodes = torch.from_numpy(dataset.episode_of(frames))
    label_of, fold_of = torch.full((2, len(dataset.episodes)), -1)
    label_of[[*labels]] = torch.tensor([*labels.values()])
    fold_of[[*folds]] = torch.tensor([*folds.values()])
    logs = torch.full((len(frames), modes), torch.nan)
    with progress_bar('judging labels', _FOLDS, 'part', delay_s=2.0) as bar:
        for fold in range(_FOLDS):
            unseen = fold_of[episodes] == fold
            if unseen.any() and not unseen.all():
                classifier = trained(windows.picked(torch.nonzero(~unseen)[:, 0]),
                                     label_of[episodes][~unseen], modes, seed)
                with torch.no_grad():
                    logs[unseen] = classifier(windows.conditions[unseen],
                                              windows.clean[unseen]).log_softmax(1)
            bar.update()
    of_kept, judged = label_of < kept, ~logs[:, 0].isnan()
    right = (logs.exp()[:, :kept].sum(1) > 0.5) == of_kept[episodes]
    told = float(right[judged].float().mean()) if judged.any() else None
    if told is None or told >= _TOLD or any(one.span for one in dataset.episodes):
        return told, None
    means = torch.zeros(len(of_kept), modes).index_add(
        0, episodes, logs.nan_to_num(0.0)) / episodes.bincount(
            minlength=len(of_kept)).clamp(min=1)[:, None]
    shares = means.softmax(1)
    sure = shares.amax(1) >= SURE
    agrees = (shares[:, :kept].sum(1) > 0.5) == of_kept
    if sure.any() and float(agrees[sure].float().mean()) < LEAST_AGREEMENT:
        return told, None
    since = torch.from_numpy(frames - dataset.bounds[episodes])
    return told, _best_part(np.asarray(since[judged].bincount(right[judged].float() - _TOLD)))


def _folds(labels: Mapping[int, int], seed: int) -> dict[int, int]:
    """Return the fold of each episode of modes with two or more; each is spread over the folds."""
    order = np.random.default_rng(seed).permutation(sorted(labels)).tolist()
    members = [[index for index in order if labels[index] == mode]
               for mode in sorted({*labels.values()})]
    return {index: place % _FOLDS for one in members if len(one) > 1
            for place, index in enumerate(one)}


def _best_part(values: NDArray[np.float64]) -> tuple[int, int]:
    """Return (first, end) of the part of values (N,) with the greatest sum, one value at least."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    gains = sums[None] - sums[:, None]
    gains[np.tri(len(sums), dtype=bool)] = -np.inf
    first, end = np.unravel_index(gains.argmax(), gains.shape)
    return int(first), int(end)


def _judged_frames(dataset: Dataset, labels: Mapping[int, int],
                   looked: Looked | None) -> Iterator[Frames]:
    for index in sorted(labels):
        one = dataset.episodes[index]
        frames = np.arange(dataset.bounds[index], dataset.bounds[index + 1])
        if one.mode is not None:
            frames = frames[one.of_mode]
        if looked is not None:
            frames = frames[np.isin(frames, looked.frames)]
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
