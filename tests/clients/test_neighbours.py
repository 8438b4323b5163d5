"""pgaudit, pg_stat_statements, pg_cron and pgTAP in the same server, in whatever order they are loaded."""

import subprocess
from pathlib import Path

import pytest

from logbook import entries
from neighbours import JOBS, PARCELS, audit_lines, check_all, load, wait_for_jobs

CRON_RECIPE = """
SELECT cron.schedule('audit months', '17 3 * * *', 'SELECT audit.maintain_partitions()');
SELECT cron.schedule('expire notes', '0 3 * * *', $$
    SELECT audit.set_context(actor_id => 'job expire notes');
    DELETE FROM notes WHERE body IS NULL
$$);
"""


def with_extensions(cluster, name, *extensions):
    """A new database in which the extensions are made in this order."""
    cluster.create_database(name)
    with cluster.administer(name) as admin:
        for extension in extensions:
            admin.execute(f"CREATE EXTENSION {extension}")
        admin.execute("SELECT audit.maintain_partitions(0)")
        admin.execute("GRANT audit_admin TO app; GRANT CREATE ON SCHEMA public TO app")
    return name


def test_loaded_beside_us(beside):
    check_all(beside, with_extensions(beside, "first", "pg_stat_statements", "pgaudit", "audit_guard"))
    check_all(beside, with_extensions(beside, "last", "audit_guard", "pgaudit", "pg_stat_statements"))


def test_loaded_with_us(preloaded):
    first = with_extensions(preloaded, "first", "pg_stat_statements", "pgaudit", "audit_guard")
    check_all(preloaded, first, lockdown=True)
    last = with_extensions(preloaded, "last", "audit_guard", "pgaudit", "pg_stat_statements")
    check_all(preloaded, last, lockdown=True)


@pytest.mark.last
@pytest.mark.parametrize(
    "order",
    [
        "pg_cron,pg_stat_statements,pgaudit,audit_guard",
        "pgaudit,audit_guard,pg_cron,pg_stat_statements",
        "audit_guard,pg_stat_statements,pg_cron,pgaudit",
    ],
)
def test_loaded_in_another_order(preloaded, order):
    load(preloaded, order.split(","))
    # Under lockdown a database with protected rows stays, so each order has its own.
    name = "order_" + order.replace(",", "_")
    with_extensions(preloaded, name, "audit_guard", "pg_stat_statements", "pgaudit")
    check_all(preloaded, name, lockdown=True)


def test_pgaudit_logs_what_switches_tracking(beside):
    name = with_extensions(beside, "pgaudit_all", "pgaudit", "audit_guard")
    with beside.administer(name) as admin:
        admin.execute(
            "SET pgaudit.log = 'all'; SET pgaudit.log_parameter = on; SET pgaudit.log_relation = on"
        )
        before = len(beside.log())
        admin.execute('CREATE TABLE "T x" (id int PRIMARY KEY, secret text)')
        admin.execute("SELECT audit.enable_tracking('\"T x\"', exclude => '{secret}')")
        admin.execute('ALTER TABLE "T x" RENAME COLUMN secret TO hidden')
        admin.execute('INSERT INTO "T x" VALUES (%s, %s)', [1, "SECRET"])
        admin.execute('TRUNCATE "T x"')
        admin.execute("SELECT audit.disable_tracking('\"T x\"')")
        admin.execute('DROP TABLE "T x"')
        lines = audit_lines(beside, name, before)
        for expected in ("audit.enable_tracking", "CREATE TRIGGER", "DROP TRIGGER", "TRUNCATE", "DROP TABLE"):
            assert any(expected in line for line in lines), (expected, lines)
        assert [row["operation"] for row in entries(admin, "T x")] == ["INSERT", "TRUNCATE"]
        assert "SECRET" not in str(entries(admin, "T x"))
        admin.execute("DROP EXTENSION pgaudit")
        admin.execute(PARCELS)
        admin.execute("INSERT INTO parcels VALUES (1, 'still')")
        assert len(entries(admin, "parcels")) == 1


def test_pgaudit_of_single_objects(beside):
    """pgaudit's object audit, by a role that stands for it, on a tracked table."""
    name = with_extensions(beside, "pgaudit_objects", "audit_guard", "pgaudit")
    with beside.administer(name) as admin:
        admin.execute(PARCELS)
        admin.execute(
            "CREATE ROLE pgaudit_role NOLOGIN; GRANT UPDATE, SELECT ON parcels TO pgaudit_role;"
            "SET pgaudit.log = 'none'; SET pgaudit.role = 'pgaudit_role'"
        )
        before = len(beside.log())
        admin.execute("INSERT INTO parcels VALUES (1, 'new')")
        admin.execute("UPDATE parcels SET status = 'old'")
        assert [line.split(",")[:5:4] for line in audit_lines(beside, name, before)] == [["OBJECT", "UPDATE"]]
        assert len(entries(admin, "parcels")) == 2


def test_pgtap(beside):
    """The file shows how an application's own tests can ask for tracking."""
    name = with_extensions(beside, "tap", "pgtap", "audit_guard")
    with beside.administer(name) as admin:
        admin.execute(
            "CREATE TABLE packages (id int PRIMARY KEY, status text, secret text);"
            "INSERT INTO packages VALUES (42, 'received', 'x');"
            "SELECT audit.enable_tracking('packages', exclude => '{secret}')"
        )
    run = subprocess.run(
        [
            beside.programs / "psql",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            beside.folder,
            "-p",
            "5432",
            "-U",
            "postgres",
            "-d",
            name,
            "-f",
            Path(__file__).parent / "packages.tap.sql",
        ],
        capture_output=True,
        text=True,
    )
    lines = run.stdout.splitlines()
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    assert [line[:3] for line in lines[1:]] == ["ok "] * 8, run.stdout
    with beside.administer(name) as admin:
        assert entries(admin, "packages") == []  # the file takes everything back


@pytest.mark.late
@pytest.mark.parametrize("name", ["beside", "preloaded"])
def test_cron(name, request):
    """Jobs run over connections of their own in one cluster, in background workers in the other."""
    cluster = request.getfixturevalue(name)
    runs = wait_for_jobs(cluster)
    assert {job: status for job, (status, _) in runs.items()} == {
        job: "failed" if job in ("sweep", "peek", "purge") else "succeeded" for job in JOBS
    }, runs
    assert "audit.audit_log is append-only: DELETE refused" in runs["sweep"][1]
    assert "permission denied" in runs["peek"][1]
    assert "public.consents is protected: DELETE refused" in runs["purge"][1]
    with cluster.administer("scheduled") as admin:
        first = entries(admin, "parcels")[0]
        assert (first["operation"], first["login_role"], first["actor_role"], first["client_ip"]) == (
            "INSERT",
            "app",
            "app",
            None,
        )
        assert (first["actor_id"], first["actor_source"]) == ("job nightly", "context")
        ticks = [row for row in entries(admin, "ticks") if row["operation"] == "UPDATE"]
        assert {(row["login_role"], row["actor_id"]) for row in ticks} == {("app", None)}
        assert len(entries(admin, "parcels")) == 1 <= len(ticks)
        # Retention by a job takes what is expired, and certifies it.
        left = admin.execute("SELECT count(*) AS n, min(id) AS first FROM consents").fetchone()
        assert (left["n"], left["first"]) == (5, 6)
        certificate = admin.execute(
            "SELECT login_role, detail FROM audit.guard_events WHERE kind = 'rows_expired'"
        ).fetchall()
        assert [(row["login_role"], row["detail"]["rows"]) for row in certificate] == [("app", 5)]


def test_cron_recipe_and_its_own_table_tracked(beside):
    with beside.administer() as admin:
        admin.execute("CREATE EXTENSION audit_guard")
        admin.execute("SELECT audit.enable_tracking('cron.job')")
        admin.execute("CREATE TABLE notes (body text); INSERT INTO notes VALUES (NULL), ('kept')")
        admin.execute("SELECT audit.enable_tracking('notes')")
        admin.execute(CRON_RECIPE)
        jobs = entries(admin, "job")
        assert [(row["operation"], row["new_record"]["jobname"]) for row in jobs] == [
            ("INSERT", "audit months"),
            ("INSERT", "expire notes"),
        ]
        for row in jobs:  # as the job will run it
            admin.execute(row["new_record"]["command"])
        assert [(row["operation"], row["actor_id"]) for row in entries(admin, "notes")] == [
            ("DELETE", "job expire notes")
        ]
        admin.execute("SELECT cron.alter_job(%s, active => false)", [jobs[0]["new_record"]["jobid"]])
        assert [row["changed_fields"] for row in entries(admin, "job")[2:]] == [["active"]]
        admin.execute("SELECT cron.unschedule('expire notes')")
        # pg_cron removes the row below the level of triggers: docs/clients.md says so.
        assert len(entries(admin, "job")) == 3
