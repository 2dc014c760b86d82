"""An API's rows arrive whole, page after page, from its own host only, and no secret is told."""

from __future__ import annotations

import gzip
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import Answer, Asked, HttpServer, http_server
from running_tasks import Task, conf_of

from watcher.dags.operators import api
from watcher.errors import ConfigError, SourceError, WatcherError
from watcher.pipeline.model import ApiSource, Ingest
from watcher.pipeline.pagination import Pagination
from watcher.pipeline.run import SourceFacts
from watcher.pipeline.secrets import Secret

Ask = Callable[[str], list[Any]]
CANARY = "c4n4ry/+=x"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """An API on this machine behind the Airflow connection `rates_http`."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # a proxy of the environment is not asked
    with http_server() as made:
        monkeypatch.setenv("AIRFLOW_CONN_RATES_HTTP", made.url)
        yield made


def rates(ingest: dict[str, Any] | None = None, **keys: Any) -> ApiSource:
    defaults: dict[str, Any] = {
        "source_id": "rates",
        "connection": "rates_http",
        "endpoint": "/v1/rates",
        "watch": None,
    }
    return ApiSource(**(defaults | keys), ingest=Ingest(**ingest) if ingest else None)


def numbered(asked: Asked, size: int = 2, last: int = 5) -> list[dict[str, int]]:
    """Items 1 to `last`, a page of `size` of them."""
    page = int(asked.params.get("page", 1))
    return [{"id": n} for n in range(1 + (page - 1) * size, 1 + min(page * size, last))]


def ids(warehouse: Ask, table: str = "orders.rates") -> list[int]:
    return [row[0] for row in warehouse(f"select id from {table} order by id")]


def test_one_answer(server: HttpServer, warehouse: Ask) -> None:
    """A list without pages is loaded as it is; a second run leaves what the API says then."""
    server.answer = lambda _: Answer([{"id": 1}, {"id": 2}])
    assert Task(rates()).run() == {"rates": 2}

    server.answer = lambda _: Answer([{"id": 3}])
    assert Task(rates()).run() == {"rates": 1}
    assert ids(warehouse) == [3]
    assert server.asked[0].path == "/v1/rates"


def test_an_answer_that_is_one_object(server: HttpServer, warehouse: Ask) -> None:
    """An object without a list in it is one row; `select` takes what is inside."""
    server.answer = lambda _: Answer({"base": "EUR", "today": {"usd": 1.1}})

    Task(rates()).run()
    assert warehouse("select base, today__usd from orders.rates") == [("EUR", 1.1)]
    Task(rates({"select": "today", "table": "today"})).run()
    assert warehouse("select usd from orders.today") == [(1.1,)]


def by_link(server: HttpServer) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        items, page = numbered(asked), int(asked.params.get("page", 1))
        link = f"{server.url}/v1/rates?page={page + 1}" if page < 3 else None
        return Answer({"items": items, "links": {"next": link}})

    return answer


def by_header(server: HttpServer) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        page = int(asked.params.get("page", 1))
        link = {"Link": f'<{server.url}/v1/rates?page={page + 1}>; rel="next"'} if page < 3 else {}
        return Answer(numbered(asked), headers=link)

    return answer


def by_cursor(_: HttpServer) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        page = int(asked.params.get("after", "p1")[1:])
        return Answer(
            {"items": numbered(Asked("", {"page": str(page)}, {})), "next": f"p{page + 1}" if page < 3 else None}
        )

    return answer


def by_header_cursor(_: HttpServer) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        page = int(asked.params.get("after", "p1")[1:])
        more = {"X-Next": f"p{page + 1}"} if page < 3 else {}
        return Answer(numbered(Asked("", {"page": str(page)}, {})), headers=more)

    return answer


def by_offset(_: HttpServer) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        start, size = int(asked.params.get("start", 0)), int(asked.params["size"])
        return Answer({"items": [{"id": n + 1} for n in range(start, min(start + size, 5))], "all": 5})

    return answer


STYLES: dict[str, tuple[dict[str, Any] | None, Callable[[HttpServer], Callable[[Asked], Answer]]]] = {
    "found by itself": (None, by_link),
    "json_link": ({"type": "json_link", "next_url_path": "links.next"}, by_link),
    "header_link": ({"type": "header_link"}, by_header),
    "cursor": ({"type": "cursor", "cursor_path": "next", "cursor_param": "after"}, by_cursor),
    "header_cursor": ({"type": "header_cursor", "cursor_key": "X-Next", "cursor_param": "after"}, by_header_cursor),
    "offset": (
        {"type": "offset", "limit": 2, "limit_param": "size", "offset_param": "start", "total_path": "all"},
        by_offset,
    ),
    "page_number": (
        {"type": "page_number", "base_page": 1, "page_param": "page", "stop_after_empty_page": True},
        lambda _: lambda asked: Answer(numbered(asked)),
    ),
}


@pytest.mark.parametrize(("style", "answers"), STYLES.values(), ids=STYLES)
def test_every_page_is_loaded(server: HttpServer, warehouse: Ask, style: dict[str, Any] | None, answers: Any) -> None:
    """Each style of pagination reads all pages, whatever the parameters beside its own."""
    server.answer = answers(server)
    pagination = Pagination(**style) if style else None

    assert Task(rates(pagination=pagination, params={"base": "EUR", "full": True})).run() == {"rates": 5}

    assert ids(warehouse) == [1, 2, 3, 4, 5]
    assert server.asked[0].params["base"] == "EUR"
    assert server.asked[0].params["full"] == "true"


def test_a_single_page_is_all_that_is_read(server: HttpServer, warehouse: Ask) -> None:
    """`single_page` follows no link."""
    server.answer = by_link(server)

    Task(rates(pagination=Pagination(type="single_page"))).run()

    assert ids(warehouse) == [1, 2]


def test_rows_with_a_key_are_merged(server: HttpServer, warehouse: Ask) -> None:
    """With a column only newer rows are loaded, with a key a newer row takes the old one's place."""
    task = Task(rates({"primary_key": ("id",), "column": "at", "columns": ("id", "rate", "at")}))
    server.answer = lambda _: Answer(
        [{"id": 1, "rate": 5, "at": "2026-01-01", "more": 0}, {"id": 2, "rate": 6, "at": "2026-01-02"}]
    )
    assert task.run() == {"rates": 2}

    server.answer = lambda _: Answer(
        [{"id": 1, "rate": 7, "at": "2026-01-03"}, {"id": 2, "rate": 6, "at": "2026-01-02"}]
    )
    assert task.run() == {"rates": 1}
    assert warehouse("select id, rate from orders.rates order by id") == [(1, 7), (2, 6)]
    assert "more" not in [row[0] for row in warehouse("select column_name from information_schema.columns")]


def test_an_api_that_nobody_watches_is_loaded_with_every_batch(server: HttpServer, warehouse: Ask) -> None:
    """A batch of another source brings the run; the API is read as in any other run."""
    server.answer = lambda _: Answer([{"id": 1}])

    assert Task(rates()).run(conf_of(SourceFacts("orders_db", 1, 0, {"insert": 1}))) == {"rates": 1}


def test_credentials_and_headers(server: HttpServer, warehouse: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Login, headers of the connection and of the file, and secrets are sent as they are."""
    connection = {
        "conn_type": "http", "host": "127.0.0.1", "port": server.port, "login": "me", "password": "pw",
        "extra": {"X-Team": "data", "timeout": 5, "headers": {"X-More": "1"}},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_RATES_HTTP", json.dumps(connection))

    Task(
        rates(headers={"X-Api-Key": Secret(CANARY), "Accept": "application/json"}, params={"token": Secret(CANARY)})
    ).run()

    (asked,) = server.asked
    assert asked.headers["authorization"] == "Basic bWU6cHc="
    assert (asked.headers["x-team"], asked.headers["x-more"]) == ("data", "1")
    assert (asked.headers["x-api-key"], asked.params["token"]) == (CANARY, CANARY)
    assert "timeout" not in asked.headers


REFUSED = {
    401: "source-refused", 403: "source-forbidden", 404: "source-schema", 418: "source-answer", 503: "source-unreachable",
}  # fmt: skip


@pytest.mark.parametrize(("status", "code"), REFUSED.items())
def test_a_refusal_is_told_without_secrets(
    server: HttpServer, warehouse: Ask, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says host and status; neither it nor any cause of it holds a parameter, a header or the body."""
    monkeypatch.setattr(api, "_ATTEMPTS", 1)
    server.answer = lambda _: Answer({"detail": CANARY}, status)

    with pytest.raises(SourceError, match=rf"127\.0\.0\.1:{server.port} answers {status}") as caught:
        Task(rates(params={"token": Secret(CANARY)}, headers={"X-Api-Key": Secret(CANARY)})).run()

    assert caught.value.code == code
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in told
    assert "c4n4ry" not in told


def test_a_server_that_is_away(server: HttpServer, warehouse: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there is an error without the URL."""
    monkeypatch.setattr(api, "_ATTEMPTS", 1)
    monkeypatch.setenv("AIRFLOW_CONN_RATES_HTTP", "http://127.0.0.1:1")

    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1 does not answer") as caught:
        Task(rates(params={"token": Secret(CANARY)})).run()

    assert caught.value.code == "source-unreachable"
    assert "c4n4ry" not in "".join(traceback.format_exception(caught.value))


def test_a_hiccup_is_tried_again(server: HttpServer, warehouse: Ask) -> None:
    """A 503 in the middle costs a moment, not the task."""
    answers = iter([Answer(None, 503, {"Retry-After": "0"}), Answer([{"id": 1}])])
    server.answer = lambda _: next(answers)

    assert Task(rates()).run() == {"rates": 1}
    assert len(server.asked) == 2


def test_no_page_of_another_host(server: HttpServer, warehouse: Ask) -> None:
    """A next page elsewhere is refused before anything is sent there."""
    with http_server() as other:
        server.answer = lambda _: Answer({"items": [{"id": 1}], "next": f"{other.url}/v1/rates"})
        with pytest.raises(SourceError, match="another host") as caught:
            Task(rates(pagination=Pagination(type="json_link", next_url_path="next"))).run()
        assert other.asked == []
    assert caught.value.code == "source-answer"


def test_no_redirect(server: HttpServer, warehouse: Ask) -> None:
    """A redirect is refused before anything is sent there."""
    with http_server() as other:
        server.answer = lambda _: Answer(None, 302, {"Location": other.url})
        with pytest.raises(SourceError, match="redirects"):
            Task(rates()).run()
        assert other.asked == []


def test_no_page_twice(server: HttpServer, warehouse: Ask) -> None:
    """Pages that lead back to one that was read end the task instead of going round for ever."""
    server.answer = lambda _: Answer({"items": [{"id": 1}], "next": f"{server.url}/v1/rates"})

    with pytest.raises(SourceError, match="read before"):
        Task(rates(pagination=Pagination(type="json_link", next_url_path="next"))).run()
    assert len(server.asked) == 1


def test_nothing_larger_than_the_limit(server: HttpServer, warehouse: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is cut off at its limit, unpacked: a small one that is packed may be large."""
    monkeypatch.setattr(api, "LARGEST", 1 << 20)
    packed = gzip.compress(b" " * (20 << 20))
    server.answer = lambda _: Answer(packed, headers={"Content-Encoding": "gzip"})

    with pytest.raises(SourceError, match="larger than 1 MiB"):
        Task(rates()).run()


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[" * 100_000 + b"]" * 100_000])
def test_no_json(server: HttpServer, warehouse: Ask, body: bytes) -> None:
    """A page for people, or one without an end, is no answer."""
    server.answer = lambda _: Answer(body)

    with pytest.raises(SourceError, match="no JSON") as caught:
        Task(rates()).run()
    assert caught.value.code == "source-answer"


def test_no_content(server: HttpServer, warehouse: Ask) -> None:
    """204 says that there is nothing."""
    server.answer = lambda _: Answer(b"", 204)

    assert Task(rates()).run() == {}


def test_a_whole_url(server: HttpServer, warehouse: Ask) -> None:
    """A whole URL needs no connection; with one it must lead to the connection's own host."""
    Task(rates(connection=None, endpoint=f"{server.url}/v2/rates")).run()
    assert server.asked[-1].path == "/v2/rates"

    with pytest.raises(ConfigError, match="not on the host of connection rates_http"):
        Task(rates(endpoint="https://elsewhere.example/v2/rates")).run()
    with pytest.raises(ConfigError, match="needs a connection"):
        Task(rates(connection=None)).run()


@pytest.mark.parametrize(
    "keys",
    [{"params": {"token": Secret(CANARY)}}, {"connection": "with_login"}, {"headers": {"X-Api-Key": Secret("k")}}],
)
def test_no_credentials_in_clear(keys: dict[str, Any], warehouse: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials do not leave this machine over plain http."""
    monkeypatch.setenv("AIRFLOW_CONN_RATES_HTTP", "http://192.0.2.1")
    monkeypatch.setenv("AIRFLOW_CONN_WITH_LOGIN", "http://me:pw@192.0.2.1")

    with pytest.raises(ConfigError, match="over plain http; WATCHER__ALLOW_INSECURE=1"):
        Task(rates(**keys)).run()


def test_a_folder_keeps_every_load(
    server: HttpServer, warehouse: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a connection of type File (path) each load writes files of its own; a merge is refused."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "fs", "extra": {"path": str(tmp_path / "lake")}}))
    server.answer = lambda _: Answer([{"id": 1}, {"id": 2}])
    task = Task(rates({"destination": "lake"}))

    assert task.run() == {"rates": 2}
    assert task.run() == {"rates": 2}

    files = sorted((tmp_path / "lake" / "orders" / "rates").iterdir())
    rows = [json.loads(line) for file in files for line in read(file).splitlines()]
    assert [row["id"] for row in rows] == [1, 2, 1, 2]
    with pytest.raises(WatcherError, match="a folder cannot merge"):
        Task(rates({"destination": "lake", "write_disposition": "merge"})).run()


def read(file: Path) -> str:
    body = file.read_bytes()
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
