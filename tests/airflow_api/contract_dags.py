"""The Airflow DAGs of the contract suite: empty tasks only, so no worker process is needed."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param

PARAMS = {
    "contract_good": {},
    "contract_paused": {},
    "contract_limited": {"n": Param(5, type="integer", maximum=10)},
    "contract_needy": {"must": Param(type="string")},
}

for name, params in PARAMS.items():
    paused = name == "contract_paused"
    page = "Made by hand.\n\nDefinition `0123456789abcdef`\n" if name == "contract_good" else None
    with DAG(
        name,
        schedule=None,
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        params=params,
        doc_md=page,
        is_paused_upon_creation=paused,
    ) as dag:
        EmptyOperator(task_id="nothing")
    globals()[name] = dag
