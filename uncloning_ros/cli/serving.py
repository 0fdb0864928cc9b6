# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that serve pages: address, port, token."""

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncloning_ros.page_server import Answer, PageServer

_MOST_PORT = 65535


def add_serving(parser: argparse.ArgumentParser) -> None:
    """Add the options for serving pages."""
    from uncloning_ros.page_server import HOST, PORT

    parser.add_argument('--host', default=HOST, metavar='ADDRESS',
                        help='address to serve at; 0.0.0.0 lets telephones in the same network '
                             'reach it (default: %(default)s, this machine alone)')
    parser.add_argument('--port', type=_port, default=PORT, metavar='N',
                        help='port; 0 is any that is free (default: %(default)s)')
    parser.add_argument('--token', type=_token, metavar='TEXT',
                        help='end of the address, 8 letters or digits at least (default: random)')


def opened(answer: 'Answer', args: argparse.Namespace) -> 'PageServer':
    """Return the server of pages by the options of `add_serving`; raise if the port is in use."""
    from uncloning_ros.page_server import PageServer, new_token

    return PageServer(answer, args.host, args.port, args.token or new_token())


def serve(server: 'PageServer') -> None:
    """Print the address of a server, and serve until Ctrl-C."""
    print(f'open {server.address}', flush=True)
    server.run()


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MOST_PORT):
        raise argparse.ArgumentTypeError(f'expected a port from 0 to {_MOST_PORT}, got {text!r}')
    return int(text)


def _token(text: str) -> str:
    if not re.fullmatch('[A-Za-z0-9]{8,64}', text):
        raise argparse.ArgumentTypeError(f'expected 8 to 64 letters or digits, got {text!r}')
    return text
