# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A signal before a program is ready ends it without a traceback, whatever it was importing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = re.findall(r"'(\w+) = uncloning_ros\.(.+):(\w+)',",
                      (REPOSITORY / 'setup.py').read_text(encoding='utf-8'))
PATIENCE_S = 60.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]

# A library that takes its time, and garbles what comes in between.
SLOW = """
import time
print('importing', flush=True)
try:
    time.sleep(60)
except BaseException as err:
    raise ImportError('half imported') from err
"""
FIRST_OF_A_NODE, FIRST_OF_THE_COMMAND_LINE = ('rclpy', 'diagnostic_msgs'), ('argparse',)


def child(folder: Path, *script: str) -> subprocess.Popen[str]:
    """Start a Python that finds the modules of a folder before all others."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(
        [str(folder), str(REPOSITORY), *filter(None, [os.environ.get('PYTHONPATH')])]))
    return subprocess.Popen([sys.executable, *script], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)


def stopped(process: subprocess.Popen[str], word: str,
            number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal once the word is out; return status and what else was printed."""
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == word
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return process.returncode, out, err


def test_every_program_begins_here() -> None:
    assert [(module, function) for _, module, function in PROGRAMS] == [
        ('entry', name) for name, _, _ in PROGRAMS]
    assert {name for name, _, _ in PROGRAMS} == {
        'uncloning', 'simulator', 'demonstrator', 'recorder', 'keyboard', 'gripper',
        'teleoperation', 'policy'}


@pytest.mark.parametrize('number', SIGNALS)
@pytest.mark.parametrize('name', [name for name, _, _ in PROGRAMS])
def test_a_signal_amid_the_imports_ends_a_program_without_a_word(
        tmp_path: Path, name: str, number: signal.Signals) -> None:
    slow = FIRST_OF_THE_COMMAND_LINE if name == 'uncloning' else FIRST_OF_A_NODE
    for module in slow:
        (tmp_path / f'{module}.py').write_text(SLOW)
    process = child(tmp_path, '-c', f'import sys\nfrom uncloning_ros.entry import {name}\n'
                                    f'sys.exit({name}())')
    assert stopped(process, 'importing', number) == (130, '', '')


@pytest.mark.parametrize('number', SIGNALS)
def test_a_signal_before_a_program_has_its_own_handlers_closes_what_it_opened(
        tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / 'program.py').write_text("""
import time
def main():
    try:
        print('open', flush=True)
        time.sleep(60)
    finally:
        print('closed')
""")
    process = child(tmp_path, '-c', 'from uncloning_ros.entry import begin\nbegin("program")')
    assert stopped(process, 'open', number) == (130, 'closed\n', '')


def test_a_program_ends_with_the_status_of_its_main(tmp_path: Path) -> None:
    (tmp_path / 'program.py').write_text('def main():\n    return 2\n')
    process = child(tmp_path, '-c', 'import sys\nfrom uncloning_ros.entry import begin\n'
                                    'sys.exit(begin("program"))')
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (2, '', '')


@pytest.mark.parametrize(('name', 'module', 'remedy'), [
    ('policy', 'rclpy', 'source /opt/ros/jazzy/setup.bash'),
    ('policy', 'diagnostic_msgs', 'source /opt/ros/jazzy/setup.bash'),
    ('recorder', 'rosbags', "pip install '.[run]'"),
    ('simulator', 'pybullet', "pip install '.[sim]'")])
def test_a_node_without_its_library_ends_with_a_sentence(
        tmp_path: Path, name: str, module: str, remedy: str) -> None:
    (tmp_path / f'{name}_node.py').write_text(
        f'raise ModuleNotFoundError("none", name="{module}.msg")')
    process = child(tmp_path, '-c', f"""
import importlib, sys
from uncloning_ros import entry
real = importlib.import_module
importlib.import_module = lambda module: real('{name}_node')
sys.exit(entry.{name}())
""")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (2, '')
    assert err.startswith('uncloning_ros: error: ') and err.count('\n') == 1
    assert f'{name} needs {module}.msg' in err and remedy in err


def test_a_defect_in_a_node_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / 'program.py').write_text('from os import no_such_name')
    process = child(tmp_path, '-c', 'from uncloning_ros.entry import begin\nbegin("program")')
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1 and 'no_such_name' in err and 'Traceback' in err
