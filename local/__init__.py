"""Programs that bring up the real parts: PostgreSQL, Airflow, a shop; for `make run` and for the tests."""
