"""Protected tables under lockdown, beside pgaudit, pg_stat_statements and pg_cron."""

import time

import psycopg
import pytest

from logbook import told
from neighbours import CONSENTS, audit_lines
from test_neighbours import with_extensions

REFUSED = [
    "DELETE FROM consents",
    "DELETE FROM consents WHERE id = 6",
    "UPDATE consents SET note = 'x' WHERE id = 1",
    "INSERT INTO consents VALUES (11, 'x', now() - interval '1 day')",
    "TRUNCATE consents",
    "ALTER TABLE consents DISABLE TRIGGER ALL",
    "DROP TABLE consents",
]


def ids(connection):
    return [row[0] for row in connection.execute("SELECT id FROM consents ORDER BY id").fetchall()]


def until(question, seconds=10):
    """Asks again until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.1)
    return answer


def test_beside_pgaudit_and_pg_stat_statements(preloaded):
    name = with_extensions(preloaded, "guard_beside", "pg_stat_statements", "audit_guard", "pgaudit")
    with preloaded.administer(name) as admin, preloaded.connect(name, "app", autocommit=True) as app:
        admin.execute(CONSENTS)
        admin.execute("SELECT pg_stat_statements_reset()")
        before = len(preloaded.log())
        for statement in REFUSED:
            for connection in (app, admin):
                with pytest.raises(psycopg.errors.RestrictViolation):
                    connection.execute(statement)
        app.execute("INSERT INTO consents VALUES (11, 'now')")
        app.execute("DELETE FROM consents WHERE id IN (1, 2)")
        assert ids(app) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
        assert told(admin, "consents") == [
            ("INSERT", "11", None),
            ("DELETE", "1", None),
            ("DELETE", "2", None),
        ]
        # Each extension saw what people did; of what we do for it ourselves, nothing.
        written = [line.split(",")[4] for line in audit_lines(preloaded, name, before) if ",WRITE," in line]
        assert written[-2:] == ["INSERT", "DELETE"], written
        counted = admin.execute(
            "SELECT query, calls::int, rows::int FROM pg_stat_statements s "
            "JOIN pg_roles r ON r.oid = s.userid "
            "JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() "
            "WHERE rolname = 'app' AND query ~ '^(INSERT|DELETE)' AND rows > 0 ORDER BY query DESC"
        ).fetchall()
        assert [(row["calls"], row["rows"]) for row in counted] == [(1, 1), (1, 2)], counted

        # Refused attempts of both, with who it was, although their transactions are gone.
        def denied():
            return {
                (row["login_role"], row["n"])
                for row in admin.execute(
                    "SELECT login_role, count(*)::int AS n FROM audit.denied_attempts "
                    "WHERE object = 'consents' OR object = 'public.consents' GROUP BY 1"
                ).fetchall()
            }

        until(lambda: denied() == {("app", len(REFUSED)), ("postgres", len(REFUSED))})


def test_through_a_prepared_statement_and_copy(preloaded):
    """What drivers do: plans that are kept, COPY, pipelines, two-phase commit."""
    name = with_extensions(preloaded, "guard_driver", "audit_guard")
    with preloaded.administer(name) as admin, preloaded.connect(name, "app", autocommit=True) as app:
        admin.execute(CONSENTS)
        for number in range(20, 40):
            app.execute("INSERT INTO consents (id) VALUES (%s)", [number], prepare=True)
        with pytest.raises(psycopg.errors.RestrictViolation):
            for number in range(1, 40):
                app.execute("DELETE FROM consents WHERE id = %s", [number], prepare=True)
        assert ids(app)[:2] == [6, 7], "the expired ones went before the first that is not"
        with app.cursor().copy("COPY consents (id, note) FROM STDIN") as copy:
            for number in range(50, 60):
                copy.write_row([number, "copied"])
        with pytest.raises(psycopg.errors.RestrictViolation):
            with app.cursor().copy("COPY consents FROM STDIN") as copy:
                copy.write_row([60, "old", "2001-01-01"])
        with pytest.raises(psycopg.errors.RestrictViolation), app.pipeline():
            app.execute("INSERT INTO consents (id) VALUES (70)")
            app.execute("DELETE FROM consents WHERE id = 6")
        assert not {60, 70} & set(ids(app))
        assert len(ids(app)) == 5 + 20 + 10


def test_maintenance_by_cron(preloaded):
    """With pg_cron in the database, schedule_maintenance() leaves a job that does what it should."""
    with preloaded.administer() as admin:
        admin.execute("CREATE EXTENSION audit_guard")
        jobs = "SELECT jobname, schedule, command FROM cron.job WHERE command ~ 'audit'"
        before = admin.execute(jobs).fetchall()
        said = admin.execute("SELECT audit.schedule_maintenance() AS said").fetchone()["said"]
        made = [job for job in admin.execute(jobs).fetchall() if job not in before]
        assert made and {job["schedule"] for job in made} == {"*/5 * * * *"}, (said, made)
        admin.execute("SELECT audit.schedule_maintenance('*/10 * * * *')")
        again = [job for job in admin.execute(jobs).fetchall() if job not in before]
        assert {job["schedule"] for job in again} == {"*/10 * * * *"}
        assert len(again) == len(made), "the job is changed, not doubled"
        for job in again:
            admin.execute(job["command"])
