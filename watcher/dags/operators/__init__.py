"""The tasks of a generated DAG: one operator per kind, and what they share."""
