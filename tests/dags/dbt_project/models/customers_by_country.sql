{{ config(materialized="table") }}

select country, count(*) as customers from {{ source("crm", "customers") }} group by country
