"""What the daemon's health address answers, asked with the standard library alone: bounded, without redirects or proxies."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final
from urllib.parse import urlsplit

from airflow.sdk.exceptions import AirflowException

from watcher.dags.http_connections import HttpService

TIMEOUT: Final = 10.0  # seconds
LARGEST: Final = 16 * 1024 * 1024  # bytes
_SAMPLE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a text."""

    status: int
    text: str

    def json(self) -> Any:
        """The text as JSON; None when it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def ask(service: HttpService, path: str) -> Answer:
    """The answer to one GET, whatever its status. Raises AirflowException, without the credentials, when there is none."""
    host = urlsplit(service.base_url).netloc.rpartition("@")[2]
    try:
        request = urllib.request.Request(service.base_url + path, headers=dict(service.headers))  # noqa: S310 - see next
        with _opener(service).open(request, timeout=TIMEOUT) as response:
            return _read(response, host)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error, host)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise AirflowException(f"the daemon does not answer at {host}: {reason}") from error


def _opener(service: HttpService) -> urllib.request.OpenerDirector:
    """Knows http and https only, so an address of another kind (a file, say) is an error."""
    context = ssl.create_default_context(cafile=service.verify if isinstance(service.verify, str) else None)
    if service.verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoRedirect(),
    ):
        opener.add_handler(handler)
    return opener


def _read(response: Any, host: str) -> Answer:
    body = response.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise AirflowException(f"the answer of {host} is larger than {LARGEST >> 20} MiB: that is no watcher")
    return Answer(response.status, body.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of metrics: name, labels, value."""

    all: Sequence[tuple[str, Mapping[str, str], float]]

    def one(self, name: str, **labels: str) -> float:
        """The value of one series. Raises AirflowException when it is not there: no watcher, or one of another version."""
        for found, own, value in self.all:
            if found == name and labels.items() <= own.items():
                return value
        raise AirflowException(f"/metrics has no {name}: is this the address of a watcher, and of this version?")

    def by(self, name: str, label: str) -> dict[str, float]:
        """label's value -> value, for each series of a metric; empty when there is none."""
        return {own[label]: value for found, own, value in self.all if found == name and label in own}


def samples(text: str) -> Samples:
    r"""The samples of Prometheus' text format; lines that are none are left out.

    >>> samples('# HELP a b\na{x="1",y="\\"2\\""} 3.0\nb 4').all
    [('a', {'x': '1', 'y': '"2"'}, 3.0), ('b', {}, 4.0)]
    """
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            found.append((name, {key: _plain(each) for key, each in _LABEL.findall(labels or "")}, float(value)))
        except ValueError:
            continue
    return Samples(found)


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
