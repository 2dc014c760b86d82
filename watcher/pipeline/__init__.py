"""The pipeline files: what daemon and Airflow both read, on pydantic, ruamel.yaml and croniter alone."""
