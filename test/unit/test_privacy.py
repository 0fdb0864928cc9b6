# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No process of this package writes into the home folder or sends telemetry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from uncloning_ros.share import share_path

PROGRAMS = {
    'library': 'from pathlib import Path\n'
               'from uncloning_ros.runtime.inference import load_policy\n'
               'load_policy(Path({model!r})).warm_up()\n',
    'worker process': 'from pathlib import Path\n'
                      'from uncloning_ros.processes import in_order\n'
                      'from uncloning_ros.errors import AuditError\n'
                      'from uncloning_ros.runtime.inference import load_policy\n'
                      'def digest(path):\n'
                      '    return load_policy(path).sha256\n'
                      'if __name__ == "__main__":\n'
                      '    models = [Path({model!r})] * 2\n'
                      '    found = in_order(digest, models, 2, "test", AuditError)\n'
                      '    assert len(set(found)) == 1\n',
    'training': 'import tensorboard.summary, torch, torch.onnx\n'
                'import uncloning_ros.learning.export\n',
}


@pytest.mark.parametrize('program', PROGRAMS)
def test_a_program_leaves_an_empty_home_empty(program: str, tmp_path: Path) -> None:
    home, script = tmp_path / 'home', tmp_path / 'program.py'
    home.mkdir()
    script.write_text(PROGRAMS[program].format(
        model=str(share_path('models') / 'knife_uncloned.onnx')))
    environment = {name: value for name, value in os.environ.items()
                   if name != 'ORT_DISABLE_TELEMETRY' and not name.startswith('XDG_')}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True,
                          env=environment | {'HOME': str(home)}, timeout=100)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob('*')) == []
