# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium to look at pages with, driven over a pipe; tests without one are skipped."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which('chromium') or shutil.which('google-chrome')
PATIENCE_S = 60.0


class Browser:
    """A browser that shows one page at a time."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = os.fdopen(write, 'wb'), os.fdopen(read, 'rb')
        self._number, self._rest = 0, b''
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = {'sessionId': self._call('Target.attachToTarget', targetId=target,
                                                 flatten=True)['sessionId']}
        self.call('Page.enable')

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b'\0' not in self._rest:
                data = self._read.read1(2**16)
                assert data, 'the browser has ended'
                self._rest += data
            message, _, self._rest = self._rest.partition(b'\0')
            yield json.loads(message)

    def _call(self, method: str, session: dict[str, str] | None = None,
              **params: Any) -> dict[str, Any]:
        self._number += 1
        self._write.write(json.dumps({'id': self._number, 'method': method, 'params': params}
                                     | (session or {})).encode() + b'\0')
        self._write.flush()
        found = next(one for one in self._messages() if one.get('id') == self._number)
        assert 'error' not in found, found
        return found['result']

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol to the page."""
        return self._call(method, self._session, **params)

    def _loaded(self) -> None:
        next(one for one in self._messages() if one.get('method') == 'Page.loadEventFired')

    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self.call('Page.navigate', url=address)
        self._loaded()

    def reload(self) -> None:
        """Load the page again."""
        self.call('Page.reload')
        self._loaded()

    def run(self, script: str) -> Any:
        """Return the value of a script in the page."""
        found = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in found, found
        return found['result'].get('value')

    def go(self, script: str) -> None:
        """Run a script that opens another page, and wait until it is loaded."""
        self.run(script)
        self._loaded()

    def size(self, width: int, height: int) -> None:
        """Pretend a telephone of this size (CSS pixels)."""
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=2, mobile=True)

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        path.write_bytes(base64.b64decode(self.call(
            'Page.captureScreenshot', captureBeyondViewport=True)['data']))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call('Page.printToPDF', preferCSSPageSize=True)['data'])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Give a browser whose profile lies in a folder."""
    if PROGRAM is None:
        pytest.skip('Chromium is not installed')
    command_out, command_in = os.pipe()
    answer_out, answer_in = os.pipe()
    # The browser listens at 3 and answers at 4.
    process = subprocess.Popen(
        ['bash', '-c', f'exec "$0" "$@" 3<&{command_out} 4>&{answer_in}', PROGRAM,
         '--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe',
         f'--user-data-dir={folder}'],
        pass_fds=(command_out, answer_in), stderr=subprocess.DEVNULL)
    os.close(command_out)
    os.close(answer_in)
    watch = threading.Timer(PATIENCE_S, process.kill)
    watch.start()
    try:
        yield Browser(command_in, answer_out)
    finally:
        watch.cancel()
        process.terminate()
        process.wait()
