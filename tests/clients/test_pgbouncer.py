"""PgBouncer: whoever gets a server connection next must not inherit who used it before."""

import random
import threading

import psycopg
import pytest
from psycopg.types.json import Json

from clusters import Bouncer
from logbook import entries

NOTES = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, actor text, source text, tenant text,
                    backend int DEFAULT pg_backend_pid(), body text);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app, web_anon, web_user;
SELECT audit.enable_tracking('notes', tenant_column => '');
"""
RECIPE = """
BEGIN;
SELECT audit.set_context(actor_id => 4711, context => '{"app": {"ticket": "HD-88"}}');
INSERT INTO notes (body) VALUES ('one transaction, one person');
COMMIT;
"""
REQUEST = """
BEGIN;
SET LOCAL ROLE web_user;
SELECT set_config('request.jwt.claims', '{"sub": "4711", "role": "web_user"}', true),
       set_config('request.headers', '{"x-forwarded-for": "203.0.113.9"}', true);
INSERT INTO notes (body) VALUES ('as a request');
COMMIT;
"""
WRITE = "INSERT INTO notes (actor, source, tenant, body) VALUES (%s, %s, %s, %s)"


@pytest.fixture(scope="module")
def pooler(cluster):
    """Starts a PgBouncer of that kind, or gives the one that runs already."""
    running = {}

    def start(mode, pool_size):
        if (mode, pool_size) not in running:
            running[mode, pool_size] = Bouncer(cluster, mode, pool_size, ["postgres", "app", "authenticator"])
        return running[mode, pool_size]

    yield start
    for bouncer in running.values():
        bouncer.stop()


@pytest.fixture
def narrow(pooler):
    """One server connection for everybody: the next client always gets the one that was just used."""
    return pooler("transaction", 1)


@pytest.fixture
def session(pooler):
    """One server connection that belongs to a client until it leaves, and is then reset with DISCARD ALL."""
    return pooler("session", 1)


@pytest.fixture
def notes(admin):
    admin.execute(NOTES)
    return admin


def claims_of(person, tenant):
    return Json({"sub": person, "role": "web_user", "app_metadata": {"tenant_id": tenant}})


def one_transaction(connection, dice, person):
    """Declares somebody in one of the ways there are, or nobody, and writes down who that was."""
    way = dice.choice(
        ["context", "claims", "both", "nobody", "nobody", "taken back", "failed", "rolled back"]
    )
    with connection.transaction(force_rollback=way == "rolled back"):
        actor = source = tenant = None
        if way in ("claims", "both", "rolled back"):
            connection.execute(
                "SELECT set_config('request.jwt.claims', %s::text, true)", [claims_of(person, "t-" + person)]
            )
            actor, source, tenant = person, "jwt", "t-" + person
        if way in ("context", "both", "rolled back"):
            connection.execute(
                "SELECT audit.set_context(actor_id => %s, tenant_id => %s)", ["ctx-" + person, "c-" + person]
            )
            actor, source, tenant = "ctx-" + person, "context", "c-" + person
        if way in ("taken back", "failed"):
            with (
                pytest.raises(psycopg.Error)
                if way == "failed"
                else connection.transaction(force_rollback=True)
            ):
                with connection.transaction():
                    connection.execute("SELECT audit.set_context(actor_id => %s)", ["gone-" + person])
                    connection.execute(WRITE, ["never", "never", None, way])
                    if way == "failed":
                        connection.execute("SELECT 1 / 0")
        for _ in range(dice.randint(1, 3)):
            connection.execute(WRITE, [actor, source, tenant, way])


def check_everybody(notes, updates=0):
    """Each row says who wrote it; the log must say the same."""
    rows = entries(notes, "notes")
    for row in rows:
        expected = row["new_record"]
        assert (row["actor_id"], row["actor_source"], row["tenant_id"]) == (
            expected["actor"],
            expected["source"],
            expected["tenant"],
        ), row
    assert notes.execute("SELECT count(*) FROM notes").fetchone()["count"] == len(rows) - updates
    return rows


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_interleaved_clients_keep_their_own_context(pooler, notes, database, mode):
    clients, rounds, bouncer = 12, 60, pooler(mode, 3)
    failures = []

    def client(number):
        dice = random.Random(number)
        try:
            # In session mode a server connection is handed on when a client leaves, so they come and go.
            for part in range(5):
                with bouncer.connect(database, "app") as connection:
                    connection.autocommit = True
                    for step in range(rounds // 5):
                        one_transaction(connection, dice, f"{number}-{part}-{step}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    rows = check_everybody(notes)
    assert {row["new_record"]["body"] for row in rows} == {
        "context",
        "claims",
        "both",
        "nobody",
        "taken back",
        "failed",
    }
    assert len({row["id"] for row in rows}) == len(rows)
    # Without sharing, the test would show nothing.
    assert len({row["new_record"]["backend"] for row in rows}) <= 3


def test_next_client_of_the_same_connection_is_nobody(narrow, notes, database):
    with (
        narrow.connect(database, "app", application_name="till") as first,
        narrow.connect(database, "app", application_name="office") as second,
    ):
        first.execute(
            "SELECT audit.set_context(actor_id => 'ada', session_id => gen_random_uuid(), "
            "client_ip => '203.0.113.7', tenant_id => 'acme', phi_accessed => true, "
            'context => \'{"app": {"ticket": 1}}\')'
        )
        first.execute(WRITE, ["ada", "context", "acme", "first"])
        first.commit()
        shown = second.execute("SELECT c.* FROM audit.current_context() c").fetchone()
        second.execute(WRITE, [None, None, None, "second"])
        second.commit()
        first.execute(WRITE, [None, None, None, "first again"])
    assert "ada" not in map(str, shown) and "acme" not in map(str, shown)
    rows = check_everybody(notes)
    assert len({row["new_record"]["backend"] for row in rows}) == 1
    assert [row["application_name"] for row in rows] == ["till", "office", "till"]
    assert rows[0]["context"]["app"] == {"ticket": 1} and rows[0]["phi_accessed"]
    for row in rows[1:]:
        assert (row["session_id"], row["client_ip"], row["phi_accessed"]) == (None, None, False)
        assert "app" not in (row["context"] or {})


def test_context_outside_a_transaction_lasts_for_its_statement(narrow, notes, database):
    with narrow.connect(database, "app", autocommit=True) as careless:
        warnings = []
        careless.add_notice_handler(lambda notice: warnings.append(notice.sqlstate))
        careless.execute("SELECT audit.set_context(actor_id => 'careless')")
        careless.execute(WRITE, [None, None, None, "own"])
        with narrow.connect(database, "app", autocommit=True) as other:
            other.execute(WRITE, [None, None, None, "other"])
    assert warnings == ["01000"]
    assert len({row["new_record"]["backend"] for row in check_everybody(notes)}) == 1


def test_client_that_breaks_off_leaves_nothing(narrow, notes, database):
    lost = narrow.connect(database, "app")
    lost.execute("SELECT audit.set_context(actor_id => 'lost')")
    lost.execute("SELECT set_config('request.jwt.claims', '{\"sub\": \"lost\"}', true)")
    lost.execute(WRITE, ["lost", "context", None, "lost"])
    lost.close()
    with narrow.connect(database, "app") as other:
        other.execute(WRITE, [None, None, None, "other"])
    assert [row["new_record"]["body"] for row in check_everybody(notes)] == ["other"]


def postgrest(connection, role, person, headers, *statements):
    """What PostgREST sends for one request; gives what the last statement returns."""
    with connection.transaction():
        connection.execute(f"SET LOCAL ROLE {role}")
        connection.execute(
            "SELECT set_config('request.jwt.claims', %s::text, true), "
            "set_config('request.headers', %s::text, true), "
            "set_config('request.method', 'POST', true), set_config('request.path', '/notes', true)",
            [Json({"role": role} | ({"sub": person} if person else {})), Json(headers)],
        )
        for statement, arguments in statements:
            answer = connection.execute(statement, arguments)
        return answer.fetchall() if answer.description else None


def test_requests_as_postgrest_sends_them(narrow, notes, database):
    with narrow.connect(database, "authenticator", autocommit=True) as connection:
        postgrest(
            connection,
            "web_user",
            "ada",
            {"x-forwarded-for": "198.51.100.1, 203.0.113.9", "user-agent": "curl"},
            (WRITE, ["ada", "jwt", None, "request 1"]),
        )
        postgrest(connection, "web_anon", None, {}, (WRITE, [None, None, None, "request 2"]))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(WRITE, [None, None, None, "no role"])
    first, second = check_everybody(notes)
    assert (first["login_role"], first["actor_role"], str(first["client_ip"])) == (
        "authenticator",
        "web_user",
        "203.0.113.9",
    )
    assert (first["context"]["user_agent"], first["context"]["method"], first["context"]["path"]) == (
        "curl",
        "POST",
        "/notes",
    )
    assert (second["login_role"], second["actor_role"], second["client_ip"]) == (
        "authenticator",
        "web_anon",
        None,
    )
    assert "user_agent" not in second["context"]


def test_rows_as_postgrest_writes_them(narrow, notes, database):
    """A POST of several rows that wants them back, and one that merges duplicates."""
    source = """WITH pgrst_source AS (INSERT INTO notes (id, actor, source, body) OVERRIDING SYSTEM VALUE
        SELECT id, actor, source, body FROM json_to_recordset(%s::json) AS _ (
            id bigint, actor text, source text, body text){} RETURNING notes.*)
        SELECT count(*), coalesce(json_agg(_), '[]') FROM (SELECT * FROM pgrst_source) _"""
    rows = [{"id": n, "actor": "ada", "source": "jwt", "body": "row"} for n in (1, 2, 3)]
    merge = " ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body || '!'"
    with narrow.connect(database, "authenticator", autocommit=True) as connection:
        postgrest(connection, "web_user", "ada", {}, (source.format(""), [Json(rows)]))
        postgrest(connection, "web_user", "ada", {}, (source.format(merge), [Json(rows[:1])]))
    logged = [
        (row["operation"], row["record_id"], row["changed_fields"]) for row in check_everybody(notes, 1)
    ]
    assert logged == [("INSERT", str(n), None) for n in (1, 2, 3)] + [("UPDATE", "1", ["body"])]


def test_web_roles_reach_the_log_neither_way(narrow, notes, database):
    with narrow.connect(database, "authenticator", autocommit=True) as connection:
        postgrest(connection, "web_user", "ada", {}, (WRITE, ["ada", "jwt", None, "mine"]))
        for statement in (
            "SELECT * FROM audit.audit_log",
            "SELECT * FROM audit.changes",
            "DELETE FROM audit.audit_log",
            "SELECT audit.disable_tracking('notes')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                postgrest(connection, "web_user", "ada", {}, (statement, []))
    assert len(check_everybody(notes)) == 1


def test_auditor_reads_through_the_api_schema(narrow, notes, database):
    """An rpc call and a read of a view, in the form in which PostgREST sends them."""
    notes.execute("CREATE ROLE web_auditor NOLOGIN IN ROLE audit_reader; GRANT web_auditor TO authenticator")
    call = """WITH pgrst_source AS (SELECT pgrst_call.* FROM (SELECT %s::json AS json_data) pgrst_payload,
            LATERAL (SELECT * FROM json_to_record(pgrst_payload.json_data)
                     AS _("target" regclass, "record_id" text)) pgrst_body,
            LATERAL "audit_api"."record_history"("target" := pgrst_body."target",
                                                 "record_id" := pgrst_body."record_id") pgrst_call)
        SELECT json_agg(_) FROM (SELECT * FROM pgrst_source) _"""
    read = """WITH pgrst_source AS (SELECT "audit_api"."changes"."record_id", "audit_api"."changes"."actor_id"
            FROM "audit_api"."changes" WHERE "audit_api"."changes"."table_name" = %s LIMIT 10)
        SELECT json_agg(_) FROM (SELECT * FROM pgrst_source) _"""
    with narrow.connect(database, "authenticator", autocommit=True) as connection:
        postgrest(connection, "web_user", "ada", {}, (WRITE, ["ada", "jwt", None, "x"]))
        for statement, argument in ((call, Json({"target": "notes", "record_id": "1"})), (read, "notes")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                postgrest(connection, "web_user", "ada", {}, (statement, [argument]))
            ((answer,),) = postgrest(connection, "web_auditor", "eve", {}, (statement, [argument]))
            assert [(row["record_id"], row["actor_id"]) for row in answer] == [("1", "ada")]
    notes.execute("DROP ROLE web_auditor")


def test_prepared_within_a_transaction(narrow, notes, database):
    with narrow.connect(database, "app", autocommit=True) as connection:
        for person in ("ada", None, "bob"):
            with connection.transaction():
                if person:
                    connection.execute("SELECT audit.set_context(actor_id => %s)", [person])
                connection.execute(
                    "PREPARE put AS INSERT INTO notes (actor, source, body) VALUES ($1, $2, 'prepared')"
                )
                for _ in range(7):
                    connection.execute(
                        "EXECUTE put(%s, %s)" % ((f"'{person}'", "'context'") if person else ("NULL", "NULL"))
                    )
                connection.execute("DEALLOCATE put")
    assert len(check_everybody(notes)) == 21


def test_statement_prepared_once_logs_who_runs_it(session, notes, database):
    """A plan outlives transactions; who acts is asked anew in each."""
    for visitor in range(2):
        with session.connect(database, "app", autocommit=True, prepare_threshold=0) as connection:
            for number in range(8):
                person = f"{visitor}-{number}" if number % 2 else None
                with connection.transaction():
                    if person:
                        connection.execute("SELECT audit.set_context(actor_id => %s)", [person])
                    connection.execute(WRITE, [person, "context" if person else None, None, "prepared"])
            assert connection.execute("SELECT count(*) > 0 FROM pg_prepared_statements").fetchone()[0]
    rows = check_everybody(notes)
    assert len(rows) == 16 and len({row["new_record"]["backend"] for row in rows}) == 1


def test_discard_all_between_clients(session, notes, database):
    """PgBouncer's own reset in session mode, and the same given by a client between two writes."""
    with session.connect(database, "app", autocommit=True) as connection:
        connection.execute('SET request.jwt.claims = \'{"sub": "ada"}\'')
        connection.execute(WRITE, ["ada", "jwt", None, "claims of the session"])
        connection.execute("DISCARD ALL")
        connection.execute(WRITE, [None, None, None, "discarded"])
        connection.execute('SET request.jwt.claims = \'{"sub": "bob"}\'')
    with session.connect(database, "app", autocommit=True) as connection:
        connection.execute(WRITE, [None, None, None, "next"])
    rows = check_everybody(notes)
    assert len(rows) == 3 and len({row["new_record"]["backend"] for row in rows}) == 1
    assert len({row["id"] for row in rows}) == 3


def test_options_changed_elsewhere_reach_pooled_connections(narrow, notes, database):
    with narrow.connect(database, "app", autocommit=True) as connection:
        connection.execute(WRITE, [None, None, None, "seen"])
        notes.execute("SELECT audit.enable_tracking('notes', exclude => '{body}', tenant_column => '')")
        connection.execute(WRITE, [None, None, None, "hidden"])
        notes.execute("SELECT audit.disable_tracking('notes')")
        connection.execute(WRITE, [None, None, None, "not logged"])
    assert [row["new_record"].get("body") for row in entries(notes, "notes")] == ["seen", None]
    assert "body" not in entries(notes, "notes")[1]["new_record"]


def test_recipes(narrow, notes, database):
    for user, recipe in (("app", RECIPE), ("authenticator", REQUEST), ("app", WRITE % (("NULL",) * 4))):
        with narrow.connect(database, user, autocommit=True) as connection:
            connection.execute(recipe)
    shown = [
        (row["actor_id"], row["actor_source"], row["login_role"], row["actor_role"], str(row["client_ip"]))
        for row in entries(notes, "notes")
    ]
    assert shown == [
        ("4711", "context", "app", "app", "None"),
        ("4711", "jwt", "authenticator", "web_user", "203.0.113.9"),
        (None, None, "app", "app", "None"),
    ]
