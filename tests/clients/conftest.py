"""What every test may ask for: a database of its own with the extension, and people who use it."""

import re

import pytest

from clusters import Cluster
from neighbours import BESIDE, PRELOADED, load, schedule_jobs

ROLES = """
CREATE ROLE app LOGIN;                                  -- owns tables, may switch tracking on
CREATE ROLE authenticator LOGIN NOINHERIT;              -- as PostgREST connects
CREATE ROLE web_anon NOLOGIN;
CREATE ROLE web_user NOLOGIN;
GRANT web_anon, web_user TO authenticator;
"""
# Few partitions: each test has its own copy of the database.
GUARD = """
CREATE EXTENSION audit_guard;
SELECT audit.maintain_partitions(0);
GRANT audit_admin TO app;
GRANT CREATE ON SCHEMA public TO app;
"""

# The roles of a Supabase server, as its image makes them.
SUPABASE_ROLES = """
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE supabase_auth_admin LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
"""
SUPABASE = """
CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
ALTER TABLE auth.users OWNER TO supabase_auth_admin;
CREATE EXTENSION audit_guard;
SELECT audit.maintain_partitions(0);
GRANT audit_admin TO app;
GRANT CREATE ON SCHEMA public TO app;
INSERT INTO auth.users VALUES
    ('3919cb6e-4215-4478-a960-6d3454326cec', 'ada@example.org'),
    ('3919cb6e-4215-4478-a960-6d3454326ced', NULL);
"""


def prepare(cluster):
    """Roles, and a template database with the extension."""
    with cluster.administer() as admin:
        admin.execute(ROLES)
    cluster.create_database("guarded")
    with cluster.administer("guarded") as admin:
        admin.execute(GUARD)
    return cluster


@pytest.fixture(scope="session")
def cluster():
    return prepare(Cluster("clients"))


@pytest.fixture
def database(cluster, request):
    """The name of a new database with the extension."""
    name = re.sub(r"[^a-z0-9_]", "_", request.node.name.lower())[:63]
    yield cluster.create_database(name, "guarded")
    with cluster.administer() as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def admin(cluster, database):
    with cluster.administer(database) as connection:
        yield connection


@pytest.fixture(scope="session")
def supabase(cluster):
    """A database that has what Supabase brings, and then the extension."""
    with cluster.administer() as admin:
        admin.execute(SUPABASE_ROLES)
    cluster.create_database("supabase")
    with cluster.administer("supabase") as admin:
        admin.execute(SUPABASE)
    return "supabase"


@pytest.fixture(scope="session")
def beside():
    """Other extensions are loaded at start, ours is not."""
    cluster = prepare(Cluster("clients-beside"))
    load(cluster, BESIDE)
    schedule_jobs(cluster)
    return cluster


@pytest.fixture(scope="session")
def preloaded():
    """All are loaded at start, and cron's jobs run in background workers."""
    cluster = prepare(Cluster("clients-preloaded"))
    load(cluster, PRELOADED, cron__use_background_workers="on")
    schedule_jobs(cluster)
    return cluster


def pytest_configure(config):
    config.addinivalue_line("markers", "late: waits for something that takes a while")
    config.addinivalue_line("markers", "last: starts a server anew")


def pytest_collection_modifyitems(items):
    """What sets cron to work comes first, what waits for it last: a job runs once a minute."""

    def place(item):
        if item.get_closest_marker("last"):
            return 3
        if item.get_closest_marker("late"):
            return 2
        return 0 if item.path.name == "test_neighbours.py" else 1

    items.sort(key=place)
