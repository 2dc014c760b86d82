"""`make soak`: kill -9 the real daemon again and again while rows and files are written, and count what is lost or doubled."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys


def main() -> int:
    """Runs the kill loop of the acceptance tests at full size, on both stores."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--kills", type=int, default=100, help="on each store")
    parser.add_argument("--seed", type=int, help="repeat the moments of an earlier run")
    options = parser.parse_args()
    env = {**os.environ, "WATCHER_KILLS": str(options.kills)}
    if options.seed is not None:
        env["WATCHER_SEED"] = str(options.seed)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "acceptance", "tests/acceptance/test_kill.py"]
    return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
