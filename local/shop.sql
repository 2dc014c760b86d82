-- The shop of `make run` and of Compose: orders that change, and a NOTIFY for each commit that changed some.
create table if not exists public.orders (
    id bigint generated always as identity primary key,
    customer text not null,
    amount numeric(10, 2) not null,
    status text not null,
    updated_at timestamptz not null default now()
);
create index if not exists orders_updated_at_id on public.orders (updated_at, id);

create or replace function touch_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end $$;
create or replace trigger orders_touch before update on public.orders
    for each row execute function touch_updated_at();

create or replace function announce_orders() returns trigger language plpgsql as $$
begin
    perform pg_notify('watcher_orders', '');
    return null;
end $$;
create or replace trigger orders_announce after insert or update or delete or truncate on public.orders
    for each statement execute function announce_orders();
