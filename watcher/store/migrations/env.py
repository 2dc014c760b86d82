"""Run by alembic: the migrations happen in the transaction that `watcher.store.migrate` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
