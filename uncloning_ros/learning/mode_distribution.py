# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare how often modes are planned with how often they are demonstrated, in bins.

A few demonstrations show shares that differ from the true ones by chance. The noise floor of a
distance is the value that a policy with the true shares stays below in 19 of 20 cases: episodes
and plans are drawn again and again from the shares that the policy plans. A few plans spread these
shares by chance already, which is taken off first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_REPEATS, _FLOOR = 1000, 0.95
_TENTHS = 10
_SEED = 0

_Shares = NDArray[np.floating[Any]]
_Places = NDArray[np.integer[Any]]


def compared(planned: _Shares, labels: _Places, bins: _Places, draws: int) -> dict[str, Any]:
    """Return distances and their floors, in each bin of `bins` (E,) and of the calibration.

    `planned` (E, modes) has the shares of each mode among `draws` plans in the place of each
    episode, `labels` (E,) the demonstrated modes.
    """
    rng = np.random.default_rng(_SEED)
    shown = np.eye(planned.shape[1])[labels]
    shares = _without_chance(planned, draws)
    edges = shares.cumsum(1)
    again = []
    for _ in range(_REPEATS):
        # Both are noisy: the demonstrations, and the plans by which the policy's shares are known.
        counts = rng.multinomial(draws, shares) / draws
        drawn = (rng.random((len(planned), 1)) >= edges).sum(1).clip(max=planned.shape[1] - 1)
        again.append((counts, np.eye(planned.shape[1])[drawn]))
    found = []
    for one in np.unique(bins):
        there = bins == one
        found.append({
            'episodes': int(there.sum()), 'demonstrated': shown[there].mean(0).tolist(),
            'planned': planned[there].mean(0).tolist(),
            'total_variation': total_variation(planned[there], shown[there]),
            'floor': float(np.quantile([total_variation(p[there], d[there]) for p, d in again],
                                       _FLOOR))})
    return {'bins': found,
            'within_floor': sum(one['total_variation'] <= one['floor'] for one in found),
            'calibration': {
                'error': calibration_error(planned, shown),
                'floor': float(np.quantile([calibration_error(p, d) for p, d in again], _FLOOR)),
                'tenths': _tenths(planned, shown)}}


def total_variation(planned: _Shares, shown: _Shares) -> float:
    """Return half the sum of the differences between the mean shares of both (E, modes)."""
    return float(np.abs(planned.mean(0) - shown.mean(0)).sum() / 2)


def calibration_error(planned: _Shares, shown: _Shares) -> float:
    """Return the mean distance of planned from demonstrated shares, over tenths of the former.

    It is classwise: every mode counts, as Kull et al. 2019 (arXiv 1910.12656) have it, not the
    most likely one alone. All modes share the tenths.
    """
    parts = _tenths(planned, shown)
    total = sum(one['count'] for one in parts)
    return sum(one['count'] * abs(one['planned'] - one['demonstrated']) for one in parts) / total


def _without_chance(planned: _Shares, draws: int) -> _Shares:
    """Return shares drawn together to their mean, by as much as few draws spread them."""
    mean = planned.mean(0)
    spread = float(np.square(planned - mean).sum(1).mean())
    chance = float((planned * (1 - planned)).sum(1).mean()) / (draws - 1)
    shares = mean + max(0.0, 1 - chance / spread if spread else 0.0) * (planned - mean)
    return shares / shares.sum(1, keepdims=True)


def _tenths(planned: _Shares, shown: _Shares) -> list[dict[str, Any]]:
    tenth = np.minimum((planned * _TENTHS).astype(int), _TENTHS - 1)
    return [{'count': int(there.sum()), 'planned': float(planned[there].mean()),
             'demonstrated': float(shown[there].mean())}
            for i in range(_TENTHS) if (there := tenth == i).any()]
