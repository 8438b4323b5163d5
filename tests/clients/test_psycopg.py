"""What programs do that speak to the server through psycopg, without an ORM."""

import asyncio
import uuid

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from logbook import Replay, entries, told

PARCELS = """
CREATE TABLE parcels (id bigint PRIMARY KEY, status text NOT NULL, weight numeric(8,3), details jsonb,
                      tags text[], photo bytea, due timestamptz, token uuid, community_id int DEFAULT 7);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON parcels TO app;
SELECT audit.enable_tracking('parcels');
"""
INSERT = "INSERT INTO parcels (id, status, weight) VALUES (%s, %s, %s)"


@pytest.fixture
def parcels(admin):
    admin.execute(PARCELS)
    return admin


@pytest.fixture
def app(cluster, database, parcels):
    with cluster.connect(database, "app", autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("form", ["text", "binary"])
def test_copy_in(app, parcels, form):
    token = uuid.uuid4()
    with app.transaction(), app.cursor() as cursor:
        cursor.execute("SELECT audit.set_context(actor_id => 'loader')")
        with cursor.copy(
            f"COPY parcels (id, status, tags, details, token) FROM STDIN (FORMAT {form})"
        ) as copy:
            copy.set_types(["int8", "text", "text[]", "jsonb", "uuid"])
            for number in range(500):
                copy.write_row([number, 'tab\t"quote"\n', ["a", None, "ü"], Jsonb({"n": number}), token])
    rows = entries(parcels, "parcels")
    assert len(rows) == 500 == Replay(parcels, "parcels").check()
    assert {row["actor_id"] for row in rows} == {"loader"} and len(
        {row["transaction_id"] for row in rows}
    ) == 1
    assert rows[3]["new_record"] | {"details": 0} == {
        "id": 3,
        "status": 'tab\t"quote"\n',
        "weight": None,
        "details": 0,
        "tags": ["a", None, "ü"],
        "photo": None,
        "due": None,
        "token": str(token),
        "community_id": 7,
    }
    assert {row["tenant_id"] for row in rows} == {"7"}


def test_copy_that_breaks_off_logs_nothing(app, parcels):
    with pytest.raises(RuntimeError):
        with app.cursor() as cursor, cursor.copy("COPY parcels (id, status) FROM STDIN") as copy:
            for number in range(2000):
                copy.write_row([number, "new"])
            raise RuntimeError("the file is damaged")
    with pytest.raises(psycopg.errors.UniqueViolation):
        with app.cursor() as cursor, cursor.copy("COPY parcels (id, status) FROM STDIN") as copy:
            copy.write_row([1, "new"])
            copy.write_row([1, "twice"])
    assert entries(parcels, "parcels") == []


def test_copy_out_of_the_log(app, parcels):
    app.execute(INSERT, [1, "new", "1.500"])
    with parcels.cursor().copy(
        "COPY (SELECT record_id, new_record->>'weight' FROM audit.audit_log) TO STDOUT"
    ) as copy:
        assert list(copy.rows()) == [("1", "1.500")]


def test_server_side_cursors(cluster, database, app, parcels):
    for number in range(10):
        app.execute(INSERT, [number, "new", number])
    with cluster.connect(database, "app") as connection, connection.cursor() as work:
        with connection.cursor("reading") as reading:
            reading.itersize = 1  # so that the row just read is the row the cursor stands on
            reading.execute("SELECT id FROM parcels WHERE id < 5 ORDER BY id FOR UPDATE")
            for (number,) in reading:
                if number % 2:
                    work.execute(
                        "UPDATE parcels SET status = 'odd' WHERE CURRENT OF reading"
                        if number == 3
                        else "UPDATE parcels SET status = 'odd' WHERE id = 1"
                    )
        connection.execute("DECLARE removing CURSOR FOR SELECT id FROM parcels ORDER BY id DESC FOR UPDATE")
        connection.execute("FETCH 1 FROM removing")
        connection.execute("DELETE FROM parcels WHERE CURRENT OF removing")
    changed = told(parcels, "parcels")[10:]
    assert [change[0] for change in changed] == ["UPDATE", "UPDATE", "DELETE"]
    assert changed[0][1:] == ("1", ["status"]) and changed[2][1] == "9"
    assert Replay(parcels, "parcels").check() == 9


def test_pipeline_in_one_transaction(app, parcels):
    with app.transaction(), app.pipeline():
        app.execute("SELECT audit.set_context(actor_id => 'piped')")
        for number in range(100):
            app.execute(INSERT, [number, "new", None])
            app.execute("UPDATE parcels SET status = 'seen' WHERE id = %s", [number])
    rows = entries(parcels, "parcels")
    assert len(rows) == 200 and {row["actor_id"] for row in rows} == {"piped"}
    assert [row["operation"] for row in rows[:4]] == ["INSERT", "UPDATE"] * 2
    assert Replay(parcels, "parcels").check() == 100


def test_pipeline_without_a_transaction(app, parcels):
    """Up to the next sync it is one transaction for the server, although nobody said BEGIN."""
    with app.pipeline() as pipeline:
        app.execute(INSERT, [1, "new", None])
        app.execute(INSERT, [2, "new", None])
        pipeline.sync()
        app.execute(INSERT, [3, "new", None])
        failing = app.execute(INSERT, [3, "again", None])
        with pytest.raises(psycopg.errors.UniqueViolation):
            pipeline.sync()
            failing.fetchone()
    app.execute(INSERT, [4, "new", None])
    assert [row["record_id"] for row in entries(parcels, "parcels")] == ["1", "2", "4"]
    assert Replay(parcels, "parcels").check() == 3


def test_executemany_with_returning(app, parcels):
    with app.transaction(), app.cursor() as cursor:
        cursor.executemany(INSERT + " RETURNING id", [(n, "new", n) for n in range(50)], returning=True)
        got = [result.fetchone()[0] for result in cursor.results()]
    assert got == list(range(50)) and len(entries(parcels, "parcels")) == 50


def test_prepared_statements_survive_alter_table(app, parcels):
    for number in range(12):
        app.execute(INSERT, [number, "new", None], prepare=True)
        if number == 6:
            parcels.execute(
                "ALTER TABLE parcels ADD COLUMN note text DEFAULT 'none', ALTER weight TYPE double precision"
            )
    rows = entries(parcels, "parcels")
    assert len(rows) == 12
    assert ["note" in row["new_record"] for row in rows] == [False] * 7 + [True] * 5


def test_autocommit_and_manual_commit(cluster, database, app, parcels):
    app.execute(INSERT, [1, "own transaction", None])
    app.execute(INSERT, [2, "own transaction", None])
    with cluster.connect(database, "app") as connection:
        connection.execute(INSERT, [3, "one", None])
        connection.execute(INSERT, [4, "one", None])
        connection.commit()
        connection.execute(INSERT, [5, "never", None])
        connection.rollback()
    ids = [row["transaction_id"] for row in entries(parcels, "parcels")]
    assert len(ids) == 4 and len(set(ids)) == 3 and ids[2] == ids[3]
    changes = parcels.execute("SELECT record_id FROM audit.transaction_changes(%s)", [ids[2]]).fetchall()
    assert [row["record_id"] for row in changes] == ["3", "4"]


def test_savepoints_of_nested_transactions(app, parcels):
    with app.transaction():
        app.execute("SELECT audit.set_context(actor_id => 'outer')")
        app.execute(INSERT, [1, "kept", None])
        with app.transaction(force_rollback=True):
            app.execute("SELECT audit.set_context(actor_id => 'inner')")
            app.execute(INSERT, [2, "gone", None])
        with app.transaction():
            app.execute("SELECT audit.set_context(actor_id => 'second')")
            app.execute(INSERT, [3, "kept", None])
        app.execute(INSERT, [4, "kept", None])
    assert [(row["record_id"], row["actor_id"]) for row in entries(parcels, "parcels")] == [
        ("1", "outer"),
        ("3", "second"),
        ("4", "second"),
    ]


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_two_phase_commit(cluster, database, app, parcels, ending):
    xid = f"parcel-{ending}"
    first = cluster.connect(database, "app")
    first.tpc_begin(xid)
    first.execute("SELECT audit.set_context(actor_id => 'first', context => '{\"app\": {\"ticket\": 9}}')")
    first.execute(INSERT, [1, "prepared", None])
    first.execute("UPDATE parcels SET status = 'still' WHERE id = 1")
    first.tpc_prepare()
    first.close()
    assert entries(parcels, "parcels") == []
    app.execute(INSERT, [2, "meanwhile", None])
    # Somebody else, in another session, ends it.
    with cluster.connect(database, "postgres") as second:
        (prepared,) = second.tpc_recover()
        assert prepared.gtrid == xid
        second.rollback()
        getattr(second, f"tpc_{ending}")(prepared)
    expected = {"commit": [("1", "first"), ("1", "first"), ("2", None)], "rollback": [("2", None)]}[ending]
    assert [(row["record_id"], row["actor_id"]) for row in entries(parcels, "parcels")] == expected
    assert {row["login_role"] for row in entries(parcels, "parcels")} == {"app"}
    assert Replay(parcels, "parcels").check() == len(set(expected))


def test_types_come_back_as_they_went_in(app, parcels):
    app.execute("SET timezone = 'Asia/Kolkata'")
    app.execute("SET bytea_output = 'escape'")
    app.execute(
        "INSERT INTO parcels VALUES (1, %s, '1.500', %s, %s, %s, '2026-11-21 05:30+05:30', %s)",
        ["ünï ' \" \\", Jsonb({"a": [1, 2.5, None]}), ["x", 'q"', None], b"\x00\xff", uuid.UUID(int=5)],
    )
    (row,) = entries(parcels, "parcels", columns="new_record::text AS image, new_record")
    image = row["new_record"]
    assert image["status"] == "ünï ' \" \\" and '"weight": 1.500' in row["image"]
    assert (image["photo"], image["due"]) == ("\\x00ff", "2026-11-21T00:00:00+00:00")
    assert (image["tags"], image["token"]) == (["x", 'q"', None], "00000000-0000-0000-0000-000000000005")
    again = parcels.execute(
        "SELECT p = r AS same FROM parcels p, audit.audit_log l, "
        "jsonb_populate_record(NULL::parcels, l.new_record) r"
    ).fetchone()
    assert again["same"]


def test_types_of_other_extensions(parcels):
    """Types that come with the server, but not in it: their images are those of to_jsonb."""
    parcels.execute(
        "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube;"
        "CREATE EXTENSION isn; CREATE EXTENSION seg; CREATE EXTENSION lo"
    )
    parcels.execute(
        "CREATE TABLE others (id int PRIMARY KEY, h hstore, c citext, l ltree, q cube, i isbn13, s seg, o lo,"
        " hs hstore[]); SELECT audit.enable_tracking('others')"
    )
    parcels.execute(
        r"""INSERT INTO others VALUES (1, '"a \"b"=>1, c=>NULL', 'Ünï', 'Top.Science', '(1,2),(3,4)',
                                      '978-0-393-04002-9', '1.0(+-)0.1', 7, ARRAY['x=>y', '']::hstore[]);
            INSERT INTO others VALUES (2)"""
    )
    parcels.execute("UPDATE others SET h = h || 'd=>4', c = 'ÜNÏ' WHERE id = 1")
    first, _, second = entries(parcels, "others")
    assert first["new_record"]["h"] == {'a "b': "1", "c": None}
    assert second["changed_fields"] == ["h", "c"]
    assert Replay(parcels, "others").check() == 2


def test_composed_names(app, parcels):
    """A table whose name needs every kind of quoting, as psycopg.sql writes it."""
    name = sql.Identifier('Ünï "q" t')
    parcels.execute(sql.SQL('CREATE TABLE {} ("Key" int PRIMARY KEY, "a b" text)').format(name))
    parcels.execute(sql.SQL("SELECT audit.enable_tracking({})").format(sql.Literal(name.as_string(parcels))))
    parcels.execute(sql.SQL("INSERT INTO {} VALUES (1, 'x')").format(name))
    (row,) = parcels.execute(
        "SELECT * FROM audit.record_history(%s, 1)", [name.as_string(parcels)]
    ).fetchall()
    assert row["table_name"] == 'Ünï "q" t' and row["new_values"] == {"Key": 1, "a b": "x"}


def test_asynchronous_connections_side_by_side(cluster, database, parcels):
    async def person(number):
        async with await psycopg.AsyncConnection.connect(
            host=str(cluster.folder), port=5432, dbname=database, user="app"
        ) as connection:
            for step in range(5):
                async with connection.transaction():
                    await connection.execute("SELECT audit.set_context(actor_id => %s)", [f"person {number}"])
                    await connection.execute(INSERT, [number * 10 + step, f"person {number}", None])

    async def everybody():
        await asyncio.gather(*(person(number) for number in range(6)))

    asyncio.run(everybody())
    rows = entries(parcels, "parcels")
    assert len(rows) == 30 and all(row["actor_id"] == row["new_record"]["status"] for row in rows)


def test_denied_statement_leaves_the_connection_usable(app, parcels):
    parcels.execute("GRANT audit_reader TO app")
    app.execute(INSERT, [1, "new", None])
    for statement, state in (
        ("UPDATE audit.audit_log SET actor_id = 'x'", "42501"),
        ("INSERT INTO audit.audit_log (transaction_id) VALUES (1)", "42501"),
    ):
        with pytest.raises(psycopg.Error) as refused:
            app.execute(statement)
        assert refused.value.sqlstate == state
    for statement in (
        "UPDATE audit.audit_log SET actor_id = 'x'",
        "DELETE FROM audit.audit_log",
        "TRUNCATE audit.audit_log",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation) as refused:
            parcels.execute(statement)
        assert refused.value.diag.message_primary.startswith("audit.audit_log is append-only")
    parcels.execute("REVOKE audit_reader FROM app")
    app.execute(INSERT, [2, "new", None])
    assert len(entries(parcels, "parcels")) == 2
