{{ config(materialized="view") }}

select id, amount, cast(updated_at as date) as day
from {{ source("orders", "orders") }}
where updated_at >= cast('{{ var("since") }}' as timestamp)
