"""What dag-factory's YAML calls to load the table: dag-factory brings no loading of its own."""

from typing import Any


def load_orders(**context: Any) -> None:
    """Merge the rows that are newer than those of the last load."""
    import dlt
    from airflow.sdk import BaseHook
    from dlt.sources.sql_database import sql_table

    table = sql_table(
        BaseHook.get_connection("shop_db").get_uri(),
        table="orders",
        schema="public",
        incremental=dlt.sources.incremental("updated_at"),
    )
    warehouse = dlt.destinations.postgres(BaseHook.get_connection("warehouse").get_uri())
    pipeline = dlt.pipeline("orders", destination=warehouse, dataset_name="orders")
    pipeline.run(table, write_disposition="merge", primary_key="id")
