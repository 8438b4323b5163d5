"""Points Django at a test's database, and moves the application through its migrations."""

import os
from contextlib import contextmanager

import django
from django.conf import settings


def set_up():
    os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    if not settings.configured:
        django.setup()


@contextmanager
def use(cluster, database):
    """Django's connections of the block go to this database, as the role that owns its tables."""
    set_up()
    from django.db import connection

    connection.close()
    connection.settings_dict.update(HOST=str(cluster.folder), NAME=database)
    try:
        yield connection
    finally:
        connection.close()


def migrate(name):
    """Moves to that migration and gives the models of its time."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    target = [("shop", None if name == "zero" else name)]
    MigrationExecutor(connection).migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps if name != "zero" else None
