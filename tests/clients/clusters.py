"""The servers that the stage started, and poolers before them. Everything listens on Unix sockets only."""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from decimal import Decimal
from functools import partial
from json import loads
from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

# Numbers of the log are compared exactly.
set_json_loads(partial(loads, parse_float=Decimal))


def server_user():
    """What subprocess needs to run a program as the user of the servers: they refuse root."""
    if os.getuid() != 0:
        return {}
    return {
        "user": os.environ["AG_RUN_USER"],
        "group": pwd.getpwnam(os.environ["AG_RUN_USER"]).pw_gid,
        "extra_groups": [],
    }


class Cluster:
    """A running cluster, by the name under which the stage started it."""

    def __init__(self, name):
        lines = shlex.split(Path(os.environ["AG_CLUSTERS"], name).read_text())
        known = dict(line.split("=", 1) for line in lines)
        self.folder, self.programs = Path(known["CLUSTER_DIR"]), Path(known["CLUSTER_BIN"])

    def connect(self, database="postgres", user="postgres", **options):
        return psycopg.connect(host=self.folder, port=5432, dbname=database, user=user, **options)

    def administer(self, database="postgres"):
        """A superuser's connection that commits each statement and gives rows as dictionaries."""
        return self.connect(database, autocommit=True, row_factory=dict_row)

    def configure(self, **settings):
        """Writes settings (two underscores stand for the dot) and starts the server again."""
        with open(self.folder / "data/postgresql.conf", "a") as file:
            for name, value in settings.items():
                file.write(f"{name.replace('__', '.')} = '{value}'\n")
        subprocess.run(
            [
                self.programs / "pg_ctl",
                "-D",
                self.folder / "data",
                "-l",
                self.folder / "log",
                "-m",
                "fast",
                "-w",
                "restart",
            ],
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            **server_user(),
        )

    def create_database(self, name, template="template1"):
        with self.administer() as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class Bouncer:
    """A PgBouncer before a cluster. `mode` is transaction or session; few server connections for many."""

    def __init__(self, cluster, mode, pool_size, users):
        self.folder = Path(tempfile.mkdtemp(prefix="ag-bouncer.", dir="/tmp"))
        (self.folder / "users").write_text("".join(f'"{user}" ""\n' for user in users))
        (self.folder / "ini").write_text(f"""
[databases]
* = host={cluster.folder} port=5432
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {self.folder}
auth_type = trust
auth_file = {self.folder}/users
admin_users = postgres
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 200
logfile = {self.folder}/log
""")
        shutil.chown(self.folder, os.environ["AG_RUN_USER"])
        self.process = subprocess.Popen(
            [os.environ["PGBOUNCER"], "-q", self.folder / "ini"],
            cwd="/",
            **server_user(),
            env={**os.environ, "LD_LIBRARY_PATH": os.environ["PGBOUNCER_LIBS"]},
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.connect("pgbouncer", autocommit=True).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def connect(self, database, user="postgres", **options):
        # A pooler that hands out transactions cannot keep named statements of the protocol.
        options.setdefault("prepare_threshold", None)
        return psycopg.connect(host=self.folder, port=6432, dbname=database, user=user, **options)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        shutil.rmtree(self.folder)
