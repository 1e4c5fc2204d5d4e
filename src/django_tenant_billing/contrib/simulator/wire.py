"""What crosses between HTTP and the protocols: requests in, answers and errors out."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Answer:
    """One HTTP response, ready to send."""

    status: int
    body: str | bytes
    content_type: str
    location: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class RequestError(Exception):
    """A request that is answered with an error in JSON; it changed nothing."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def bad_request(detail: str) -> RequestError:
    """Refuse with the reason."""
    return RequestError(HTTPStatus.BAD_REQUEST, {"detail": detail})


def json_answer(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Answer with a JSON value."""
    return Answer(status, json.dumps(value), "application/json")


def html_answer(page: str, status: int = HTTPStatus.OK) -> Answer:
    """Answer with a page."""
    return Answer(status, page, "text/html; charset=utf-8")


def redirect(url: str) -> Answer:
    """Send the browser on with a GET."""
    return Answer(HTTPStatus.FOUND, "", "text/plain", location=url)


def read_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in a request's body, or refuse with 400."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:  # a body of nothing but "[" exhausts the parser's stack
        raise RequestError(HTTPStatus.BAD_REQUEST, {"detail": f"JSON parse error - {error}"}) from error
    if not isinstance(value, dict):
        message = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
        raise RequestError(HTTPStatus.BAD_REQUEST, {"non_field_errors": [message]})
    return value


def is_seconds(value: object) -> bool:
    """Tell whether this is a time that can be waited for: up to thirty years."""
    return type(value) in (int, float) and 0 <= value <= 10**9  # type: ignore[operator]


def is_loopback(host: str) -> bool:
    """Tell whether a host name or IPv4 address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
