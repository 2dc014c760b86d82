"""Due batches to Airflow: the run id was fixed before the first byte, an answer that got lost is verified before it is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from watcher import events
from watcher.airflow_api import AirflowApi, Answer
from watcher.detection import Json
from watcher.errors import ConfigError, StoreError
from watcher.pipeline.model import Pipeline
from watcher.pipeline.run import BatchFacts, batch_name, build_conf, build_note, manifest_bytes
from watcher.store import Store, batches
from watcher.store.batches import Batch, Postponed

HANDS = 4
"""Requests in flight per Airflow: its API server gains nothing from more and was seen to stall."""

FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(seconds=1), timedelta(minutes=5)
LOOK_AT_GATE = timedelta(seconds=5)
LONGEST_PAUSE = 60.0
NOT_LOADED = "its pipeline file is invalid, disabled or gone: repair it and reload, the batch leaves by itself"
TOO_OLD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """`pipeline` answers the definition of a name now, None when it is gone; `manifests` is where long lists are put."""

    pipeline: Callable[[str], Pipeline | None]
    manifests: Path
    now: Callable[[], datetime]
    public_url: str | None = None


class Dispatch:
    """The service that delivers. A step takes due batches in hand; at most one request is in flight per DAG."""

    def __init__(self, options: DispatchOptions, store: Store, api: AirflowApi, wake: Callable[[], None]) -> None:
        self._options, self._store, self._api, self._wake = options, store, api, wake
        self._hands: dict[str, asyncio.Task[None]] = {}
        # threads of its own: the loop's default ones may all wait for a source's disk
        self._writers = ThreadPoolExecutor(HANDS, thread_name_prefix="dispatch")
        self._looks: dict[int, int] = {}
        """How often in a row a batch could not be settled: attempts, and looks at what an attempt came to."""
        self.confirmed: Callable[[], None] = lambda: None

    async def step(self, now: datetime) -> float | None:
        """Starts what is due and has a free hand; answers the seconds until the next batch is due."""
        self._collect()
        free = HANDS - len(self._hands)
        if free > 0:
            for batch in await batches.due(self._store, now, HANDS + len(self._hands)):
                if batch.dag_id not in self._hands and len(self._hands) < HANDS:
                    self._take(batch)
        if self._hands:
            return None  # each hand wakes us when it is free
        next_due = await batches.next_due(self._store)
        return None if next_due is None else min(LONGEST_PAUSE, max(0.0, (next_due - now).total_seconds()))

    async def drain(self) -> None:
        """Waits for what is in hand. Cancelled at the grace limit, it leaves those batches unknown, to be verified."""
        while self._hands:
            await asyncio.wait(self._hands.values())
            with contextlib.suppress(
                StoreError
            ):  # nobody is left to repeat it; the batch is verified at the next start
                self._collect()

    async def cancel(self) -> None:
        """Cuts what is in hand; each batch stays as its last commit left it."""
        tasks = list(self._hands.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hands.clear()
        self._writers.shutdown(wait=False)

    def _take(self, batch: Batch) -> None:
        task = asyncio.create_task(self._deliver(batch), name=f"dispatch {batch_name(batch.number)}")
        self._hands[batch.dag_id] = task
        task.add_done_callback(lambda _: self._wake())

    def _collect(self) -> None:
        for dag_id, task in list(self._hands.items()):
            if task.done():
                del self._hands[dag_id]
                task.result()  # a refusal of the store backs the loop off, a bug ends the daemon

    async def _deliver(self, batch: Batch) -> None:
        now = self._options.now()
        if self._options.pipeline(batch.pipeline) is None:  # its conf and file list come from the definition
            gone = Answer("hold", "pipeline-not-loaded", NOT_LOADED, answer="not-sent")
            return await self._postpone(batch, gone, unknown=batch.unknown)
        if now - batch.fired_at > TOO_OLD:
            too_old = Answer("refused", "batch-too-old", "not delivered for 7 days", answer="refused")
            return await self._park(batch, too_old, unknown=batch.unknown)
        if batch.unknown:
            answer = await self._api.verify(batch.dag_id, batch.dag_run_id, batch.uid)
            events.attempt_answered(answer.answer)
            if answer.kind != "absent":
                return await self._settle(batch, answer)
        elif not (gate := await self._api.gate(batch.dag_id)).open:
            held = Answer("hold", gate.code, gate.sentence, answer="not-sent")
            return await self._postpone(batch, held, unknown=False)
        return await self._send(batch)

    async def _send(self, batch: Batch) -> None:
        facts = await batches.facts(self._store, batch)
        try:
            conf = await asyncio.get_running_loop().run_in_executor(self._writers, _conf, self._options, facts)
        except ConfigError as error:  # it can never fit into a run: a person has to shorten `trigger.conf`
            return await self._park(batch, Answer("refused", "request-refused", str(error), answer="refused"))
        note = build_note(facts, _url(self._options.public_url, batch.number))
        sending = await batches.mark_sending(self._store, batch, self._options.now())
        answer = await self._api.trigger(batch.dag_id, batch.dag_run_id, conf, note, batch.uid)
        events.attempt_answered(answer.answer)
        # the one write that follows an answer is finished even while stopping: it saves a second request
        return await asyncio.shield(self._settle(sending, answer, was_unknown=batch.unknown))

    async def _settle(self, batch: Batch, answer: Answer, *, was_unknown: bool = True) -> None:
        match answer.kind:
            case "confirmed":
                await self._confirm(batch, answer)
            case "foreign" | "refused":
                await self._park(batch, answer)
            case "unknown" | "absent" | "exists":
                await self._postpone(batch, answer, unknown=True)
            case "hold" | "not-sent":
                await self._postpone(batch, answer, unknown=was_unknown)

    async def _confirm(self, batch: Batch, answer: Answer) -> None:
        now = self._options.now()
        await batches.mark_confirmed(self._store, batch, answer.run_state or "queued", answer.answer, now)
        self._looks.pop(batch.number, None)
        events.batch_confirmed(
            batch.pipeline,
            batch_name(batch.number),
            dag_run_id=batch.dag_run_id,
            answer=answer.answer,
            attempt=batch.attempts,
            seconds=(now - batch.fired_at).total_seconds(),
        )
        self.confirmed()

    async def _park(self, batch: Batch, answer: Answer, *, unknown: bool = False) -> None:
        code = answer.code or "request-refused"
        await batches.park(self._store, batch, code, answer.detail, self._options.now(), unknown=unknown)
        self._looks.pop(batch.number, None)
        events.batch_parked(batch.pipeline, batch_name(batch.number), code=code, detail=answer.detail)

    async def _postpone(self, batch: Batch, answer: Answer, *, unknown: bool) -> None:
        now = self._options.now()
        code = answer.code or "airflow-no-answer"
        next_at = now + timedelta(seconds=self._pause(batch, answer))
        await batches.postpone(self._store, batch, Postponed(code, answer.detail, next_at, unknown), now)
        if batch.code != code or events.worth_a_line(self._looks.get(batch.number, 0)):
            name, attempt = batch_name(batch.number), batch.attempts
            events.batch_postponed(
                batch.pipeline, name, code=code, detail=answer.detail, attempt=attempt, next_at=next_at
            )

    def _pause(self, batch: Batch, answer: Answer) -> float:
        if answer.retry_after is not None:
            return answer.retry_after
        looks = self._looks[batch.number] = self._looks.get(batch.number, 0) + 1
        longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(looks, 9))
        if batch.attempts == 0:  # held before the first attempt: the gate keeps its own answers for about as long
            longest = LOOK_AT_GATE
        return random.uniform(FIRST_BACKOFF.total_seconds() / 2, longest.total_seconds())  # noqa: S311 - no secret


def _url(public_url: str | None, number: int) -> str | None:
    return f"{public_url.rstrip('/')}/batches/{batch_name(number)}" if public_url else None


def _conf(options: DispatchOptions, facts: BatchFacts) -> dict[str, Json]:
    """The run's conf; lists that are too long go to a manifest, written before anything names it."""
    pipeline = options.pipeline(facts.pipeline)
    trigger = pipeline.trigger if pipeline else None
    user_conf: Mapping[str, Json] = trigger.conf if trigger else {}
    payload = pipeline.payload if pipeline else "summary"
    url = _url(options.public_url, facts.number)
    path = options.manifests / f"{batch_name(facts.number)}-{facts.uid}.json"
    conf = build_conf(facts, payload=payload, user_conf=user_conf, url=url, manifest=str(path))
    watcher = conf["watcher"]
    if isinstance(watcher, dict) and "manifest" in watcher:
        _write_whole(path, manifest_bytes(facts))
    return conf


def _write_whole(path: Path, body: bytes) -> None:
    """The file is there whole or not at all, also after a power cut; writing it again changes nothing."""
    try:
        if path.exists() and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(body).digest():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # one name: a part that a full disk left behind is written over by the next attempt
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as part:
            part.write(body)
            part.flush()
            os.fsync(part.fileno())
        unfinished.chmod(0o644)  # the Airflow worker that reads it is another user
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"manifest {path.name} cannot be written: {error.strerror}", code="store-full") from error
