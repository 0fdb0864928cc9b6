# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Handovers, one after the other; scripts/soak.py does the same for any number of minutes.

The policy stays the same process: it must not grow, nor go to FAULT, nor get stuck.
"""

from pathlib import Path

import pytest
from policies import patient_contract, written
from processes import REPOSITORY, script

from uncloning_ros.runtime.inference import load_policy

MODEL = REPOSITORY / 'models' / 'knife_uncloned.onnx'
# A leak of 2 kB in each cycle makes as much in the 40 s that are looked at.
MOST_GROWTH_MB = 8


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL.name} is not there; run: make models')
@pytest.mark.parametrize('minutes', [pytest.param(0.4, marks=pytest.mark.slow),
                                     pytest.param(1, marks=pytest.mark.proof)])
@pytest.mark.timeout(200)
def test_handovers_one_after_the_other_take_no_memory_and_none_is_the_last(
        tmp_path: Path, minutes: float) -> None:
    soak = script('soak')
    args = soak.parser().parse_args([
        str(MODEL), '--minutes', str(minutes), '--line-s', str(round(20 * minutes)),
        '--most-growth-mb', str(MOST_GROWTH_MB),
        '--contract', str(written(patient_contract(), tmp_path / 'contract.yaml'))])
    assert soak.soak(args, load_policy(MODEL).contract, tmp_path) == []
