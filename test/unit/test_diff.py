# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two policies differ in weights alone, or the first other difference is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from uncloning_ros.cli.main import main
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.export import export


@pytest.fixture(scope='module')
def moved_onnx(mixed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported policy of which one weight was moved by a tenth of its length."""
    run = load_run(mixed_dir)
    with torch.no_grad():
        run.policy.denoiser.context.weight.mul_(1.1)
    path = tmp_path_factory.mktemp('diff') / 'moved.onnx'
    export(run, path)
    return path


def _bare(original: Path, path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """Write a changed copy without a digest, as a file from somewhere else has none."""
    model = onnx.load(original)
    del model.metadata_props[:]
    change(model)
    onnx.save(model, path)
    return path


def _set(model: onnx.ModelProto, name: str, factor: float) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = (numpy_helper.to_array(tensor) * factor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, name))


def test_only_weights_differ_and_how_far_they_moved_is_told(mixed_onnx: Path,
                                                            moved_onnx: Path) -> None:
    found = compare(mixed_onnx, moved_onnx)
    assert found.difference is None
    moved = {change.name: change.relative for change in found.changes if change.relative}
    assert moved == {'denoiser.context.weight': pytest.approx(0.1, rel=1e-4)}
    assert not any(change.name.startswith('normaliser.') for change in found.changes)


def _rename(model: onnx.ModelProto) -> None:
    model.graph.node[5].name = 'another'


def _attribute(model: onnx.ModelProto) -> None:
    norm = next(node for node in model.graph.node if node.op_type == 'LayerNormalization')
    next(a for a in norm.attribute if a.name == 'epsilon').f = 1e-3


def _append(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node('Identity', ['noise'], ['unused']))


def _opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


def _input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3


@pytest.mark.parametrize(('change', 'difference'), [
    (_rename, 'node 5:'),
    (_attribute, 'LayerNormalization'),
    (_append, 'number of nodes'),
    (_opset, "operator sets: {'ai.onnx': 17} against {'ai.onnx': 18}"),
    (_input, 'observation float[batch, 2, 18], noise float[batch, 4, 10] against '
             'observation float[batch, 3, 18]'),
    (lambda model: _set(model, 'normaliser.action_std', 1.0001),
     'values of normaliser.action_std'),
])
def test_first_other_difference_is_named(mixed_onnx: Path, tmp_path: Path,
                                         change: Callable[[onnx.ModelProto], object],
                                         difference: str) -> None:
    found = compare(mixed_onnx, _bare(mixed_onnx, tmp_path / 'other.onnx', change))
    assert found.difference is not None
    assert difference in found.difference
    assert not found.changes


def test_command_exits_with_zero_for_an_edit(mixed_onnx: Path, moved_onnx: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['diff', str(mixed_onnx), str(moved_onnx)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert 'same normaliser; 1 of' in out


def test_command_exits_with_one_for_an_unrelated_model(
        mixed_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
             for name in ('x', 'y')]
    graph = onnx.helper.make_graph([onnx.helper.make_node('Identity', ['x'], ['y'])], 'other',
                                   value[:1], value[1:])
    onnx.save(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid('', 17)]), tmp_path / 'other.onnx')
    assert main(['diff', str(mixed_onnx), str(tmp_path / 'other.onnx')]) == 1
    assert 'inputs: observation' in capsys.readouterr().out


def test_command_exits_with_two_for_bad_files(mixed_onnx: Path, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    corrupted = bytearray(mixed_onnx.read_bytes())
    corrupted[1000] ^= 1
    (tmp_path / 'corrupted.onnx').write_bytes(corrupted)
    (tmp_path / 'text.onnx').write_text('no model at all')
    (tmp_path / 'empty.onnx').write_bytes(b'')
    for name, sentence in (('corrupted', 'is corrupted'), ('text', 'is not a valid ONNX file'),
                           ('empty', 'is not a valid ONNX file'), ('none', 'cannot read')):
        assert main(['diff', str(mixed_onnx), str(tmp_path / f'{name}.onnx')]) == 2
        assert sentence in capsys.readouterr().err
