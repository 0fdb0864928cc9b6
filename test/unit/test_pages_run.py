# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of these pages run, one after another, on small inputs of the names on the page."""

import glob
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from audit_models import write_policy
from test_pages import DOCS, REPOSITORY, command_lines, small

from uncloning_ros.cli.main import main
from uncloning_ros.share import share_path

SAMPLES = REPOSITORY / 'samples'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_page(name: str, least: int, before: Callable[[list[str]], object] = lambda _: None,
             text: str | None = None) -> list[list[str]]:
    """Run the commands of a page, but for those that need Ray, which bench/scale.py uses."""
    commands = [words for words in command_lines(text or (DOCS / name).read_text('utf-8'))
                if '--on' not in words]
    assert len(commands) >= least
    for words in commands:
        before(words)
        right = (0, 1) if words[0] == 'audit' or words[:2] == ['evidence', 'merge'] else (0,)
        # A shell replaces patterns by the files that are there.
        words = [one for word in words for one in (sorted(glob.glob(word)) or [word])]
        assert main(small(words)) in right, words
    return commands


def test_samples(folder: Path) -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob('*') if path.is_file()) < 20e6
    shutil.copytree(SAMPLES, folder / 'demos')
    run_page('samples.md', 5)
    data = json.loads((folder / 'data/dataset.json').read_text())
    modes = [one['mode'] for one in data['episodes']]
    assert sorted(modes) == ['blade_first'] * 5 + ['handle_first'] * 5
    seen = json.loads((folder / 'seen/dataset.json').read_text())
    assert [one['mode'] for one in seen['episodes']] == ['handle_first']


def test_scale(folder: Path) -> None:
    write_policy(folder / 'policy.onnx')
    run_page('scale.md', 3)
    assert (folder / 'policy.evidence').is_file()


def test_audit(folder: Path) -> None:
    write_policy(folder / 'policy.onnx')
    shutil.copy(share_path('config') / 'contract.yaml', 'mine.yaml')
    run_page('audit.md', 2)
    assert (folder / 'mine.evidence').is_file()


def test_dossier(folder: Path) -> None:
    models = share_path('models')
    shutil.copy(models / 'knife_uncloned.onnx', 'policy.onnx')
    shutil.copy(models / 'knife_mixed.onnx', 'mixed.onnx')
    shutil.copy(models / 'knife_uncloned.evidence', 'policy.evidence')
    form = (share_path('config') / 'hazards.yaml').read_text()
    Path('hazards.yaml').write_text(re.sub(r'evidence: TO FILL IN.*', 'evidence: policy.evidence',
                                           form).replace('TO FILL IN', 'mine'))
    run_page('dossier.md', 1)
    assert (folder / 'dossier/index.html').is_file()


def test_lerobot(folder: Path) -> None:
    pa = pytest.importorskip('pyarrow', reason='the extra lerobot is not installed')
    pytest.importorskip('av', reason='the extra lerobot is not installed')
    pq = pytest.importorskip('pyarrow.parquet')
    page = (DOCS / 'lerobot.md').read_text(encoding='utf-8')
    contract = re.search(r'```yaml\n(.*?)```', page, re.DOTALL)[1]
    Path('so101.yaml').write_text(contract)
    names = yaml.safe_load(contract)['interface']['observations'][0]['names']
    task = re.search(r'--mode handle_first="(.*?)"', page)[1]
    number = {'dtype': 'float32', 'shape': [6], 'names': [f'{name}.pos' for name in names]}
    for place in ('meta/episodes/chunk-000', 'data/chunk-000'):
        (folder / 'so101' / place).mkdir(parents=True)
    Path('so101/meta/info.json').write_text(json.dumps({
        'codebase_version': 'v3.0', 'fps': 30, 'video_path': None,
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'features': {'observation.state': number, 'action': number}}))
    rows = np.random.default_rng(0).normal(0, 20, (60, 6)).astype(np.float32)
    pq.write_table(pa.table({
        'observation.state': rows.tolist(), 'action': rows.tolist(),
        'frame_index': np.tile(np.arange(30), 2), 'episode_index': np.repeat([0, 1], 30)}),
        'so101/data/chunk-000/file-000.parquet')
    pq.write_table(pa.Table.from_pylist([
        {'episode_index': i, 'length': 30, 'tasks': [task], 'data/chunk_index': 0,
         'data/file_index': 0} for i in range(2)]),
        'so101/meta/episodes/chunk-000/file-000.parquet')
    run_page('lerobot.md', 5)
    assert len(list((folder / 'again').glob('episode_*[0-9]'))) == 2
