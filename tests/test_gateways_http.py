"""The HTTP client against real servers that do everything wrong, and every place where its secret could show."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import requests

from django_tenant_billing.exceptions import GatewayTimeout, GatewayUnavailable
from django_tenant_billing.gateways import http
from django_tenant_billing.gateways.http import (
    MAX_BYTES,
    TOTAL_SECONDS,
    Answer,
    HeaderAuth,
    Secret,
    get_json,
    post_json,
)
from tests.servers import (
    CANARY,
    CERTIFICATE,
    Connection,
    Script,
    Server,
    after_request,
    begins,
    bomb,
    log,
    message,
    over_tls,
    places_of,
    replies,
    serving,
    shown,
)

__all__ = ["log"]  # a fixture

SHORT = 0.5
"""For servers that never end: the whole deadline passes."""
AMPLE = 8.0
"""For servers that answer at once: never reached, however slow the machine."""

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = b"x" * 100_000


def key() -> HeaderAuth:
    return HeaderAuth("Key", Secret(CANARY))


def ask(url: str, seconds: float = AMPLE) -> Answer:
    return post_json(url, {"pidx": "bZQLD9wRVWo4CdESSfuSsB"}, key(), seconds=seconds)


@dataclass
class Failure:
    error: GatewayUnavailable
    took: float
    server: Server


def failure(script: Script, seconds: float = AMPLE, *, scheme: str = "http") -> Failure:
    with serving(script) as server:
        url = server.url.replace("http", scheme, 1)
        began = time.monotonic()
        with pytest.raises(GatewayUnavailable) as caught:
            ask(url, seconds)
        return Failure(caught.value, time.monotonic() - began, server)


def assert_unseen(error: GatewayUnavailable, log: pytest.LogCaptureFixture) -> None:
    """The secret stands in nothing that this error, or any log record so far, could show to anybody."""
    assert error.__context__ is None
    assert error.__cause__ is None
    assert places_of(CANARY, shown(error, log)) == []
    assert CANARY.encode() not in pickle.dumps(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# Servers that never end. Each gets the whole request, but for the one that never ends its TLS handshake.
NEVER_ENDING: dict[str, Script] = {
    "silent": after_request(Connection.wait),
    "silent after the headers": begins(OK + b"Content-Length: 2\r\n\r\n", Connection.wait),
    "silent inside the body": begins(OK + b"Content-Length: 2\r\n\r\n{", Connection.wait),
    "drips its status line": begins(b"H", lambda connection: connection.drip(b"TTP/1.1 200 OK" + ENDLESS)),
    "drips its headers": begins(OK + b"X: ", lambda connection: connection.drip(ENDLESS)),
    "drips its body": begins(OK + b"Content-Length: 50000\r\n\r\n", lambda connection: connection.drip(ENDLESS)),
    "drips a body of no length": begins(OK + b"\r\n{}", lambda connection: connection.drip(b" " * 100_000)),
    "drips chunks": begins(CHUNKED, lambda connection: connection.drip(b"1\r\n \r\n" * 10_000)),
    "drips a chunk's size": begins(CHUNKED, lambda connection: connection.drip(b"0" * 100_000)),
    "floods 100 Continue": begins(b"", lambda connection: connection.flood(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "floods trailers": begins(
        CHUNKED + b"2\r\n{}\r\n0\r\n", lambda connection: connection.flood(b"X-Trailer: on and on\r\n")
    ),
    "floods gzip that holds nothing": begins(
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
        lambda connection: connection.flood(b"\x00\x00\x00\xff\xff" * 200),
    ),
}

SLOW: dict[str, Script] = {
    "silent": NEVER_ENDING["silent"],
    "silent after the headers": NEVER_ENDING["silent after the headers"],
    "drips a byte in half a second": begins(
        OK + b"Content-Length: 50000\r\n\r\n", lambda connection: connection.drip(ENDLESS, pause=0.5)
    ),
}

# What arrives in time, whole or not, and is no answer.
UNUSABLE_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "text": b"Service is currently unavailable",
    "an array": b"[]",
    "an array of objects": b'[{"status": "Completed"}]',
    "null": b"null",
    "a number": b"1",
    "a string": b'"Completed"',
    "true": b"true",
    "half an object": b'{"status": "Completed"',
    "two objects": b'{"status": "Completed"}{"status": "Completed"}',
    "a comma too many": b'{"status": "Completed",}',
    "single quotes": b"{'status': 'Completed'}",
    "a key twice": b'{"status": "Expired", "status": "Completed"}',
    "a key twice, once escaped": b'{"status": "Expired", "\\u0073tatus": "Completed"}',
    "a key twice further in": b'{"status": "Completed", "detail": {"a": 1, "a": 2}}',
    "NaN": b'{"total_amount": NaN}',
    "Infinity": b'{"total_amount": Infinity}',
    "-Infinity": b'{"total_amount": -Infinity}',
    "a number of 5,000 digits": b'{"total_amount": ' + b"9" * 5000 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"status": "Completed"}',
    "invalid UTF-8": b'{"status": "Completed\xff"}',
    "half a surrogate pair in UTF-8": b'{"status": "\xed\xa0\x80"}',
    "UTF-16": '{"status": "Completed"}'.encode("utf-16"),
    "arrays 30,000 deep": b'{"status": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "objects 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "one byte too many": b'{"a": "' + b"x" * (MAX_BYTES - 8) + b'"}',
    "10 MB": b" " * 10_000_000 + b"{}",
}
BROKEN_MESSAGES: dict[str, bytes] = {
    "hangs up without a word": b"",
    "speaks no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a status that is no number": b"HTTP/1.1 OK\r\n\r\n{}",
    "hangs up inside the headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "a header of 70,000 bytes": OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n{}",
    "200 headers": OK + b"X: y\r\n" * 200 + b"\r\n{}",
    "hangs up inside the body": OK + b'Content-Length: 100\r\n\r\n{"status": "Completed"}',
    "two lengths": OK + b"Content-Length: 2, 3\r\n\r\n{}",
    "hangs up inside a chunk": CHUNKED + b"20\r\n{}",
    "hangs up before the last chunk": CHUNKED + b"2\r\n{}\r\n",
    "a chunk of no size": CHUNKED + b"two\r\n{}\r\n0\r\n\r\n",
    "gzip that is none": message(b"{}", headers="Content-Encoding: gzip\r\n"),
    "204 No Content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "10 MB of no length": OK + b"\r\n" + b" " * 10_000_000 + b"{}",
    "a redirect to no address": message(b"", status="302 Found", headers="Location: http://[\r\n"),
    "a redirect to itself": message(b"", status="307 Temporary Redirect", headers="Location: /\r\n"),
    "a redirect with 10 MB": message(b" " * 10_000_000 + b"{}", status="302 Found", headers="Location: /\r\n"),
}
UNUSABLE: dict[str, Script] = {name: replies(raw) for name, raw in BROKEN_MESSAGES.items()} | {
    name: replies(message(body)) for name, body in UNUSABLE_BODIES.items()
}
UNUSABLE["resets the connection"] = after_request(Connection.reset)
UNUSABLE["gzip of 50 MB"] = after_request(
    lambda connection: connection.send(message(bomb(), headers="Content-Encoding: gzip\r\n"))
)
UNUSABLE["gzip in gzip of 50 MB"] = after_request(
    lambda connection: connection.send(message(bomb(layers=2), headers="Content-Encoding: gzip, gzip\r\n"))
)
UNUSABLE["a redirect with gzip of 50 MB"] = after_request(
    lambda connection: connection.send(
        message(bomb(), status="302 Found", headers="Location: /\r\nContent-Encoding: gzip\r\n")
    )
)
UNUSABLE["an error page that repeats the request"] = lambda connection: connection.send(
    message(connection.read_request(), status="500 Internal Server Error")
)

# What is sent, and what is understood.


def test_a_json_object_is_posted_with_the_key_and_the_answer_is_read() -> None:
    with serving(replies(message(b'{"status": "Completed", "total_amount": 1000}'))) as server:
        assert ask(server.url + "lookup/") == Answer(200, {"status": "Completed", "total_amount": 1000})
    head, _, body = server.received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /lookup/ HTTP/1.1"
    assert {"Content-Type: application/json", "Accept: application/json", f"Authorization: Key {CANARY}"} < set(lines)
    assert body == b'{"pidx": "bZQLD9wRVWo4CdESSfuSsB"}'
    assert server.connections == 1


def test_a_json_object_is_asked_for_by_a_query_without_any_credential() -> None:
    with serving(replies(message(b'{"status": "COMPLETE", "total_amount": 110.0}'))) as server:
        asked = get_json(
            server.url + "status/", {"transaction_uuid": "T1", "total_amount": "1234.5"}, Secret(CANARY), seconds=AMPLE
        )
        assert asked == Answer(200, {"status": "COMPLETE", "total_amount": "110.0"})
    lines = server.received.decode().split("\r\n")
    assert lines[0] == "GET /status/?transaction_uuid=T1&total_amount=1234.5 HTTP/1.1"
    assert "Accept: application/json" in lines
    assert "authorization" not in server.received.decode().lower()
    assert server.connections == 1


def test_asking_by_a_query_has_the_same_deadline_and_follows_no_redirect() -> None:
    with serving(lambda connection: connection.wait()) as server, pytest.raises(GatewayTimeout):
        get_json(server.url, {}, Secret(CANARY), seconds=0.3)
    moved = message(b"{}", status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")
    with serving(replies(moved)) as server:
        assert get_json(server.url, {}, Secret(CANARY), seconds=AMPLE) == Answer(302, {})
    assert server.connections == 1


@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_a_json_object_is_an_answer_whatever_its_http_status(status: int) -> None:
    with serving(replies(message(b'{"detail": "Not found."}', status=f"{status} Said So"))) as server:
        assert ask(server.url) == Answer(status, {"detail": "Not found."})
    assert server.connections == 1


@pytest.mark.parametrize(
    ("body", "understood"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a": 1} \n', {"a": 1}),
        (b'{"a": 1000.0}', {"a": "1000.0"}),
        (b'{"a": 0.1, "b": 1e3, "c": 1e999}', {"a": "0.1", "b": "1e3", "c": "1e999"}),
        (b'{"a": true, "b": null, "c": -5}', {"a": True, "b": None, "c": -5}),
        (b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
        ('{"a": "रु"}'.encode(), {"a": "रु"}),
        (b'{"a": "' + b"x" * (MAX_BYTES - 9) + b'"}', {"a": "x" * (MAX_BYTES - 9)}),
    ],
)
def test_strict_json_is_read_and_numbers_with_a_point_stay_text(body: bytes, understood: Mapping[str, Any]) -> None:
    with serving(replies(message(body))) as server:
        assert ask(server.url).body == understood


@pytest.mark.parametrize(
    "raw",
    [
        OK + b'\r\n{"a": 1}',
        CHUNKED + b'3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n',
        message(gzip.compress(b'{"a": 1}'), headers="Content-Encoding: gzip\r\n"),
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n{"a": 1}',
    ],
    ids=["no length", "chunks", "gzip", "100 Continue"],
)
def test_an_honest_answer_is_read_however_it_is_framed(raw: bytes) -> None:
    with serving(replies(raw)) as server:
        assert ask(server.url) == Answer(200, {"a": 1})


def test_an_answer_that_drips_but_ends_in_time_is_read_whole() -> None:
    with serving(after_request(lambda connection: connection.drip(message(b'{"a": 1}'), pause=0.001))) as server:
        assert ask(server.url) == Answer(200, {"a": 1})


# What fails: in time, once, by its name.


@pytest.mark.parametrize("name", NEVER_ENDING)
def test_g2_a_server_that_never_ends_is_a_timeout_on_the_second(name: str, log: pytest.LogCaptureFixture) -> None:
    failed = failure(NEVER_ENDING[name], SHORT)
    assert type(failed.error) is GatewayTimeout
    assert str(failed.error) == "The gateway did not answer within 0.5 seconds."
    assert SHORT <= failed.took < SHORT + 1
    assert failed.server.connections == 1
    assert CANARY.encode() in failed.server.received
    assert_unseen(failed.error, log)


def test_g2_at_the_deadline_of_every_look_up_each_of_these_ends_on_the_second_three_times() -> None:
    """Side by side: each of them does nothing but wait."""
    scripts = [script for script in SLOW.values() for _time in range(3)]
    with ThreadPoolExecutor(len(scripts)) as pool:
        ended = list(pool.map(partial(failure, seconds=TOTAL_SECONDS), scripts))
    defaults = {signature(ask_one).parameters["seconds"].default for ask_one in (post_json, get_json)}
    assert defaults == {TOTAL_SECONDS} == {12}
    for failed in ended:
        assert type(failed.error) is GatewayTimeout
        assert TOTAL_SECONDS <= failed.took < TOTAL_SECONDS + 1
        assert failed.server.connections == 1


def drips_its_handshake(connection: Connection) -> None:
    connection.socket.recv(65536)
    connection.send(b"\x16\x03\x03\x40\x00")
    connection.drip(ENDLESS)


def test_a_tls_handshake_that_never_ends_is_a_timeout_on_the_second(log: pytest.LogCaptureFixture) -> None:
    failed = failure(drips_its_handshake, SHORT, scheme="https")
    assert type(failed.error) is GatewayTimeout
    assert SHORT <= failed.took < SHORT + 1
    assert failed.server.connections == 1
    assert_unseen(failed.error, log)


def test_connecting_has_a_shorter_deadline_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.1)
    failed = failure(Connection.wait, scheme="https")
    assert type(failed.error) is GatewayTimeout
    assert failed.took < 0.1 + 1
    assert failed.server.connections == 1


@pytest.mark.parametrize("name", UNUSABLE)
def test_g4_what_is_no_json_object_is_unavailable_and_never_asked_again(
    name: str, log: pytest.LogCaptureFixture
) -> None:
    failed = failure(UNUSABLE[name])
    assert len(UNUSABLE) >= 40
    assert type(failed.error) is GatewayUnavailable
    assert failed.took < AMPLE + 1
    assert failed.server.connections == 1
    assert CANARY.encode() in failed.server.received
    assert "urllib3.connectionpool" in {record.name for record in log.records}
    assert_unseen(failed.error, log)


@pytest.mark.parametrize(
    "name", ["10 MB", "10 MB of no length", "a redirect with 10 MB", "gzip of 50 MB", "a redirect with gzip of 50 MB"]
)
def test_g4_a_large_answer_is_dropped_before_it_fills_the_memory(name: str) -> None:
    bomb()  # made before the memory is watched
    tracemalloc.start()
    try:
        failure(UNUSABLE[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirect_is_never_followed(status: str) -> None:
    def send_to(target: Server, body: bytes) -> Script:
        return replies(message(body, status=status, headers=f"Location: {target.url}\r\n"))

    with serving(replies(message(b'{"status": "Completed"}'))) as target:
        failed = failure(send_to(target, b""))
        with serving(send_to(target, b'{"status": "Expired"}')) as server:
            assert ask(server.url) == Answer(int(status[:3]), {"status": "Expired"})
        assert type(failed.error) is GatewayUnavailable
        assert target.connections == 0
        with serving(send_to(target, b"")) as server:  # the same redirect is one that requests alone follows
            assert requests.post(server.url, timeout=AMPLE).json() == {"status": "Completed"}
        assert target.connections == 1


ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:{port}/", "http://localhost:{port}/",
    "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://0.0.0.0:{port}/", "http://10.0.0.1/",
    "http://192.168.1.1/", "https://khalti.com.evil.example/", "//127.0.0.1:{port}/",
]  # fmt: skip


@pytest.mark.parametrize("location", ELSEWHERE)
def test_g12_a_redirect_to_another_host_or_an_internal_one_is_never_followed(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    genuine = socket.getaddrinfo

    def noting(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append((host, port))
        return genuine(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    with serving(replies(message(b'{"status": "Completed"}'))) as target:
        to = location.format(port=target.port)
        failed = failure(replies(message(b"", status="302 Found", headers=f"Location: {to}\r\n")))
        assert type(failed.error) is GatewayUnavailable
        assert (target.connections, failed.server.connections) == (0, 1)
        assert set(asked) == {("127.0.0.1", failed.server.port)}
        assert ask(target.url).body == {"status": "Completed"}


def test_a_refused_connection_is_unavailable() -> None:
    with serving(Connection.wait) as gone:
        pass
    with pytest.raises(GatewayUnavailable) as caught:
        ask(gone.url)
    assert type(caught.value) is GatewayUnavailable
    assert str(caught.value) == "The gateway could not be reached (ConnectionError)."


def test_a_name_that_leads_nowhere_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(GatewayUnavailable) as caught:
        ask("https://dev.khalti.example/api/v2/")
    assert type(caught.value) is GatewayUnavailable


@pytest.mark.parametrize("url", ["", "/epayment/lookup/", "ftp://127.0.0.1/", "http://[", "http://", "http://a:b:c/"])
def test_an_address_that_is_none_is_unavailable(url: str) -> None:
    with pytest.raises(GatewayUnavailable) as caught:
        ask(url)
    assert type(caught.value) is GatewayUnavailable


def slow_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names resolve only when every running deadline has passed."""
    genuine = socket.getaddrinfo

    def lookup(*args: Any, **kwargs: Any) -> Any:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
        return genuine(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def test_nothing_is_sent_when_the_time_is_over_before_the_connection_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = replies(message(b"{}"))
    with serving(answers) as server:
        assert ask(server.url, SHORT) == Answer(200, {})
    slow_lookup(monkeypatch)
    failed = failure(answers, SHORT)
    assert type(failed.error) is GatewayTimeout
    assert CANARY.encode() not in failed.server.received


def test_an_answer_leaves_no_timer_behind() -> None:
    timers: list[threading.Timer] = []

    def looks_around(connection: Connection) -> None:
        connection.read_request()
        timers.extend(thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
        connection.send(message(b"{}"))

    with serving(looks_around) as server:
        ask(server.url, 600)
    assert timers
    for timer in timers:
        timer.join(AMPLE)
        assert not timer.is_alive()


@pytest.mark.parametrize("body", [b"{}", b"[]"], ids=["answer", "no answer"])
def test_the_line_is_hung_up_when_the_answer_is_read(body: bytes) -> None:
    hung_up = threading.Event()

    def keeps_the_line(connection: Connection) -> None:
        connection.read_request()
        connection.send(message(body))
        connection.wait()
        hung_up.set()

    with serving(keeps_the_line) as server:
        with suppress(GatewayUnavailable):
            ask(server.url)
        assert hung_up.wait(AMPLE)


# Whom it trusts.


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


def test_a_certificate_that_nobody_signed_is_refused_whatever_the_environment_says(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    script = over_tls(certificate, replies(message(b'{"status": "Completed"}')))
    with serving(script) as server:
        naive = requests.post(server.url.replace("http", "https"), timeout=AMPLE)
        assert naive.json() == {"status": "Completed"}
    failed = failure(script, scheme="https")
    assert type(failed.error) is GatewayUnavailable
    assert str(failed.error) == "The gateway could not be reached (SSLError)."
    assert failed.server.received == b""
    assert_unseen(failed.error, log)


def test_https_is_never_downgraded(log: pytest.LogCaptureFixture) -> None:
    def speaks_first(connection: Connection) -> None:
        connection.send(message(b'{"status": "Completed"}'))
        connection.read_request()

    failed = failure(speaks_first, scheme="https")
    assert type(failed.error) is GatewayUnavailable
    assert failed.server.connections == 1
    assert CANARY.encode() not in failed.server.received
    assert_unseen(failed.error, log)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_get_nothing(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with (
        serving(replies(message(b'{"from": "proxy"}'))) as proxy,
        serving(replies(message(b'{"from": "gateway"}'))) as server,
    ):
        monkeypatch.setenv(variable, proxy.url)
        assert ask(server.url).body == {"from": "gateway"}
        assert proxy.connections == 0
        assert requests.post(server.url, timeout=AMPLE).json() == {"from": "proxy"}


def test_netrc_adds_no_credentials_and_replaces_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(replies(message(b"{}"))) as server:
        ask(server.url)
        assert b"Basic" not in server.received
        assert server.received.count(b"Authorization") == 1
        requests.post(server.url, timeout=AMPLE)
        assert b"Authorization: Basic" in server.received


# Where the secret must not be.


@pytest.mark.parametrize("url", ["", "http://[", "http://127.0.0.1:1/", "http://127.0.0.1:0/"])
def test_no_connection_that_fails_shows_the_secret(url: str, log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(GatewayUnavailable) as caught:
        ask(url)
    assert_unseen(caught.value, log)


@pytest.mark.parametrize("ending", ["\n", "\r\nX-More: 1", "रु"], ids=["line break", "header", "Nepali"])
def test_a_secret_that_no_header_can_hold_is_unavailable_and_not_shown(
    ending: str, log: pytest.LogCaptureFixture
) -> None:
    with serving(replies(message(b"{}"))) as server, pytest.raises(GatewayUnavailable) as caught:
        post_json(server.url, {}, HeaderAuth("Key", Secret(CANARY + ending)), seconds=AMPLE)
    assert CANARY.encode() not in server.received
    assert_unseen(caught.value, log)


def test_requests_alone_would_show_the_secret(log: pytest.LogCaptureFixture) -> None:
    with serving(UNUSABLE["hangs up without a word"]) as server, pytest.raises(requests.ConnectionError) as caught:
        requests.post(server.url, headers={"Authorization": f"Key {CANARY}"}, timeout=AMPLE)
    found = places_of(CANARY, shown(caught.value, log))
    assert {"locals of error", "locals of context", "html page, DEBUG=False", "html page, DEBUG=True"} <= set(found)


def test_the_search_finds_a_secret_wherever_it_is_planted(log: pytest.LogCaptureFixture) -> None:
    def fails(told: str) -> None:
        logging.getLogger("urllib3").debug("Sent %s", told)
        raise GatewayUnavailable(told)

    with pytest.raises(GatewayUnavailable) as caught:
        fails(CANARY)
    texts = shown(caught.value, log)
    assert places_of(CANARY, texts) == [place for place in texts if place != "attributes"]


SHOWS: dict[str, Callable[[object], object]] = {"str": str, "repr": repr, "format": format}


@pytest.mark.parametrize("show", SHOWS)
def test_a_secret_shows_itself_only_to_who_asks_by_name(show: str) -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert SHOWS[show](secret) == "Secret(****)"
    assert CANARY not in str(SHOWS[show](key()))
    assert CANARY not in str(vars(key()))


def test_an_answer_that_repeats_the_secret_has_stars_in_its_place_and_none_that_is_nested_too_deep() -> None:
    body = {
        CANARY: 1,
        "a": [f"Key {CANARY}!", None],
        "b": {"c": {"d": {"e": {"f": "x", "g": ["x"]}}}},
        "g": "Completed",
    }
    with serving(replies(message(json.dumps(body).encode()))) as server:
        assert ask(server.url).body == {
            "****": 1, "a": ["Key ****!", None], "b": {"c": {"d": {"e": {"f": "x", "g": "****"}}}}, "g": "Completed",
        }  # fmt: skip
        # A test's own key of a letter or two is found in every word.
        assert post_json(server.url, {}, HeaderAuth("Key", Secret("e")), seconds=AMPLE).body["g"] == "Completed"
        assert get_json(server.url, {}, Secret(CANARY), seconds=AMPLE).body["****"] == 1


def test_a_secret_is_true_where_there_is_one() -> None:
    assert Secret("x")
    assert not Secret("")


@pytest.mark.parametrize("holder", [Secret(CANARY), key()], ids=["secret", "auth"])
def test_a_secret_is_never_pickled(holder: object) -> None:
    with pytest.raises(TypeError, match="A secret is not pickled"):
        pickle.dumps(holder)


def test_the_deadlines_are_those_of_the_design() -> None:
    assert (http.CONNECT_SECONDS, http.TOTAL_SECONDS, http.MAX_BYTES) == (3.0, 12.0, 65536)
