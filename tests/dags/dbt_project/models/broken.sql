{{ config(materialized="table") }}

select amount, no_such_column from {{ source("orders", "orders") }}
