"""`python -m watcher` and the `watcher` command."""

from watcher.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
