"""What docs/logins.md and docs/security.md tell to write, run as the programs do for which it is written."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from django_shop import set_up, use
from guide import ADA, DOCS, HERE, THERE, block, events, failures, own_database

set_up()

from django.db import connections, transaction  # noqa: E402

# The program of the page, as a module.
sign_in = ModuleType("sign_in")
exec(block("logins.md", "python", "# sign_in.py"), sign_in.__dict__)


@pytest.fixture
def database(cluster, supabase, request):
    yield from own_database(cluster, supabase, request)


def seen(text):
    """What psql printed, without what differs from run to run: times, large numbers, widths of columns."""
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"[0-9]{3,}", "NUMBER", re.sub(r"-{2,}", "-", text))
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("page", ["security.md", "logins.md"])
def test_every_statement_of_the_page_does_what_it_says(cluster, database, page):
    """In the order of the page, after five wrong passwords for Ada."""
    text = (DOCS / page).read_text()
    told = re.findall(r"^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", text, re.MULTILINE | re.DOTALL)
    script = (
        "SELECT audit.log_security_event('login_failed', email => 'ada@example.org', "
        "ip_address => '203.0.113.9') FROM generate_series(1, 5);\n"
    ) + "".join(f"\\echo @@ {number}\n{code}" for number, (code, _) in enumerate(told))
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "footer=off", "-h", cluster.folder]
    result = subprocess.run(
        [cluster.programs / command[0], *command[1:], "-U", "postgres", database],
        input=script,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert result.returncode == 0, result.stdout[-2000:]
    printed = re.split(r"^@@ \d+\n", result.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(told) > 3
    for (_, shown), answer in zip(told, printed):
        if shown:
            assert seen(answer) == seen(shown)


# A plain application


@pytest.fixture
def accounts(admin):
    admin.execute(block("logins.md", "sql", "CREATE TABLE accounts"))
    salt = b"0123456789abcdef"
    admin.execute(
        "INSERT INTO accounts VALUES (%s, 'ada@example.org', %s, %s)",
        [ADA, salt, sign_in.hash_of("right", salt)],
    )
    return admin


@pytest.fixture
def app(cluster, database, accounts):
    with cluster.connect(database, "app", autocommit=True) as connection:
        yield connection


def test_sign_in(app, accounts):
    for password in ["wrong", "", "Right", "right "]:
        assert sign_in.sign_in(app, "ada@example.org", password, HERE) is None
    assert failures(accounts, "ada@example.org") == (4, 4)
    assert str(sign_in.sign_in(app, "Ada@Example.org", "right", HERE)) == ADA
    assert failures(accounts, "ada@example.org") == (0, 4)
    told = events(accounts, "login_failed", "login_success")
    assert [row["event_type"] for row in told] == ["login_failed"] * 4 + ["login_success"]
    assert told[-1]["user_id"] == ADA and {row["address"] for row in told} == {HERE}


def test_sign_in_is_refused_even_with_the_right_password(app, accounts):
    for _ in range(5):
        assert sign_in.sign_in(app, "ada@example.org", "wrong", THERE) is None
    with pytest.raises(sign_in.TryLater) as refused:
        sign_in.sign_in(app, "ada@example.org", "right", THERE)
    assert 0 < refused.value.args[0] <= 900
    assert len(events(accounts, "access_blocked")) == 1


def test_a_known_device_gets_in_during_an_attack(app, accounts):
    assert str(sign_in.sign_in(app, "ada@example.org", "right", HERE, "her phone")) == ADA
    for _ in range(5):
        assert sign_in.sign_in(app, "ada@example.org", "wrong", THERE) is None
    with pytest.raises(sign_in.TryLater):
        sign_in.sign_in(app, "ada@example.org", "wrong", THERE)
    # From home, and with her phone from anywhere else.
    assert str(sign_in.sign_in(app, "ada@example.org", "right", HERE)) == ADA
    assert str(sign_in.sign_in(app, "ada@example.org", "right", "192.0.2.55", "her phone")) == ADA
    with pytest.raises(sign_in.TryLater):
        sign_in.sign_in(app, "ada@example.org", "wrong", THERE)


def test_unknown_accounts_are_counted_alike(app, accounts):
    for _ in range(5):
        assert sign_in.sign_in(app, "nobody@example.org", "wrong", HERE) is None
    with pytest.raises(sign_in.TryLater):
        sign_in.sign_in(app, "nobody@example.org", "wrong", HERE)


def test_guesses_at_the_same_time(cluster, database, app, accounts):
    """However many arrive at once, the password is looked at five times."""

    def guess(number):
        with cluster.connect(database, "app", autocommit=True) as connection:
            try:
                return sign_in.sign_in(connection, "ada@example.org", f"guess {number}", f"192.0.2.{number}")
            except sign_in.TryLater:
                return "refused"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(60)))
    assert (answers.count(None), answers.count("refused")) == (5, 55)
    assert failures(accounts, "ada@example.org")[0] == 5


def test_sign_in_wants_no_transaction_around_it(cluster, database, app, accounts):
    with app.transaction(), pytest.raises(RuntimeError):
        sign_in.sign_in(app, "ada@example.org", "wrong", HERE)
    with cluster.connect(database, "app") as connection, pytest.raises(RuntimeError):
        sign_in.sign_in(connection, "ada@example.org", "wrong", HERE)


# The transaction trap


def request_of(connection, work):
    """As frameworks do it: a transaction around the request, and a rollback because it fails."""
    with pytest.raises(PermissionError), connection.transaction():
        work()
        raise PermissionError("wrong password")


def test_trap_check_and_log_forget_what_is_rolled_back(app, accounts):
    accounts.execute("SELECT audit.install_compat('public', '{security}')")

    def fail_as_before():
        blocked = app.execute("SELECT should_block_login('ada@example.org', %s::inet)", [HERE]).fetchone()
        assert blocked == (False,)
        app.execute(
            "SELECT log_security_event('login_failed', 'Wrong password', NULL, NULL, %s::jsonb, 'warning')",
            [json.dumps({"email": "ada@example.org", "ip_address": HERE})],
        )

    for _ in range(20):
        request_of(app, fail_as_before)
    assert failures(accounts, "ada@example.org") == (0, 0)
    assert events(accounts, "login_failed") == []
    # What commits is counted by the same calls.
    for _ in range(5):
        fail_as_before()
    with pytest.raises(AssertionError):
        fail_as_before()


def test_trap_solved_by_a_transaction_of_its_own(app, accounts):
    admitted = 0
    for _ in range(20):
        # Committed, because the connection is in autocommit mode.
        blocked, attempt = app.execute(
            "SELECT blocked, attempt_id FROM audit.begin_login_attempt('ada@example.org', %s)", [HERE]
        ).fetchone()
        if blocked:
            assert attempt is None
            continue
        admitted += 1
        request_of(app, lambda: app.execute("SELECT audit.finish_login_attempt(%s, false)", [attempt]))
    assert admitted == 5 and failures(accounts, "ada@example.org") == (5, 5)


def test_trap_a_savepoint_is_no_transaction(app, accounts):
    def fail_within():
        with app.transaction():
            app.execute("SELECT audit.begin_login_attempt('ada@example.org', %s)", [HERE])

    request_of(app, fail_within)
    assert failures(accounts, "ada@example.org") == (0, 0)


BEGIN_ADA = f"SELECT audit.begin_login_attempt('ada@example.org', '{HERE}')"


def test_trap_in_django(cluster, database, accounts):
    with use(cluster, database):
        connections.databases["logins"] = {**connections.databases["default"], "ATOMIC_REQUESTS": False}

        def request(alias):
            with pytest.raises(PermissionError), transaction.atomic():
                connections[alias].cursor().execute(BEGIN_ADA)
                raise PermissionError("wrong password")

        try:
            request("default")
            assert failures(accounts, "ada@example.org") == (0, 0)
            request("logins")
            assert failures(accounts, "ada@example.org") == (1, 1)
        finally:
            connections["logins"].close()
            del connections.databases["logins"]


def test_trap_in_sqlalchemy(cluster, database, accounts):
    engine = sa.create_engine(
        sa.URL.create("postgresql+psycopg", "app", host=str(cluster.folder), port=5432, database=database)
    )
    with Session(engine) as session:
        session.execute(sa.text(BEGIN_ADA))
        session.rollback()
    assert failures(accounts, "ada@example.org") == (0, 0)
    with Session(engine) as session, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:
        session.execute(sa.text("SELECT 1"))
        own.execute(sa.text(BEGIN_ADA))
        session.rollback()
    assert failures(accounts, "ada@example.org") == (1, 1)
    engine.dispose()
