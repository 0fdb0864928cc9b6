# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve pages with forms from this machine, to it alone unless another address is given.

Every page lies below a token, as in http://127.0.0.1:8765/k7m2p9qx/, so a page of another site
that the same browser shows cannot send answers here. Pages are made one at a time, in the order of
the requests. Nothing is encrypted: serve in a network that is trusted.
"""

import contextlib
import errno
import secrets
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from uncloning_ros import page
from uncloning_ros.errors import UncloningError

HOST, PORT = '127.0.0.1', 8765
_EVERY_ADDRESS = ('0.0.0.0', '::')  # noqa: S104 - a user has to ask for it
# Easy to type on a telephone: no two letters look alike, 8 of them have 40 bits.
_LETTERS, _LENGTH = 'abcdefghijkmnpqrstuvwxyz23456789', 8
_MOST_FORM_BYTES = 2**16
_MOST_REFUSED_BYTES = 2**30  # read of a form that is refused, and not kept
_PATIENCE_S = 5.0  # for a request that does not go on
_HEADERS = {
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                               "script-src 'self'; form-action 'self'; frame-ancestors 'none'; "
                               "base-uri 'none'",
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store'}


@dataclass(frozen=True)
class Request:
    """A request for `path`, which is below the token; `form` is None unless a form was sent."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Response:
    """A page, or with `go_to` the path of another one to go to."""

    text: str = ''
    status: int = 200
    kind: str = 'text/html'
    go_to: str | None = None


Answer = Callable[[Request], Response]


def new_token() -> str:
    """Return a random token."""
    return ''.join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def message(title: str, sentence: str, status: int) -> Response:
    """Return a page with one sentence."""
    return Response(page.html(title, [page.header('uncloning', title, ''),
                                      page.notice(sentence, 'bad')]), status)


class PageServer(ThreadingHTTPServer):
    """Pages that `answer` makes, at `host` and `port`; 0 is any port that is free.

    `answer` runs in one thread at a time. An `UncloningError` of it is shown as a page. Raise
    `UncloningError` if the port is in use.
    """

    daemon_threads = True

    def __init__(self, answer: Answer, host: str, port: int, token: str) -> None:
        self.token = token
        self._answer, self._one_at_a_time = answer, Lock()
        if ':' in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, UnicodeError) as err:
            reason = getattr(err, 'strerror', None) or err
            used = getattr(err, 'errno', None) == errno.EADDRINUSE
            raise UncloningError(f'expected an address of this machine with a free port, got '
                                 f'{host}:{port}: {reason}; '
                                 f'{"stop the other server, or " if used else ""}give another '
                                 f'--port or --host') from err

    @property
    def address(self) -> str:
        """Return the address to type into a browser."""
        host, port = str(self.server_address[0]), self.server_address[1]
        name = _own_address() if host in _EVERY_ADDRESS else f'[{host}]' if ':' in host else host
        return f'http://{name}:{port}/{self.token}/'

    def run(self) -> None:
        """Serve until an exception such as Ctrl-C; the page that is being made is finished."""
        try:
            self.serve_forever()
        finally:
            self._one_at_a_time.acquire()
            self.server_close()

    def response(self, target: str, form: Mapping[str, str] | None) -> Response:
        """Return the response to a request for a target such as '/k7m2p9qx/trial/7?saved=6'."""
        place, _, query = target.partition('?')
        first, slash, path = place.removeprefix('/').partition('/')
        if not secrets.compare_digest(first.encode(), self.token.encode()):
            return message('Not here', 'Expected the address that the program printed, with its '
                                       'token, got another; type all of it.', 403)
        if not slash:
            return Response(go_to='', status=303)
        request = Request(unquote(path), _firsts(query), form)
        try:
            with self._one_at_a_time:
                return self._answer(request)
        except UncloningError as err:
            return message('This cannot be done', str(err), 400)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a defect, unless it is a telephone that went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        self._send(self.server.response(self.path, None))

    def do_POST(self) -> None:
        length = self.headers.get('Content-Length', 'none')
        if not (length.isdecimal() and len(length) < 9 and int(length) <= _MOST_FORM_BYTES):
            self.close_connection = True
            self._send(message('Too long', f'Expected a form with a length of at most '
                                           f'{_MOST_FORM_BYTES} bytes, got {length:.20}; shorten '
                                           f'it.', 413))
            self._read_away()
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # the client is gone, or has said all that it will say
            self._send(message('Cut off', f'Expected a form of {int(length)} bytes, got '
                                          f'{len(body)}; send it again.', 400))
            return
        self._send(self.server.response(self.path, _firsts(body.decode('utf-8', 'replace'))))

    def _read_away(self) -> None:
        """Read what the client still sends: a reset would keep it from reading the answer."""
        left = _MOST_REFUSED_BYTES
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (part := self.rfile.read1(_MOST_FORM_BYTES)):
                left -= len(part)

    def _send(self, response: Response) -> None:
        body = response.text.encode()
        self.send_response(response.status)
        if response.go_to is not None:
            self.send_header('Location', f'/{self.server.token}/{quote(response.go_to, "/?=")}')
        self.send_header('Content-Type', f'{response.kind}; charset=utf-8')
        self.send_header('Content-Length', str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return 'uncloning'

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the pages say what was saved."""


def _firsts(text: str) -> dict[str, str]:
    """Return the first value of each field of a form or query."""
    try:
        return {key: values[0] for key, values in parse_qs(text, True).items()}
    except ValueError:  # thousands of fields
        return {}


def _own_address() -> str:
    """Return the address under which the local network knows this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
