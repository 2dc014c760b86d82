"""The contract with Airflow: every promise here holds for the real server and for the fake alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from airflow_client.client.models.dag_details_response import DAGDetailsResponse
from airflow_client.client.models.dag_response import DAGResponse
from airflow_client.client.models.dag_run_collection_response import DAGRunCollectionResponse
from airflow_client.client.models.dag_run_response import DAGRunResponse
from airflow_client.client.models.health_info_response import HealthInfoResponse
from airflow_client.client.models.import_error_collection_response import ImportErrorCollectionResponse

from tests.airflow_api.rows import BROKEN, GOOD, LIMITED, MARK, PAUSED, ROWS, Row
from tests.airflow_api.world import World, new_run_id, options_of, provoke, token_of
from watcher.airflow_api import AirflowApi, open_airflow

LIVE = [row for row in ROWS if row.send is not None and row.name != "broken DAG"]


def conf(uid: str, **more: Any) -> dict[str, Any]:
    return {"watcher": {"schema": 1, "batch": "b000001", "uid": uid, "range": {"from": None}}} | more


async def read(world: World, path: str) -> Any:
    """The JSON answer to a GET with a good token."""
    headers = {"Authorization": f"Bearer {token_of(world, 'good')}"}
    async with aiohttp.ClientSession() as session, session.get(world.url + path, headers=headers) as response:
        assert response.status == 200
        return await response.json()


async def trigger(api: AirflowApi, dag_id: str, run_id: str, uid: str, **more: Any) -> Any:
    return await api.trigger(dag_id, run_id, conf(uid, **more), "12 changes in orders_db", uid)


class AirflowContract:
    """Subclass it with a `world` fixture."""

    @pytest.mark.parametrize("row", LIVE, ids=lambda row: row.name)
    async def test_answers_as_recorded(self, world: World, row: Row) -> None:
        """A provoked answer has the recorded status and words."""
        assert row.send is not None
        status, text = await provoke(world, row.send)
        assert status == row.status, text
        if row.text is not None:
            assert row.text.replace('"', "") in text.replace("\\\\", "\\").replace('"', "")

    async def test_official_models_accept_the_bodies(self, world: World) -> None:
        """Bodies have the shape that the official client's models demand."""
        async with open_airflow(options_of(world)) as api:
            await trigger(api, PAUSED, run_id := new_run_id(), "u")
        DAGResponse.model_validate(await read(world, f"/api/v2/dags/{GOOD}"))
        DAGDetailsResponse.model_validate(await read(world, f"/api/v2/dags/{GOOD}/details"))
        DAGRunResponse.model_validate(await read(world, f"/api/v2/dags/{PAUSED}/dagRuns/{run_id}"))
        DAGRunCollectionResponse.model_validate(await read(world, "/api/v2/dags/~/dagRuns"))
        HealthInfoResponse.model_validate(await read(world, "/api/v2/monitor/health"))
        ImportErrorCollectionResponse.model_validate(await read(world, "/api/v2/importErrors"))

    async def test_trigger_is_confirmed_and_found_again(self, world: World) -> None:
        """A triggered run is confirmed with its state, and verified as ours, conf unharmed."""
        async with open_airflow(options_of(world)) as api:
            made = await trigger(api, PAUSED, run_id := new_run_id(), "uid-1")
            found = await api.verify(PAUSED, run_id, "uid-1")
        assert (made.kind, made.answer, made.run_state) == ("confirmed", "created", "queued")
        assert (found.kind, found.answer) == ("confirmed", "already-there")
        run = await read(world, f"/api/v2/dags/{PAUSED}/dagRuns/{run_id}")
        assert run["conf"] == conf("uid-1")
        assert (run["triggered_by"], run["triggering_user_name"]) == ("rest_api", world.username)
        assert run["logical_date"] is None

    async def test_same_id_again_is_ours_or_foreign(self, world: World) -> None:
        """A 409 counts as delivered only when the run carries our uid."""
        async with open_airflow(options_of(world)) as api:
            await trigger(api, PAUSED, run_id := new_run_id(), "uid-1")
            again = await trigger(api, PAUSED, run_id, "uid-1")
            other = await trigger(api, PAUSED, run_id, "uid-2")
        assert (again.kind, again.answer, again.code) == ("confirmed", "already-there", None)
        assert (other.kind, other.answer, other.code) == ("foreign", "foreign-run", "foreign-run")

    async def test_params_refused_but_the_run_exists(self, world: World) -> None:
        """A refusal by the params is verified first: the run of the first send may be there."""
        async with open_airflow(options_of(world)) as api:
            await trigger(api, LIMITED, run_id := new_run_id(), "uid-1", n=3)
            repeated = await trigger(api, LIMITED, run_id, "uid-1", n=33)
            refused = await trigger(api, LIMITED, new_run_id(), "uid-2", n=33)
        assert (repeated.kind, repeated.answer) == ("confirmed", "already-there")
        assert (refused.kind, refused.code, refused.answer) == ("refused", "params-refused", "refused")
        assert refused.detail == "HTTP 400: Invalid input for param n: 33 is greater than the maximum of 10"

    async def test_deleted_run_is_absent_and_vanished(self, world: World) -> None:
        """A deleted run is absent to verify and vanished to follow, and its id is free again."""
        async with open_airflow(options_of(world)) as api:
            await trigger(api, PAUSED, run_id := new_run_id(), "uid-1")
            await world.delete_run(PAUSED, run_id)
            assert (await api.verify(PAUSED, run_id, "uid-1")).kind == "absent"
            assert (await api.runs([(PAUSED, run_id)]))[run_id].state == "vanished"
            assert (await trigger(api, PAUSED, run_id, "uid-1")).answer == "created"

    async def test_runs_are_followed_by_exact_id(self, world: World) -> None:
        """A hundred and more ids are found exactly, never their longer neighbours, each with state and uid."""
        async with open_airflow(options_of(world)) as api:
            base = new_run_id()
            ids = [base, f"{base}9", f"{base}90"]
            for run_id in ids:
                await trigger(api, PAUSED, run_id, f"uid of {run_id}")
            asked = [(PAUSED, ids[0]), (PAUSED, ids[1]), *((PAUSED, new_run_id()) for _ in range(105))]
            runs = await api.runs(asked)
        assert {run_id for run_id, run in runs.items() if run.state == "queued"} == set(ids[:2])
        assert runs[ids[0]].uid == f"uid of {ids[0]}"
        assert sum(run.state == "vanished" for run in runs.values()) == 105

    async def test_limit_is_lowered_in_silence(self, world: World) -> None:
        """A list longer than a page is cut without a word, and only its total tells."""
        async with open_airflow(options_of(world)) as api:
            await asyncio.gather(*(trigger(api, PAUSED, new_run_id(), "u") for _ in range(3)))
        page = await read(world, f"/api/v2/dags/{PAUSED}/dagRuns?limit=1")
        assert len(page["dag_runs"]) == 1
        assert page["total_entries"] >= 3

    async def test_prefix_drops_trailing_punctuation(self, world: World) -> None:
        """`watcher__` as a prefix finds `watcherX` too: exact comparing is on our side."""
        async with open_airflow(options_of(world)) as api:
            await trigger(api, PAUSED, run_id := new_run_id(), "u")
        time_part = run_id.split("__")[1]
        page = await read(world, f"/api/v2/dags/~/dagRuns?run_id_prefix_pattern=watcher__{time_part}__")
        assert run_id in [run["dag_run_id"] for run in page["dag_runs"]]
        other = await read(world, f"/api/v2/dags/~/dagRuns?run_id_prefix_pattern=WATCHER__{time_part}")
        assert other["total_entries"] == 0

    async def test_gate_follows_paused(self, world: World) -> None:
        """The gate closes for a paused DAG and opens again."""
        async with open_airflow(options_of(world)) as api:
            assert (await api.gate(GOOD)).open
            await world.set_paused(GOOD, True)
            try:
                gate = await api.gate(GOOD, fresh=True)
            finally:
                await world.set_paused(GOOD, False)
            assert gate.code == "dag-paused"
            assert (await api.gate(GOOD, fresh=True)).open

    async def test_gate_of_unknown_dag(self, world: World) -> None:
        """A DAG that was never parsed closes its gate, and a trigger is held for the same reason."""
        async with open_airflow(options_of(world)) as api:
            gate = await api.gate("contract_none")
            answer = await trigger(api, "contract_none", new_run_id(), "u")
        assert gate.code == "dag-unknown"
        assert (answer.kind, answer.code, answer.answer) == ("hold", "dag-unknown", "not-found")

    async def test_broken_file_closes_the_gate_until_mended(self, world: World) -> None:
        """An import error is answered as an unknown DAG; the gate names its last line, and opens after the repair."""
        await world.break_file()
        try:
            async with open_airflow(options_of(world)) as api:
                gate = await api.gate(BROKEN)
                answer = await trigger(api, BROKEN, new_run_id(), "u")
            status, _ = await provoke(world, next(r.send for r in ROWS if r.name == "broken DAG" and r.send))
        finally:
            await world.mend_file()
        assert gate.code == "dag-broken"
        assert gate.sentence.startswith(f'DAG "{BROKEN}" has an import error since ')
        assert gate.sentence.endswith(": ValueError: out of paint.")
        assert (answer.kind, answer.code, answer.detail) == ("hold", "dag-broken", gate.sentence)
        assert status == 404
        async with open_airflow(options_of(world)) as api:
            assert (await api.gate(BROKEN)).open

    async def test_a_dag_tells_its_state_and_the_mark_of_its_definition(self, world: World) -> None:
        """Paused or not, and the mark is read from the last line of the page; a DAG without one has none."""
        async with open_airflow(options_of(world)) as api:
            marked, paused, none = await api.dag(GOOD), await api.dag(PAUSED), await api.dag("contract_none")
        assert marked is not None
        assert (marked.dag_id, marked.fingerprint) == (GOOD, MARK)
        assert (marked.is_paused, marked.is_stale, marked.has_import_errors) == (False, False, False)
        assert marked.parsed_at is not None
        assert paused is not None
        assert (paused.is_paused, paused.fingerprint) == (True, None)
        assert none is None

    async def test_task_times_are_those_of_one_task_from_a_moment_on(self, world: World) -> None:
        """A task that ran once has one time; from later on, and of another task, there is none."""
        async with open_airflow(options_of(world)) as api:
            done = await world.run_task(GOOD, "nothing")
            times = await api.task_times(GOOD, "nothing", done - timedelta(days=1))
            later = await api.task_times(GOOD, "nothing", done + timedelta(days=1))
            other = await api.task_times(GOOD, "other", done - timedelta(days=1))
        assert times.whole
        assert len(times.times) >= 1
        assert all(time.seconds >= 0 for time in times.times)
        assert (later.times, other.times) == ((), ())

    async def test_health_needs_no_token(self, world: World) -> None:
        """Health and version are read without a login, the probe is content."""
        codes: list[tuple[str, str]] = []
        seen = options_of(world, on_request=lambda operation, code, _: codes.append((operation, code)))
        async with open_airflow(seen) as api:
            health = await api.health()
            await api.probe()
        assert health.metadatabase == "healthy"
        assert health.version is not None
        assert health.version.startswith("3.")
        assert health.clock_ahead is not None
        assert abs(health.clock_ahead) < 5
        assert set(codes) == {("health", "2xx")}

    async def test_wrong_password_holds_and_opens_the_breaker(self, world: World) -> None:
        """A refused login is a hold, never unknown: nothing was sent."""
        async with open_airflow(options_of(world, password=lambda: "wrong")) as api:
            answer = await trigger(api, PAUSED, new_run_id(), "u")
            assert api.breaker.state == "open"
            gate = await api.gate(PAUSED)
        assert (answer.kind, answer.code, answer.answer) == ("hold", "airflow-token", "token")
        assert gate.code == "airflow-token"

    async def test_no_right_on_the_dag_closes_its_gate(self, world: World) -> None:
        """A 403 without a word on the token holds this DAG alone, and its gate stays closed though the DAG can be read."""
        token = token_of(world, "viewer") or ""
        async with open_airflow(options_of(world, username=None, password=None, token=lambda: token)) as api:
            assert (await api.gate(PAUSED)).code == "dag-paused"
            answer = await trigger(api, PAUSED, new_run_id(), "u")
            gate = await api.gate(PAUSED, fresh=True)
            assert (await api.gate(GOOD)).open
        assert (answer.kind, answer.code, answer.answer) == ("hold", "airflow-forbidden", "forbidden")
        assert (gate.code, gate.sentence) == ("airflow-forbidden", answer.detail)
