# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cards of the shipped models say what their files are."""

from pathlib import Path

import onnxruntime
import processes
import pytest

from uncloning_ros.runtime.inference import load_policy

MODELS = sorted((Path(__file__).parents[2] / 'models').glob('*.onnx'))


@pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)
def test_a_card_lists_the_inputs_of_its_file_and_is_as_the_script_writes_it(path: Path) -> None:
    card = path.with_suffix('.md').read_text(encoding='utf-8')
    [listed] = [line for line in card.splitlines() if line.startswith('| inputs |')]
    for one in onnxruntime.InferenceSession(path).get_inputs():
        kind = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8'}[one.type]
        [of_kind] = [part for part in listed.split(';') if f', {kind}' in part]
        assert f'`{one.name}` [B, {", ".join(map(str, one.shape[1:]))}]' in of_kind
    assert processes.script('model_card')._facts(path, load_policy(path)) in card
