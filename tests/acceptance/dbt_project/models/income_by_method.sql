{{ config(materialized="table") }}

select method, count(*) as orders, sum(amount) as amount from {{ ref("staging_orders") }} group by method
