"""`make run`: a shop, a landing folder, a real Airflow and the daemon on this machine, and what happens, told as it does."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.airflow import ROOT, AirflowLaunch, AirflowServer, running_airflow
from local.landing import drop
from local.postgres import running_postgres
from local.processes import Launch, PortTakenError, Process, StartError, claim_port, start
from local.shop import Shop, open_shop
from local.story import Story

CRASHED, CANNOT_START = 1, 3
PIPELINES = ROOT / "pipelines"


@dataclass(frozen=True, slots=True)
class Options:
    """Where the state is kept, the ports, and after how many runs to stop (0: never)."""

    state: Path
    airflow_port: int
    postgres_port: int
    ops_port: int
    exit_after: int
    time_limit: int


def main() -> int:
    """Runs until Ctrl-C; the exit code: 0 stopped, 1 something ended by itself or a run failed, 3 cannot start."""
    options = parsed()
    _on_signals(_interrupt)
    try:
        with contextlib.ExitStack() as stack:
            try:
                return _show(options, stack)
            except KeyboardInterrupt:
                _say("\nStopping ...")
                raise
            finally:  # a second Ctrl-C no longer tears the way down
                _on_signals(signal.SIG_IGN)
    except KeyboardInterrupt:
        _say("Stopped. Nothing is left running; the next `make run` goes on from here.")
        return 0
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


def _show(options: Options, stack: contextlib.ExitStack) -> int:
    begun = time.monotonic()
    _claim(options, stack)
    landing = options.state / "landing"
    (landing / "partner").mkdir(parents=True, exist_ok=True)
    postgres = stack.enter_context(running_postgres(options.state / "postgres", port=options.postgres_port))
    shop = open_shop(postgres)
    _say(f"[1/4] shop      {shop}  table public.orders; files land in {_short(landing)}/partner")
    launch = AirflowLaunch(
        pipelines=PIPELINES, connections={"shop_db": shop}, port=options.airflow_port, env={"LANDING_DIR": str(landing)}
    )
    _say("[2/4] Airflow   is starting, the first time takes about half a minute ...")
    airflow = stack.enter_context(running_airflow(options.state / "airflow", launch))
    for pipeline in sorted(PIPELINES.glob("[!_]*.yaml")):
        airflow.wait_for_dag(pipeline.stem)
    login = f"log in: admin / {airflow.launch.passwords['admin']}"
    _say(f"[2/4] Airflow   {airflow.url}  {login}  healthy after {time.monotonic() - begun:.0f} s")
    story, done = Story(), threading.Event()
    daemon = stack.enter_context(_daemon(options, airflow, shop, landing))
    teller = threading.Thread(target=_tell, args=(daemon, story, options, done), name="teller", daemon=True)
    teller.start()
    ops = f"http://127.0.0.1:{options.ops_port}"
    _say(f"[3/4] watcher   metrics {ops}/metrics  ready {ops}/readyz?verbose  log {_short(options.state)}/watcher.log")
    stack.enter_context(_changing(shop, landing))
    _say("[4/4] changes   come every second or two in the shop, every ten seconds in the folder")
    _say("Try: pause a DAG in Airflow; its changes wait and leave as one run. Ctrl-C stops all.\n")
    return _watch(options, daemon, story, done)


def _watch(options: Options, daemon: Process, story: Story, done: threading.Event) -> int:
    """Waits for the end: the runs asked for, the daemon's own end, or Ctrl-C (KeyboardInterrupt)."""
    deadline = time.monotonic() + options.time_limit if options.exit_after else float("inf")
    while not done.wait(0.5):
        if not daemon.alive:
            sys.stderr.write(f"The watcher ended with code {daemon.code}; see {_short(options.state)}/watcher.log\n")
            return CRASHED
        if time.monotonic() > deadline:
            sys.stderr.write(f"Only {story.runs} of {options.exit_after} runs after {options.time_limit} s.\n")
            return CRASHED
    _say(f"{story.runs} runs, {story.ended.get('succeeded', 0)} of them succeeded.")
    return 0 if story.ended.get("succeeded", 0) == story.runs else CRASHED


def _tell(daemon: Process, story: Story, options: Options, done: threading.Event) -> None:
    """Prints the story and keeps the log as it is, until the daemon closes it."""
    begun = time.monotonic()
    with (options.state / "watcher.log").open("a", encoding="utf-8") as log:
        for line in daemon.output:
            log.write(line)
            log.flush()
            if text := story.tell(line):
                minutes, seconds = divmod(int(time.monotonic() - begun), 60)
                _say(f"{minutes:02}:{seconds:02}  {text}")
            if options.exit_after and story.runs >= options.exit_after:
                done.set()


@contextlib.contextmanager
def _daemon(options: Options, airflow: AirflowServer, shop: str, landing: Path) -> Iterator[Process]:
    """The daemon as a person would start it: a settings file, the connection in the environment."""
    password = options.state / "airflow-password"
    password.write_text(airflow.password, encoding="utf-8")
    password.chmod(0o600)
    settings = {
        "pipelines": str(PIPELINES),
        "store": {"url": f"sqlite:///{options.state / 'store' / 'watcher.db'}"},
        "airflow": {"url": airflow.url, "username": airflow.username, "password": {"file": str(password)}},
        "web": {"ops": f"127.0.0.1:{options.ops_port}"},
        "log": {"format": "json", "level": "info"},
        "shutdown_grace": "10s",
    }
    config = options.state / "watcher.yaml"
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")  # JSON is YAML
    own = {name: value for name, value in os.environ.items() if not name.startswith(("WATCHER_", "AIRFLOW"))}
    daemon = start(
        Launch(
            name="the watcher",
            command=[str(Path(sys.executable).with_name("watcher")), "run", "-c", str(config)],
            env={**own, "AIRFLOW_CONN_SHOP_DB": shop, "LANDING_DIR": str(landing)},
            cwd=options.state,
        )
    )
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def _changing(shop_url: str, landing: Path) -> Iterator[None]:
    """Changes the shop and the folder in two threads until the block ends."""
    chance, stop = random.Random(), threading.Event()
    shop = Shop(shop_url, chance)

    def trade() -> float:
        shop.trade()
        return chance.uniform(0.8, 2.0)

    def deliver() -> float:
        drop(landing, datetime.now(UTC), chance)
        return 10.0

    threads = [threading.Thread(target=_repeat, args=(work, stop), daemon=True) for work in (trade, deliver)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        shop.close()


def _repeat(work: Callable[[], float], stop: threading.Event) -> None:
    while not stop.wait(work()):
        pass


def _claim(options: Options, stack: contextlib.ExitStack) -> None:
    """The state folder and the ports for us alone. Raises StartError with the fix."""
    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = stack.enter_context((options.state / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StartError(f"Another `make run` uses {_short(options.state)}. Stop that one first.") from error
    taken = []
    for purpose, port in (
        ("AIRFLOW", options.airflow_port),
        ("POSTGRES", options.postgres_port),
        ("OPS", options.ops_port),
    ):
        try:
            claim_port(port, purpose, f"Stop what listens there, or: make run {purpose}_PORT={port + 1}")
        except PortTakenError as error:
            taken.append(str(error))
    if taken:
        raise PortTakenError("\n".join(taken))


def parsed() -> Options:
    """The options from the command line, then the environment, then the defaults."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--state", type=Path, default=ROOT / ".local", help="folder of all state")
    for name, port in (("airflow", 8080), ("postgres", 15432), ("ops", 8781)):
        variable = f"{name.upper()}_PORT"
        default = os.environ.get(variable) or str(port)
        parser.add_argument(f"--{name}-port", type=int, default=default, help=f"also as {variable} (default {port})")
    parser.add_argument(
        "--exit-after", type=int, default=0, metavar="N", help="stop after N runs; 0, the default: never"
    )
    parser.add_argument(
        "--time-limit", type=int, default=300, metavar="SECONDS", help="give up on --exit-after after that"
    )
    found = parser.parse_args()
    ports = (found.airflow_port, found.postgres_port, found.ops_port)
    return Options(found.state.absolute(), *ports, found.exit_after, found.time_limit)


def _on_signals(do: Callable[..., None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, do)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
