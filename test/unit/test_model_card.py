# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cards of the shipped models say what their files are."""

import json
from dataclasses import replace
from pathlib import Path

import onnxruntime
import processes
import pytest

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.evaluation import evaluate
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


def test_a_card_has_the_figures_against_held_out_demonstrations(
        mixed_dir: Path, dataset: Dataset, tmp_path: Path) -> None:
    script, run = processes.script('model_card'), load_run(mixed_dir)
    assert script._evaluation(tmp_path, 'toy') == ''
    found = evaluate(run, dataset, 1)
    found['likelihood'] |= {'of': 'density', 'exact': -12.344}
    (tmp_path / 'toy_evaluation.json').write_text(json.dumps(found))
    card = script._evaluation(tmp_path, 'toy')
    [part] = found['modes']['distribution']['bins']
    for figure in ('of the density | -12.34 nats', f'other {found["error"]["plan"]:.4f} |',
                   ', '.join(f'{step:.3f}' for step in found['error_by_step']['plan']),
                   f'{part["total_variation"]:.3f} ({part["floor"]:.3f})',
                   'at tick 0, 0.0 s after the start', f'of {found["episodes"]} episodes.\n'):
        assert figure in card
    data = {'sha256': run.config.data['sha256'], 'seeds': []}
    edited = replace(run, config=replace(run.config, edit={'remove': ['right'], 'data': data}))
    (tmp_path / 'toy_evaluation.json').write_text(json.dumps(evaluate(edited, dataset, 1)))
    card = script._evaluation(tmp_path, 'toy')
    assert 'episodes, without those of `right`, which the edit removed.' in card
    assert 'plans of the demonstrated mode' not in card
