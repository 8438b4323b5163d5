"""Clusters in which other extensions are loaded at start, and what is asked of each."""

import time

import psycopg
import pytest

from logbook import Replay, entries, told

BESIDE = ["pg_stat_statements", "pgaudit", "pg_cron"]
PRELOADED = ["audit_guard", "pgaudit", "pg_stat_statements", "pg_cron"]
SETTINGS = {
    "pgaudit__log": "write, ddl, role",
    "pgaudit__log_catalog": "off",
    "pg_stat_statements__track": "all",
    "log_line_prefix": "%m [%p] %d ",
}

PARCELS = """
CREATE TABLE parcels (id int PRIMARY KEY, status text);
ALTER TABLE parcels OWNER TO app;
SELECT audit.enable_tracking('parcels');
"""

# Each command of a job is one transaction with what stands before it, so the declaration reaches it.
JOBS = {
    "nightly": (
        "app",
        "SELECT audit.set_context(actor_id => 'job nightly'); INSERT INTO parcels VALUES (1, 'job')",
    ),
    "tidy": ("app", "UPDATE ticks SET n = n + 1"),
    "months": ("postgres", "SELECT audit.maintain_partitions()"),
    "sweep": ("postgres", "DELETE FROM audit.audit_log"),
    "peek": ("app", "SELECT count(*) FROM audit.audit_log"),
    "retention": ("app", "SELECT * FROM audit.apply_retention()"),
    "purge": ("app", "DELETE FROM consents"),
}
# A protected table with rows that are expired and rows that are not.
CONSENTS = """
CREATE TABLE consents (id int PRIMARY KEY, note text, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO consents SELECT n, 'old', now() - interval '8 years' FROM generate_series(1, 5) n;
INSERT INTO consents SELECT n, 'new', now() FROM generate_series(6, 10) n;
ALTER TABLE consents OWNER TO app;
SET ROLE app;
SELECT audit.protect('consents');
SELECT audit.enable_tracking('consents');
RESET ROLE;
"""


def load(cluster, libraries, **more):
    cluster.configure(
        shared_preload_libraries=",".join(libraries), cron__host=cluster.folder, **SETTINGS, **more
    )


def schedule_jobs(cluster):
    """Cron's tables lie in the database postgres; its jobs run in a database with tracked tables."""
    cluster.create_database("scheduled", "guarded")
    with cluster.administer("scheduled") as admin:
        admin.execute(PARCELS)
        admin.execute(CONSENTS)
        admin.execute(
            "CREATE TABLE ticks (id int PRIMARY KEY, n int); INSERT INTO ticks VALUES (1, 0);"
            "ALTER TABLE ticks OWNER TO app; SELECT audit.enable_tracking('ticks')"
        )
    with cluster.administer() as admin:
        admin.execute("CREATE EXTENSION pg_cron")
        for name, (user, command) in JOBS.items():
            admin.execute(
                "SELECT cron.schedule_in_database(%s, '* * * * *', %s, 'scheduled', %s)",
                [name, command, user],
            )


def wait_for_jobs(cluster):
    """What became of the first run of each job, by its name: status and message."""
    deadline = time.monotonic() + 100
    while True:
        with cluster.administer() as admin:
            runs = admin.execute(
                "SELECT DISTINCT ON (jobname) jobname, status, return_message "
                "FROM cron.job_run_details JOIN cron.job USING (jobid) "
                "WHERE status IN ('succeeded', 'failed') AND jobname = ANY (%s) ORDER BY jobname, runid",
                [list(JOBS)],
            ).fetchall()
        if len(runs) == len(JOBS):
            return {run["jobname"]: (run["status"], run["return_message"]) for run in runs}
        assert time.monotonic() < deadline, (runs, cluster.log()[-2000:])
        time.sleep(0.5)


def audit_lines(cluster, database, before):
    """What pgaudit wrote about this database since; cron's jobs run meanwhile, in another."""
    lines = cluster.log()[before:].splitlines()
    return [line.split("AUDIT: ")[1] for line in lines if f" {database} LOG:  AUDIT: " in line]


def check_all(cluster, database, lockdown=False):
    """Each extension does its work, beside the others. Under lockdown a statement is refused before the
    server asks for the role's rights, and before pgaudit is told of it."""
    with cluster.administer(database) as admin, cluster.connect(database, "app", autocommit=True) as app:
        admin.execute(PARCELS)
        admin.execute("SELECT pg_stat_statements_reset()")
        before = len(cluster.log())
        app.execute("INSERT INTO parcels SELECT n, 'new' FROM generate_series(1, 20) n")
        for number in range(5):
            app.execute("UPDATE parcels SET status = %s WHERE id = %s", [f"seen {number}", number])
        with app.cursor().copy("COPY parcels FROM STDIN") as copy:
            copy.write_row([50, "copied"])
        app.execute("DELETE FROM parcels WHERE id > 18")
        app.execute("ALTER TABLE parcels ADD COLUMN note text DEFAULT 'x'")
        with pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute("DELETE FROM audit.audit_log")
        refused = psycopg.errors.RestrictViolation if lockdown else psycopg.errors.InsufficientPrivilege
        with pytest.raises(refused):
            app.execute("DELETE FROM audit.audit_log")

        assert [entry[0] for entry in told(admin, "parcels")] == ["INSERT"] * 20 + ["UPDATE"] * 4 + [
            "INSERT"
        ] + ["DELETE"] * 3
        replay = Replay(admin, "parcels").look()
        replay.reshape(lambda row: row.update(note="x"))
        assert replay.check() == 18

        # pgaudit saw what people did, and none of what the capture did.
        lines = audit_lines(cluster, database, before)
        written = [line.split(",")[4] for line in lines if ",WRITE," in line]
        deletes = ["DELETE"] * (1 if lockdown else 2)
        assert written == ["INSERT"] + ["UPDATE"] * 5 + ["COPY"] + deletes, lines
        others = [line for line in lines if ",WRITE," not in line]
        assert len(others) == 1 and "ALTER TABLE" in others[0], lines

        # Capture runs no statements: only those of people are counted.
        counted = {
            row["query"]: (row["calls"], row["rows"])
            for row in admin.execute(
                "SELECT query, calls, rows FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid "
                "JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() "
                "WHERE rolname = 'app' AND query !~ '^(BEGIN|COMMIT|SET|SELECT)'"
            ).fetchall()
        }
        assert counted == {
            "INSERT INTO parcels SELECT n, $1 FROM generate_series($2, $3) n": (1, 20),
            "UPDATE parcels SET status = $1 WHERE id = $2": (5, 4),
            "COPY parcels FROM STDIN": (1, 1),
            "DELETE FROM parcels WHERE id > $1": (1, 3),
            "ALTER TABLE parcels ADD COLUMN note text DEFAULT 'x'": (1, 0),
        }
        assert {
            row["status"] for row in admin.execute("SELECT status FROM audit.tracked_tables").fetchall()
        } == {"ok"}
        assert len({row["id"] for row in entries(admin, "parcels")}) == 28
