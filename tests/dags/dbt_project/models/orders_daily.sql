{{ config(materialized="incremental", unique_key="day") }}

select day, count(*) as orders, sum(amount) as amount
from {{ ref("staging_orders") }}
{% if is_incremental() %}
where day >= (select max(day) from {{ this }})
{% endif %}
group by day
