# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page server answers below its token alone, one request at a time, and ends in good order."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from uncloning_ros.errors import UncloningError
from uncloning_ros.page_server import PageServer, Request, Response, new_token

TOKEN = 'k7m2p9qx'  # noqa: S105 - of a test


@contextlib.contextmanager
def serving(answer, host: str = '127.0.0.1') -> Iterator[PageServer]:
    """Give a server that runs in a thread of its own."""
    server = PageServer(answer, host, 0, TOKEN)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


def ask(server: PageServer, method: str, path: str, body: str | bytes | None = None,
        headers: dict[str, str] | None = None) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection('127.0.0.1', server.server_address[1], timeout=20)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response.status, response.read().decode(), response.headers


def told(request: Request) -> Response:
    return Response(f'{request.path} {dict(request.query)} {request.form}')


def test_a_request_arrives_as_it_was_sent() -> None:
    with serving(told) as server:
        assert server.address == f'http://127.0.0.1:{server.server_address[1]}/{TOKEN}/'
        status, text, headers = ask(server, 'GET', f'/{TOKEN}/trial/7?saved=6&x=')
        assert (status, text) == (200, "trial/7 {'saved': '6', 'x': ''} None")
        assert "default-src 'none'" in headers['Content-Security-Policy']
        assert headers['Cache-Control'] == 'no-store'
        assert 'ä' in ask(server, 'POST', f'/{TOKEN}/a%20b', 'notes=%C3%A4+b&seen=')[1]
        status, _, headers = ask(server, 'GET', f'/{TOKEN}')
        assert (status, headers['Location']) == (303, f'/{TOKEN}/')


@pytest.mark.parametrize('path', [
    '/', '//', '/favicon.ico', f'/{TOKEN[:-1]}/', f'/{TOKEN}x/', f'/x/{TOKEN}/', '//[/', '/%00/',
    f'/{TOKEN.upper()}/', '/\xff/'])
def test_an_address_without_the_token_reaches_no_page(path: str) -> None:
    def answer(request: Request) -> Response:
        raise AssertionError('it was asked')

    with serving(answer) as server:
        for method in ('GET', 'POST'):
            target = path.encode('latin-1').decode('latin-1')
            if not target.isascii():
                status = _raw(server, f'{method} {target} HTTP/1.0\r\nContent-Length: 0\r\n\r\n')
            else:
                status = ask(server, method, target, '')[0]
            assert status == 403


def _raw(server: PageServer, text: str) -> int:
    with socket.create_connection(server.server_address[:2], timeout=20) as connection:
        connection.sendall(text.encode('latin-1'))
        return int(connection.makefile('rb').readline().split()[1])


@pytest.mark.parametrize('headers', [
    {'Content-Length': '99999999'}, {'Content-Length': '-1'}, {'Content-Length': 'x'},
    {'Content-Length': '9' * 5000}])
def test_a_form_without_a_length_in_the_limit_is_refused(headers: dict[str, str]) -> None:
    with serving(told) as server:
        status, text, _ = ask(server, 'POST', f'/{TOKEN}/', b'', headers)
    assert status == 413 and f'at most 65536 bytes, got {headers["Content-Length"][:20]};' in text


def test_a_client_that_sends_all_of_a_long_form_reads_why_it_is_refused() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response('')

    with serving(answer) as server:
        status, text, _ = ask(server, 'POST', f'/{TOKEN}/', b'a' * 10_500_000)
    assert status == 413 and 'at most 65536 bytes, got 10500000; shorten it' in text
    assert not asked


def test_a_form_that_ends_too_early_is_not_taken() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response('')

    with (serving(answer) as server,
          socket.create_connection(server.server_address[:2], timeout=20) as connection):
        connection.sendall(f'POST /{TOKEN}/ HTTP/1.0\r\nContent-Length: 20\r\n\r\nanswer=le'
                           .encode())
        connection.shutdown(socket.SHUT_WR)
        text = connection.makefile('rb').read().decode()
    assert ' 400 ' in text.splitlines()[0] and 'a form of 20 bytes, got 9; send it again' in text
    assert not asked


def test_a_mistake_is_shown_as_a_page_without_html_of_its_own() -> None:
    def answer(request: Request) -> Response:
        raise UncloningError('expected a, got <b>')

    with serving(answer) as server:
        status, text, _ = ask(server, 'GET', f'/{TOKEN}/')
    assert status == 400 and 'expected a, got &lt;b&gt;' in text


def test_a_defect_ends_its_request_and_not_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: Request) -> Response:
        if request.path == 'bad':
            raise ZeroDivisionError
        return Response('good')

    with serving(answer) as server:
        with pytest.raises(http.client.BadStatusLine):
            ask(server, 'GET', f'/{TOKEN}/bad')
        assert ask(server, 'GET', f'/{TOKEN}/')[1] == 'good'
    assert 'ZeroDivisionError' in capsys.readouterr().err


def test_answers_are_made_one_at_a_time_and_silent_clients_do_not_matter() -> None:
    inside: list[int] = []
    most: list[int] = []

    def answer(request: Request) -> Response:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return Response('')

    with serving(answer) as server, socket.create_connection(server.server_address[:2]):
        threads = [threading.Thread(target=ask, args=(server, 'GET', f'/{TOKEN}/'))
                   for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert most == [1] * 8


def test_an_answer_that_is_being_made_is_finished_before_the_end() -> None:
    begun, finished = threading.Event(), threading.Event()

    def answer(request: Request) -> Response:
        begun.set()
        time.sleep(1.5)  # longer than the server takes to notice its end
        finished.set()
        return Response('')

    with serving(answer) as server:
        threading.Thread(target=ask, args=(server, 'GET', f'/{TOKEN}/'), daemon=True).start()
        assert begun.wait(20)
    assert finished.is_set()


def test_a_port_in_use_and_an_unknown_host_get_a_sentence() -> None:
    with serving(told) as server:
        port = server.server_address[1]
        with pytest.raises(UncloningError, match=f'got 127.0.0.1:{port}: .*in use.*--port'):
            PageServer(told, '127.0.0.1', port, TOKEN)
    for host in ('no.such.host.invalid', 'a' * 300, '8.8.8.8'):
        with pytest.raises(UncloningError, match='; give another --port or --host'):
            PageServer(told, host, 0, TOKEN)


IPV6 = pytest.mark.skipif(not Path('/proc/net/if_inet6').exists(), reason='no IPv6 here')


@IPV6
def test_an_address_of_ipv6_is_shown_so_that_it_opens() -> None:
    with serving(told, '::1') as server, urlopen(server.address) as response:  # noqa: S310
        assert response.status == 200


@pytest.mark.parametrize('every', ['0.0.0.0', pytest.param('::', marks=IPV6)])  # noqa: S104
def test_every_address_is_shown_as_one_that_a_telephone_can_open(every: str) -> None:
    server = PageServer(told, every, 0, TOKEN)
    try:
        assert every not in server.address
    finally:
        server.server_close()


def test_tokens_are_random_and_easy_to_type() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert not set(''.join(tokens)) - set('abcdefghijkmnpqrstuvwxyz23456789')
    assert {len(token) for token in tokens} == {8}
