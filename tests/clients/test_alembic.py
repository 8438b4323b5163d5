"""Alembic's migrations on tracked tables, forwards and backwards, and what autogenerate makes of ours."""

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from logbook import Replay, entries, told
from test_sqlalchemy import engine_for

METADATA = sa.MetaData()
sa.Table(
    "goods",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("api_key", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Index("goods_label", "label"),
)
sa.Table(
    "places",
    METADATA,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("good_id", sa.BigInteger, sa.ForeignKey("goods.id", ondelete="CASCADE"), nullable=False),
)


class Warehouse:
    def __init__(self, engine, admin):
        self.engine, self.admin, self.config = engine, admin, Config()
        self.config.set_main_option("script_location", str(Path(__file__).parent / "warehouse"))
        self.config.attributes.update(engine=engine, metadata=METADATA)

    def go(self, revision):
        upwards = revision >= self.version()
        (command.upgrade if upwards else command.downgrade)(self.config, revision)

    def version(self):
        found = self.admin.execute(
            "SELECT to_regclass('public.alembic_version') IS NOT NULL AS made"
        ).fetchone()["made"]
        rows = self.admin.execute("SELECT version_num FROM alembic_version").fetchall() if found else []
        return rows[0]["version_num"] if rows else "0"

    def run(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))


@pytest.fixture
def warehouse(cluster, database, admin):
    engine = engine_for(cluster, database)
    yield Warehouse(engine, admin)
    engine.dispose()


def test_rows_changed_by_a_migration(warehouse, admin):
    warehouse.go("2")
    warehouse.run(
        "INSERT INTO things (name, secret, size) SELECT 'n' || n, 'SECRET', n FROM generate_series(1, 5) n",
        "INSERT INTO places (thing_id) SELECT id FROM things",
    )
    things, places = Replay(admin, "things"), Replay(admin, "places")
    assert [things.check(hidden=["secret"]), places.check()] == [5, 5]
    warehouse.go("3")
    things.reshape(lambda row: (row.pop("size"), row.update(label=row.pop("name"), kind="plain")))
    assert things.check(hidden=["api_key"]) == 5
    assert told(admin, "things")[5:] == [("UPDATE", str(n), ["label"]) for n in range(1, 6)]
    warehouse.go("4")
    things.rename("goods")
    places.reshape(lambda row: row.update(good_id=row.pop("thing_id")))
    warehouse.run("UPDATE goods SET kind = 'x' WHERE id < 3", "DELETE FROM goods WHERE id = 5")
    assert [things.check(hidden=["api_key"]), places.check()] == [4, 4]
    history = admin.execute(
        "SELECT operation::text, table_name FROM audit.record_history('goods', 1)"
    ).fetchall()
    assert [tuple(row.values()) for row in history] == [
        ("INSERT", "things"),
        ("UPDATE", "things"),
        ("UPDATE", "goods"),
    ]


def test_rows_of_each_shape(warehouse, admin):
    """The log shows the shape of its time; with what ALTER TABLE did it gives the table."""
    warehouse.go("2")
    warehouse.run(
        "INSERT INTO things (name, secret, size) VALUES ('a', 'SECRET', 1), ('b', 'SECRET', 2)",
        "INSERT INTO places (thing_id) VALUES (1), (2)",
    )
    warehouse.go("3")
    warehouse.run(
        "INSERT INTO things (label, api_key, kind) VALUES ('c', 'SECRET-3', 'x')",
        "UPDATE things SET api_key = 'SECRET-4', kind = 'y' WHERE id = 1",
    )
    warehouse.go("4")
    warehouse.run(
        "DELETE FROM goods WHERE id = 2",
        "INSERT INTO goods (label, kind) VALUES ('d', 'z')",
        "INSERT INTO places (good_id) VALUES (3)",
    )
    shapes = [sorted(row["new_record"] or row["old_record"]) for row in entries(admin, "things", "goods")]
    assert shapes == [["id", "name", "size"]] * 2 + [["id", "kind", "label"]] * 6
    assert [row["operation"] for row in entries(admin, "places")] == ["INSERT", "INSERT", "DELETE", "INSERT"]
    warehouse.go("3")
    warehouse.run("UPDATE things SET label = 'e' WHERE id = 3")
    warehouse.go("2")
    warehouse.run("UPDATE things SET secret = 'SECRET-5', size = 3", "DELETE FROM things WHERE id = 1")
    assert admin.execute("SELECT target::text, status FROM audit.tracked_tables ORDER BY 1").fetchall() == [
        {"target": "places", "status": "ok"},
        {"target": "things", "status": "ok"},
    ]
    assert (
        admin.execute(
            "SELECT count(*) AS n FROM audit.audit_log l WHERE l::text ~ 'SECRET|api_key|\"secret'"
        ).fetchone()["n"]
        == 0
    )
    warehouse.go("1")
    warehouse.run("INSERT INTO things (name) VALUES ('not tracked')")
    assert not any((row["new_record"] or {}).get("name") == "not tracked" for row in entries(admin, "things"))


def test_drop_tables_keeps_their_history(warehouse, admin):
    warehouse.go("2")
    warehouse.run("INSERT INTO things (name) VALUES ('a')")
    command.downgrade(warehouse.config, "base")
    assert told(admin, "things") == [("INSERT", "1", None)]
    warehouse.go("2")
    warehouse.run("INSERT INTO things (name) VALUES ('b')")
    assert told(admin, "things") == [("INSERT", "1", None)] * 2


def test_check_and_autogenerate_leave_ours_alone(warehouse, admin):
    warehouse.go("4")
    warehouse.run("INSERT INTO goods (label, kind) VALUES ('a', 'x')")
    command.check(warehouse.config)  # raises when it would generate anything
    from alembic.autogenerate import produce_migrations
    from alembic.migration import MigrationContext

    with warehouse.engine.connect() as connection:
        plain = produce_migrations(MigrationContext.configure(connection), METADATA)
        assert plain.upgrade_ops.is_empty()
        # Without include_name it would drop the log: what the name filter in env.py is for.
        every = produce_migrations(
            MigrationContext.configure(connection, opts={"include_schemas": True}), METADATA
        )
        assert {"audit_log", "guard_events"} <= {
            getattr(step, "table_name", None) for step in every.upgrade_ops.ops
        }
    with pytest.raises(sa.exc.IntegrityError, match="audit.guard_events is protected: DROP TABLE refused"):
        warehouse.run("DROP TABLE audit.guard_events")
    with pytest.raises(psycopg.errors.RestrictViolation):
        admin.execute("DROP TABLE audit.guard_events")


def test_schema_tracked_before_the_first_revision(warehouse, admin):
    admin.execute("SELECT audit.enable_tracking_schema('public', except_tables => '{alembic_version}')")
    warehouse.go("1")
    warehouse.run("INSERT INTO things (name) VALUES ('a'), ('b')", "INSERT INTO places (thing_id) VALUES (1)")
    assert [Replay(admin, "things").check(), Replay(admin, "places").check()] == [2, 1]
    assert entries(admin, "alembic_version") == []
    command.downgrade(warehouse.config, "base")
    warehouse.go("1")
    warehouse.run("INSERT INTO things (name) VALUES ('again')")
    assert told(admin, "things") == [("INSERT", "1", None), ("INSERT", "2", None), ("INSERT", "1", None)]


def test_a_plain_owner_may_alter_a_tracked_table(warehouse, admin):
    """The role that owns the tables needs no right of ours to change them."""
    warehouse.go("2")
    admin.execute("REVOKE audit_admin FROM app")
    try:
        warehouse.run("INSERT INTO things (name, secret) VALUES ('a', 'SECRET')")
        warehouse.go("4")
        warehouse.run(
            "ALTER TABLE goods SET SCHEMA public",
            "ALTER TABLE goods RENAME api_key TO token",
            "ALTER TABLE goods ADD COLUMN api_key text",
            "UPDATE goods SET api_key = token || '-SECRET', kind = 'y'",
            "ALTER TABLE goods DROP COLUMN token",
            "UPDATE goods SET kind = 'z'",
        )
    finally:
        admin.execute("GRANT audit_admin TO app")
    assert told(admin, "things", "goods") == [
        ("INSERT", "1", None),
        ("UPDATE", "1", ["label"]),
        ("UPDATE", "1", ["kind"]),
        ("UPDATE", "1", ["kind"]),
    ]
    assert "SECRET" not in str(entries(admin, "things", "goods"))


def test_owners_that_change(warehouse, admin):
    warehouse.go("2")
    admin.execute("CREATE ROLE heir LOGIN; GRANT ALL ON SCHEMA public TO heir")
    admin.execute("REASSIGN OWNED BY app TO heir")
    admin.execute("SET ROLE heir; INSERT INTO things (name) VALUES ('a'); RESET ROLE")
    admin.execute("DROP OWNED BY heir CASCADE; DROP ROLE heir")
    (row,) = entries(admin, "things")
    assert (row["operation"], row["login_role"], row["actor_role"]) == ("INSERT", "postgres", "heir")
