"""The one way a gateway talks to its server: a total deadline, no redirects, a size cap, strict JSON, no leaks.

requests alone bounds neither a dripping server nor a large body, follows a redirect to another host with what it was
given, and keeps credentials in the frames of its errors.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import requests
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from ..exceptions import GatewayTimeout, GatewayUnavailable

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 12.0
MAX_BYTES = 64 * 1024
"""Of the decoded body; real answers have less than one kilobyte."""

LEVELS = 5
"""How deep an answer is looked into; real ones have two levels."""
SHORTEST_HIDDEN = 8
"""A shorter secret is nobody's but a test's, and would be found in words where nobody wrote it."""


class Secret:
    """A credential that shows itself to nobody who did not ask by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def hidden_in(self, value: Any, levels: int = LEVELS) -> Any:
        """A value of JSON with stars wherever it repeats the secret, and in the place of what is nested too deep."""
        if isinstance(value, str):
            return value.replace(self._value, "****") if len(self._value) >= SHORTEST_HIDDEN else value
        if not isinstance(value, Mapping | list):
            return value
        if not levels:
            return "****"
        if isinstance(value, Mapping):
            return {self.hidden_in(name): self.hidden_in(entry, levels - 1) for name, entry in value.items()}
        return [self.hidden_in(entry, levels - 1) for entry in value]

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(****)"

    def __reduce__(self) -> Any:
        raise TypeError("A secret is not pickled.")


class HeaderAuth(AuthBase):
    """Puts ``<scheme> <secret>`` into the Authorization header as late as possible."""

    def __init__(self, scheme: str, secret: Secret) -> None:
        self._scheme = scheme
        self.secret = secret

    @sensitive_variables()
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"{self._scheme} {self.secret.reveal()}"
        return r


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole JSON object that came in time, whatever its HTTP status."""

    http_status: int
    body: Mapping[str, Any]


def post_json(url: str, payload: Mapping[str, Any], auth: HeaderAuth, *, seconds: float = TOTAL_SECONDS) -> Answer:
    """POST a JSON object and read one back, within ``seconds`` in all. Never sent twice.

    What the answer repeats of the secret is stars. Raises GatewayTimeout when the time is over, GatewayUnavailable for
    everything else that is not a JSON object.
    """
    return _ask("POST", url, seconds, auth.secret, json=payload, auth=auth)


def get_json(url: str, query: Mapping[str, str], secret: Secret, *, seconds: float = TOTAL_SECONDS) -> Answer:
    """GET a JSON object, without any credential; ``secret`` is not sent. Hides it and raises as post_json does."""
    return _ask("GET", url, seconds, secret, params=query)


def read_object(raw: bytes) -> Mapping[str, Any] | None:
    """One JSON object, read strictly: no duplicate keys, no NaN, numbers with a point kept as text. Else None."""
    body: Any = None
    with suppress(ValueError, RecursionError):
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=str)
    return body if isinstance(body, dict) else None


@sensitive_variables()
def _ask(method: str, url: str, seconds: float, secret: Secret, **content: Any) -> Answer:
    ends = time.monotonic() + seconds
    try:
        status, body = _exchange(method, url, seconds, secret, content)
    except (requests.RequestException, OSError, ValueError) as error:
        problem = type(error).__name__
        timed_out = isinstance(error, requests.Timeout)
    else:
        problem, timed_out = "", False
    # Fresh errors, outside the except block: the frames below hold the prepared request with its credentials, and the
    # text of an answer that may repeat them.
    if timed_out or time.monotonic() >= ends:
        raise GatewayTimeout(f"The gateway did not answer within {seconds:g} seconds.")
    if problem:
        raise GatewayUnavailable(f"The gateway could not be reached ({problem}).")
    if body is None:
        raise GatewayUnavailable(f"The gateway answered HTTP {status} with something that is no JSON object.")
    return Answer(status, body)


@sensitive_variables()
def _exchange(
    method: str, url: str, seconds: float, secret: Secret, content: Mapping[str, Any]
) -> tuple[int, Mapping[str, Any] | None]:
    with _deadline(seconds) as adapter, _Session() as session:
        session.trust_env = False  # no proxies, no .netrc: where secrets go is not for the environment to say
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        with session.request(
            method,
            url,
            headers={"Accept": "application/json"},
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            allow_redirects=False,
            stream=True,
            **content,
        ) as response:
            raw = b""
            for chunk in response.iter_content(8192):
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise ValueError("the answer is too large")
            # Hidden before any caller has it in hand: error reports show the variables of every frame.
            found = read_object(raw)
            return response.status_code, None if found is None else secret.hidden_in(found)


class _Session(requests.Session):
    """Sees no redirects. Without ``allow_redirects`` requests still prepares one, and reads its whole body for that."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _QuietResponse(http.client.HTTPResponse):
    """Forgets what is no header among its headers: urllib3 would log it, and it may repeat our key."""

    def begin(self) -> None:
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


class _WatchingAdapter(HTTPAdapter):
    """Remembers the sockets it opens, so that a timer can shut them down."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)
        self._sockets: list[socket.socket] = []
        self._over = False
        self._lock = threading.Lock()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        watch = self._watch

        class Watched(pool.ConnectionCls):  # type: ignore[misc]
            debuglevel = 0  # a site that debugs its own requests has our key printed with them otherwise
            response_class = _QuietResponse

            def _new_conn(self) -> socket.socket:
                opened: socket.socket = super()._new_conn()
                watch(opened)
                return opened

        pool.ConnectionCls = Watched
        return pool

    def _watch(self, opened: socket.socket) -> None:
        with self._lock:
            # A duplicate stays valid when TLS takes the descriptor over from the socket it wraps.
            self._sockets.append(opened.dup())
            if self._over:
                self._shut()

    def cut(self) -> None:
        """The time is over: wake whoever waits on these sockets."""
        with self._lock:
            self._over = True
            self._shut()

    def release(self) -> None:
        with self._lock:
            for duplicate in self._sockets:
                duplicate.close()
            self._sockets.clear()

    def _shut(self) -> None:
        for duplicate in self._sockets:
            with suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)


@contextmanager
def _deadline(seconds: float) -> Iterator[_WatchingAdapter]:
    adapter = _WatchingAdapter()
    timer = threading.Timer(seconds, adapter.cut)
    timer.daemon = True
    timer.start()
    try:
        yield adapter
    finally:
        timer.cancel()
        adapter.release()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate keys")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
