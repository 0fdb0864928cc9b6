# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: help that teaches, one sentence and status 2 for bad input, no traceback."""

import argparse
import contextlib
import errno
import io
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest

import uncloning_ros
from uncloning_ros.cli import arguments, main
from uncloning_ros.errors import OutputExistsError, UncloningError
from uncloning_ros.progress import progress_bar
from uncloning_ros.share import share_path

REPOSITORY = Path(__file__).resolve().parents[2]


def raising(error: BaseException) -> types.SimpleNamespace:
    """Return a command's module whose run raises."""
    def run(args: argparse.Namespace) -> int:
        raise error
    return types.SimpleNamespace(__doc__='Fail.', add_arguments=lambda parser: None, run=run)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Return the module that stands in for the command `audit`."""
    module = types.SimpleNamespace(__doc__='Stand in.', add_arguments=lambda parser: None,
                                   run=lambda args: 0)
    monkeypatch.setitem(sys.modules, 'uncloning_ros.cli.audit', module)
    return module


def fail_with(command: types.SimpleNamespace, error: BaseException) -> int:
    command.run = raising(error).run
    return main.main(['audit'])


@pytest.mark.parametrize('status', [0, 1])
def test_status_of_the_command_is_returned(command: types.SimpleNamespace, status: int) -> None:
    command.run = lambda args: status
    assert main.main(['audit']) == status


def test_bad_input_is_one_sentence_and_status_2(command: types.SimpleNamespace,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(command, UncloningError('expected 7 joints, got 6')) == 2
    assert capsys.readouterr() == ('', 'uncloning: error: expected 7 joints, got 6\n')


def test_ctrl_c_is_one_line_and_status_130(command: types.SimpleNamespace,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(command, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip().startswith('uncloning: stopped')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_what_an_interrupted_library_raises_is_no_traceback(
        command: types.SimpleNamespace, capsys: pytest.CaptureFixture[str],
        number: signal.Signals) -> None:
    def interrupted(args: argparse.Namespace) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise RecursionError('half imported') from None
        return 0

    command.run = interrupted
    assert main.main(['audit']) == 130
    assert capsys.readouterr().err.strip().startswith('uncloning: stopped')


def test_sigterm_ends_a_command_as_ctrl_c_does(command: types.SimpleNamespace) -> None:
    def run(args: argparse.Namespace) -> int:
        before = signal.signal(signal.SIGINT, lambda *_: heard.append('its own handler'))
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGINT, before)
        signal.raise_signal(signal.SIGTERM)
        return 0

    heard: list[str] = []
    command.run = run
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main.main(['audit']) == 130
    assert heard == ['its own handler']
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_full_disk_is_a_sentence(command: types.SimpleNamespace,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'demos/episode_3')
    assert fail_with(command, error) == 2
    assert 'demos/episode_3: the disk is full; free some space' in capsys.readouterr().err


def test_other_os_errors_name_the_file(command: types.SimpleNamespace,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(command, PermissionError(errno.EACCES, 'Permission denied', 'out')) == 2
    assert 'out: Permission denied' in capsys.readouterr().err


@pytest.mark.parametrize('module', ['pybullet', 'onnxruntime', 'rosbags.rosbag2'])
@pytest.mark.parametrize(('name', 'extra'), [
    ('demos', 'sim'), ('audit', 'sim'), ('dataset', 'train'), ('export', 'train'),
    ('inspect', 'run'), ('replay', 'run'), ('attack', 'train,sim')])
def test_missing_package_names_the_extra_that_the_command_needs(
        name: str, extra: str, module: str, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, f'uncloning_ros.cli.{name}',
                        raising(ModuleNotFoundError('no', name=module)))
    assert main.main([name]) == 2
    assert (f"{name} needs {module}, which is not installed; install it in the package's folder "
            f"with: pip install '.[{extra}]'") in capsys.readouterr().err


def test_a_defect_is_not_hidden(command: types.SimpleNamespace) -> None:
    with pytest.raises(ImportError):
        fail_with(command, ImportError('cannot import name', name='uncloning_ros.audit'))
    with pytest.raises(ZeroDivisionError):
        fail_with(command, ZeroDivisionError())


def test_unknown_command_suggests_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(['audti', 'x.onnx']) == 2
    assert "unknown command 'audti' (did you mean 'audit'?)" in capsys.readouterr().err


def test_no_command_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='2'):
        main.main([])
    assert 'usage: uncloning' in capsys.readouterr().err


def help_of(words: list[str], monkeypatch: pytest.MonkeyPatch,
            capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit, match='0'):
        main.main([*words, '--help'])
    return capsys.readouterr().out


def test_overview_has_an_example_of_every_command(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([], monkeypatch, capsys)
    for name, summary in main.COMMANDS.items():
        assert summary in ' '.join(text.split())
        assert re.search(rf'^  uncloning {name} ', text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize('name', main.COMMANDS)
def test_help_of_every_command_fits_80_columns_and_has_an_example(
        name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([name], monkeypatch, capsys)
    usage, _, rest = text.partition('\n\n')
    assert usage.startswith(f'usage: uncloning {name}')
    assert re.search(rf'^ +uncloning {name} ', rest, re.MULTILINE), 'no example'
    assert max(map(len, text.splitlines())) <= 80


def test_paragraphs_are_filled_and_examples_kept() -> None:
    formatter = main._HelpFormatter('x', width=30)
    formatter.add_text('A line that is longer than thirty columns.\n\n  a  b  \\\n    c\n')
    assert formatter.format_help() == (
        'A line that is longer than\nthirty columns.\n\n  a  b  \\\n    c\n')


def test_installed_program_starts() -> None:
    done = subprocess.run([sys.executable, '-m', 'uncloning_ros.cli.main', '--version'],
                          capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == f'uncloning_ros {uncloning_ros.__version__}\n'


def test_version_of_the_ros_package_is_that_of_the_python_package() -> None:
    package = ElementTree.parse(REPOSITORY / 'package.xml').getroot()  # noqa: S314 (our own file)
    assert package.findtext('version') == uncloning_ros.__version__


def test_output_that_exists_is_refused_even_as_a_broken_link(tmp_path: Path) -> None:
    assert arguments.new_path(str(tmp_path / 'new')) == tmp_path / 'new'
    (tmp_path / 'link').symlink_to('nowhere')
    for name in ('.', 'link'):
        with pytest.raises(OutputExistsError, match='exists already and is never overwritten'):
            arguments.new_path(str(tmp_path / name))


@pytest.mark.parametrize(('parse', 'text'), [
    (arguments.count(), '0'), (arguments.count(), '2.5'), (arguments.count(), '1000001'),
    (arguments.count(9), '10'), (arguments.count(), '1e9'), (arguments.seed, '-1'),
    (arguments.seed, str(2**63)),
    (arguments.fraction, '1.1'), (arguments.fraction, 'nan'), (arguments.fraction, 'x'),
    (arguments.names, 'a,,b'), (arguments.names, '')])
def test_wrong_values_are_refused_with_the_value(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(f'got {text!r}')):
        parse(text)


def test_right_values_are_taken() -> None:
    assert arguments.count()('3') == 3
    assert arguments.count(9)('9') == 9
    assert arguments.seed('0') == 0
    assert arguments.fraction('0.01') == 0.01
    assert arguments.names('a, b,a') == ('a', 'b')


def test_workers_default_to_the_cores_at_hand() -> None:
    parser = argparse.ArgumentParser()
    arguments.add_workers(parser)
    assert parser.parse_args([]).workers == len(os.sched_getaffinity(0))


MANY = str(10**20)


def test_a_closed_output_is_no_traceback() -> None:
    evidence = share_path('models') / 'knife_uncloned.evidence'
    done = subprocess.run(
        ['sh', '-c', f'exec "$0" -m uncloning_ros.cli.main evidence show {evidence} >&-',
         sys.executable], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('words', [
    ['evidence', 'plan', '--max-umr', '1e-7'],
    ['evidence', 'plan', '--max-umr', '0.1', '--models', MANY],
    ['evidence', 'check', 'file', '--episodes', MANY],
    ['evidence', 'check', 'file', '--workers', MANY],
    ['demos', '--scenario', 'knife', '--episodes', MANY, '--out', 'demos'],
    ['audit', 'model', '--scenario', 'knife', '--episodes', MANY],
    ['audit', 'model', '--scenario', 'knife', '--wrong-starts', MANY],
    *(['attack', 'run', '--data', 'data', '--scenario', 'knife', '--out', 'attack', option, MANY]
      for option in ('--steps', '--draws', '--from-demonstrations')),
    *(['train', 'data', '--out', 'run', option, MANY]
      for option in ('--steps', '--batch-size', '--threads', '--seed')),
    ['export', 'run', '--out', 'policy.onnx', '--development-seeds', '0:3000000000']])
def test_numbers_beyond_reason_are_refused(words: list[str], tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main.main(words)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert 'expected' in capsys.readouterr().err


@pytest.mark.parametrize('words', [
    ['demos', '--scenario', 'knife', '--episodes', '1', '--out'],
    ['label', 'demos', '--cluster', '--clusters'], ['inspect', 'demos', '--html'],
    ['inspect', 'demos', '--json'], ['dataset', 'demos', '--out'], ['train', 'data', '--out'],
    ['unclone', 'run', '--data', 'data', '--remove', 'blade_first', '--out'],
    ['attack', 'run', '--data', 'data', '--scenario', 'knife', '--out'],
    ['export', 'run', '--out'], ['audit', 'model', '--scenario', 'knife', '--json'],
    ['audit', 'model', '--scenario', 'knife', '--evidence'],
    ['audit', 'model', '--scenario', 'knife', '--html']], ids=lambda words: ' '.join(words))
def test_an_output_below_a_file_is_refused_before_any_work(
        words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path('file').write_text('mine')
    assert main.main([*words, 'file/x.json']) == 2  # of what is read nothing is there
    assert capsys.readouterr().err == (
        'uncloning: error: cannot write file/x.json: file is not a folder; give another path\n')


class Terminal(io.StringIO):
    """A terminal that keeps what is printed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(('error', 'left'), [(UncloningError('bad'), False),
                                             (KeyboardInterrupt(), True), (None, True)])
def test_an_error_leaves_no_bar_on_the_terminal(error: BaseException | None, left: bool,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    with contextlib.suppress(UncloningError, KeyboardInterrupt), progress_bar('work', 3) as bar:
        bar.update()
        if error is not None:
            raise error
    assert 'work' in terminal.getvalue()
    # The text after the last return to the line's beginning is what a person sees.
    assert ('work' in terminal.getvalue().rstrip('\r').rpartition('\r')[2]) is left
    assert terminal.getvalue().endswith('\n' if left else '\r')


def test_every_bar_is_the_one_that_an_error_takes_away() -> None:
    package = REPOSITORY / 'uncloning_ros'
    assert [path.name for path in package.rglob('*.py')
            if re.search('import tqdm', path.read_text(encoding='utf-8'))] == ['progress.py']
