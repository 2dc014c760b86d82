"""The command line: data to stdout, words to stderr, and exit codes that mean the same everywhere."""

from watcher.cli.main import main

__all__ = ["main"]
