{{ config(materialized="view") }}

select orders.id, payments.method, orders.amount - coalesce(refunds.amount, 0) as amount
from {{ source("shop", "orders") }} as orders
join {{ source("shop", "payments") }} as payments on payments.order_id = orders.id
left join (
    select cast(order_id as bigint) as order_id, sum(cast(amount as bigint)) as amount
    from {{ source("shop", "refunds") }}
    group by 1
) as refunds on refunds.order_id = orders.id
