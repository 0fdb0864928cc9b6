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

MODELS = REPOSITORY / 'models'
# A leak of 2 kB in each cycle makes as much in the 40 s that are looked at.
MOST_GROWTH_MB = 8


@pytest.mark.parametrize(('scenario', 'contract', 'minutes'), [
    pytest.param('knife', 'contract.yaml', 0.4, marks=pytest.mark.slow),
    pytest.param('knife', 'contract.yaml', 1, marks=pytest.mark.proof),
    pytest.param('knife_camera', 'contract_camera.yaml', 3, marks=pytest.mark.proof)])
@pytest.mark.timeout(300)
def test_handovers_one_after_the_other_take_no_memory_and_none_is_the_last(
        tmp_path: Path, scenario: str, contract: str, minutes: float) -> None:
    model = MODELS / f'{scenario}_uncloned.onnx'
    if not model.is_file():
        pytest.skip(f'{model.name} is not there; run: make models')
    soak = script('soak')
    args = soak.parser().parse_args([
        str(model), '--scenario', scenario, '--minutes', str(minutes),
        '--line-s', str(round(20 * minutes)), '--most-growth-mb', str(MOST_GROWTH_MB),
        '--contract', str(written(patient_contract(contract), tmp_path / 'contract.yaml'))])
    assert soak.soak(args, load_policy(model).contract, tmp_path) == []
