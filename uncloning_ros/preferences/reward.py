# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Infer from answers which features of a handover people reward, and how sure that is.

An episode has features z (D,), each scaled to mean 0 and standard deviation 1 over the episodes.
Its reward is w.z with |w| = 1; answers know only v = s w, with the steepness s. Sources:

    pairs     left, right, equal with the probabilities of Davidson (J. Am. Stat. Assoc. 65, 1970),
              which are those of Bradley and Terry (Biometrika 39, 1952) with ties:
              e^(d/2), e^(-d/2) and nu in proportion, d = v.(z_left - z_right)
    singles   good with the probability 1 / (1 + e^-(v.z - c)): a logistic model with one
              threshold c for all raters, so that an answer says on which side of it an episode is
    lapses    with a rate of its own a rater does not look, and each answer is as likely (Wichmann
              and Hill, Percept. Psychophys. 63, 2001): a share (1 - rate) of the above, the rest
              even
    belief    the normal distribution around the most probable parameters whose precision is the
              expected (Fisher) information of the answers, plus that of the priors (Laplace's
              approximation; MacKay, Neural Comput. 4, 1992); the expected information is positive
              definite, which with lapses the observed one is not

"Cannot tell" carries no information on the reward. Parameters are v, c, ln nu, and the logit of
each rater's rate, in this order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array

LEFT, RIGHT, EQUAL = range(3)
GOOD, BAD = range(2)

# Means and standard deviations of the normal priors: no feature is known to matter, one pair in
# three of equal episodes is called equal, and lapses are one answer in four.
_STEEPNESS, _THRESHOLD = (0.0, 3.0), (0.0, 4.0)
_LN_NU, _LOGIT = (0.0, 1.0), (-1.0, 1.0)
_MOST_STEPS, _SETTLED = 60, 1e-3  # of the ascent, and the change of a parameter that ends it
_MOST_DAMPING = 1e9  # beyond it no step is upwards
_STEEPER, _CARELESS = 4.0, 0.0  # factor of v, and logit of the lapse rates, at the other start

Indices = NDArray[np.int64]
_Judgement = tuple[float, Array, Array]


@dataclass(frozen=True)
class Answers:
    """Answers as arrays.

    `pair` (M, D): features of the left episode less those of the right one, `said` (M,) LEFT,
    RIGHT or EQUAL, `pair_rater` (M,). `single` (K, D), `accepted` (K,) GOOD or BAD,
    `single_rater` (K,). Raters are numbers below `raters`.
    """

    pair: Array
    said: Indices
    pair_rater: Indices
    single: Array
    accepted: Indices
    single_rater: Indices
    raters: int


@dataclass(frozen=True)
class Belief:
    """A normal distribution over the parameters: `mean` (N,), `covariance` (N, N); v has D."""

    mean: Array
    covariance: Array
    dim: int

    @property
    def weights(self) -> Array:
        """Return the weights w (D,) of the reward, of norm 1."""
        v = self.mean[:self.dim]
        return v / max(float(np.linalg.norm(v)), 1e-12)

    @property
    def threshold(self) -> float:
        """Return the reward from which raters call an episode good."""
        return float(self.mean[self.dim]) / max(float(np.linalg.norm(self.mean[:self.dim])), 1e-12)

    @property
    def lapses(self) -> Array:
        """Return the lapse rate of each rater (R,)."""
        return _logistic(self.mean[self.dim + 2:])

    def drawn(self, count: int, rng: np.random.Generator) -> Array:
        """Return parameters (count, N) drawn from the belief."""
        return self.mean + rng.standard_normal((count, len(self.mean))) @ self._root.T

    def below(self, features: Array) -> Array:
        """Return the probability that the reward of each episode (E, D) is below the threshold."""
        rows = np.zeros((len(features), len(self.mean)))
        rows[:, :self.dim], rows[:, self.dim] = features, -1.0
        spread = np.sqrt(np.einsum('ei,ij,ej->e', rows, self.covariance, rows))
        return np.array([0.5 * math.erfc(margin / math.sqrt(2.0))
                         for margin in (rows @ self.mean) / spread])

    @cached_property
    def _root(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.covariance), dtype=np.float64)


def infer(answers: Answers) -> Belief:
    """Return the belief after answers; without any it is the prior.

    The posterior may have two peaks, careful raters with a flat reward and careless ones with a
    steep reward, so the ascent begins at both, and the higher peak counts.
    """
    dim = answers.pair.shape[1]
    mean, spread = (np.concatenate([
        np.full(dim, _STEEPNESS[i]), [_THRESHOLD[i], _LN_NU[i]],
        np.full(answers.raters, _LOGIT[i])]) for i in range(2))
    prior = np.diag(spread ** -2)

    def judged(theta: Array) -> tuple[float, Array, Array]:
        """Return log posterior, its gradient and the expected information."""
        chosen, slopes, information = _likelihood(theta, answers)
        away = theta - mean
        return (float(np.log(chosen).sum() - 0.5 * away @ prior @ away),
                (slopes / chosen[:, None]).sum(axis=0) - prior @ away, information + prior)

    flat = _peak(mean, judged, prior)
    start = flat[0].copy()
    start[:dim + 1] *= _STEEPER
    start[dim + 2:] = _CARELESS
    at, (_, _, information) = max(flat, _peak(start, judged, prior), key=lambda peak: peak[1][0])
    return Belief(at, np.asarray(np.linalg.inv(information), dtype=np.float64), dim)


def _peak(at: Array, judged: Callable[[Array], _Judgement],
          prior: Array) -> tuple[Array, _Judgement]:
    """Ascend from parameters to a peak by damped Fisher scoring; return it and its judgement."""
    value = judged(at)
    damping = 0.0
    for _ in range(_MOST_STEPS):
        step = np.linalg.solve(value[2] + damping * prior, value[1])
        better = judged(at + step)
        if better[0] < value[0]:
            damping = max(4.0 * damping, 1.0)
            if damping > _MOST_DAMPING:
                break
            continue
        at, value, damping = at + step, better, damping / 4.0
        if np.abs(step).max() < _SETTLED:
            break
    return at, value


def pair_chances(parameters: Array, difference: Array, dim: int, rater: int) -> Array:
    """Return the probabilities (S, M, 3) of left, right, equal under parameters (S, N)."""
    d = parameters[:, :dim] @ difference.T
    nu = np.broadcast_to(parameters[:, dim + 1, None], d.shape)
    return _lapsing(_softmax(np.stack([d / 2, -d / 2, nu], axis=-1)),
                    parameters[:, dim + 2 + rater, None, None])


def single_chances(parameters: Array, features: Array, dim: int, rater: int) -> Array:
    """Return the probabilities (S, K, 2) of good and bad under parameters (S, N)."""
    good = _logistic(parameters[:, :dim] @ features.T - parameters[:, dim, None])
    return _lapsing(np.stack([good, 1.0 - good], axis=-1),
                    parameters[:, dim + 2 + rater, None, None])


def _likelihood(theta: Array, answers: Answers) -> tuple[Array, Array, Array]:
    """Return the probability of each answer, its slopes, and the expected information."""
    dim, size = answers.pair.shape[1], len(theta)
    sizes = len(answers.said), len(answers.accepted)
    d = answers.pair @ theta[:dim]
    logits = np.stack([d / 2, -d / 2, np.full(sizes[0], theta[dim + 1])], axis=-1)
    of_pairs = np.zeros((sizes[0], 3, size))  # slopes of the logits
    of_pairs[:, LEFT, :dim], of_pairs[:, RIGHT, :dim] = answers.pair / 2, -answers.pair / 2
    of_pairs[:, EQUAL, dim + 1] = 1.0
    a = answers.single @ theta[:dim] - theta[dim]
    of_singles = np.zeros((sizes[1], 2, size))
    of_singles[:, GOOD, :dim], of_singles[:, GOOD, dim] = answers.single, -1.0
    parts = [_answered(_softmax(logits), of_pairs, theta, answers.pair_rater, dim, answers.said),
             _answered(_softmax(np.stack([a, np.zeros_like(a)], axis=-1)), of_singles, theta,
                       answers.single_rater, dim, answers.accepted)]
    return (np.concatenate([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]), parts[0][2] + parts[1][2])


def _answered(even: Array, of_logits: Array, theta: Array, rater: Indices, dim: int,
              said: Indices) -> tuple[Array, Array, Array]:
    """Return as `_likelihood` does for answers with probabilities (M, K) but for lapses."""
    rows, outcomes = np.arange(len(said)), even.shape[1]
    rate = _logistic(theta[dim + 2 + rater])[:, None]
    chances = (1.0 - rate) * even + rate / outcomes
    slopes = ((1.0 - rate) * even)[:, :, None] * (of_logits - even[:, None] @ of_logits)
    slopes[rows, :, dim + 2 + rater] += rate * (1.0 - rate) * (1.0 / outcomes - even)
    scaled = (slopes / np.sqrt(chances)[:, :, None]).reshape(-1, len(theta))
    return chances[rows, said], slopes[rows, said], scaled.T @ scaled


def _lapsing(chances: Array, logit: Array) -> Array:
    rate = _logistic(logit)
    return (1.0 - rate) * chances + rate / chances.shape[-1]


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _logistic(value: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * value))
