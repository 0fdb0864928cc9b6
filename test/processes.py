# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own, as on a robot."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[1]
END_TIMEOUT_S = 30.0


def script(name: str) -> ModuleType:
    """Return one of the scripts as a module; they import each other."""
    folder = str(REPOSITORY / 'scripts')
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


class Process:
    """One node's process; its output goes to a file."""

    def __init__(self, name: str, log: Path, parameters: dict[str, object],
                 namespace: str) -> None:
        words = [word for key, value in parameters.items()
                 for word in ('-p', f'{key}:={value}')]
        if namespace:
            words += ['-r', f'__ns:={namespace}']
        environment = dict(os.environ, PYTHONUNBUFFERED='1', PYTHONPATH=os.pathsep.join(
            [str(REPOSITORY), *filter(None, [os.environ.get('PYTHONPATH')])]))
        self._log = log
        with log.open('wb') as output:
            # Tests that run under nohup ignore SIGHUP, and so would their children.
            self._process = subprocess.Popen(
                ['env', '--default-signal=HUP', sys.executable, '-m',
                 f'uncloning_ros.nodes.{name}', *(['--ros-args', *words] if words else [])],
                stdout=output, stderr=subprocess.STDOUT, env=environment)

    @property
    def rss_kb(self) -> int:
        """Return how much memory the process has."""
        status = Path(f'/proc/{self._process.pid}/status').read_text(encoding='utf-8')
        [line] = [line for line in status.splitlines() if line.startswith('VmRSS:')]
        return int(line.split()[1])

    @property
    def output(self) -> str:
        return self._log.read_text(errors='replace')

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit status once the process has ended."""
        return self._process.wait(END_TIMEOUT_S)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Processes:
    """Start nodes; whatever still runs at the end of a test is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Process] = []

    def start(self, name: str, namespace: str = '', **parameters: object) -> Process:
        if name == 'policy':  # not into the home of whoever runs the tests
            parameters = {'incident_dir': self._folder / 'incidents', **parameters}
        log = self._folder / f'{len(self.all)}_{name}.log'
        process = Process(name, log, parameters, namespace)
        self.all.append(process)
        return process
