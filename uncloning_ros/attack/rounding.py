# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rounding: the weights in int8, as a smaller or a faster file would have them."""

from pathlib import Path

from uncloning_ros.attack.options import ROUNDING
from uncloning_ros.attack.record import AttackReport
from uncloning_ros.attack.target import Target
from uncloning_ros.learning.rounding import write_rounded

_NOT_COVERED = ('activations in int8, fewer than 8 bits, calibration by data, and the kernels of '
                'other runtimes',)


class Rounding:
    """Judge the policy with rounded weights."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, folder: Path) -> AttackReport:
        """Round the weights and judge the policy; run and file go to `folder`."""
        run = folder / ROUNDING
        write_rounded(self._target.run, run)
        return AttackReport(
            ROUNDING, 'matrices and kernels were rounded to int8 for each output channel '
            "(symmetric, by the channel's largest magnitude) and written back as float32",
            (self._target.judged('weights in int8', self._target.exported(run)),), _NOT_COVERED)
