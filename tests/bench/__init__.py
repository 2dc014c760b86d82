"""Benchmarks: figures with a peer or a limit in the same run, since machines are noisy."""
