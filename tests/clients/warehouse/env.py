# warehouse/env.py
from alembic import context


def include_name(name, type_, parent_names):
    """With include_schemas, autogenerate must not take audit_guard's tables for forgotten ones."""
    return type_ != "schema" or name not in ("audit", "audit_api")


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["metadata"],
        include_schemas=True,
        include_name=include_name,
    )
    with context.begin_transaction():
        context.run_migrations()


with context.config.attributes["engine"].connect() as connection:
    run(connection)
