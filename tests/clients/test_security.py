"""What docs/logins.md and docs/security.md tell to write, run as the programs do that they are written for."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
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
ADA = "3919cb6e-4215-4478-a960-6d3454326cec"
BY_PHONE = "3919cb6e-4215-4478-a960-6d3454326ced"
HERE, THERE = "203.0.113.9", "198.51.100.7"


def blocks(page, language):
    """The blocks of a page in this language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def block(page, language, words):
    """The one block that has these words."""
    (found,) = [text for text in blocks(page, language) if words in text]
    return found


# The program of the page, as a module.
sign_in = ModuleType("sign_in")
exec(block("logins.md", "python", "# sign_in.py"), sign_in.__dict__)


@pytest.fixture(scope="module")
def supabase(cluster):
    """A database that has what Supabase brings, and then the extension."""
    with cluster.administer() as admin:
        admin.execute(SUPABASE_ROLES)
    cluster.create_database("supabase")
    with cluster.administer("supabase") as admin:
        admin.execute(SUPABASE)
    return "supabase"


@pytest.fixture
def database(cluster, supabase, request):
    name = re.sub(r"[^a-z0-9_]", "_", request.node.name.lower())[:63]
    yield cluster.create_database(name, supabase)
    with cluster.administer() as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        # Roles outlive their database.
        admin.execute("DROP ROLE IF EXISTS login_backend, login_service")
        admin.execute("REVOKE audit_writer FROM app")


def failures(admin, email, address=HERE):
    """How many failures of this account and of this network count."""
    row = admin.execute("SELECT * FROM audit.check_login(%s, %s)", [email, address]).fetchone()
    return row["account_failures"], row["network_failures"]


def events(admin, *types):
    return admin.execute(
        "SELECT event_type::text, email, user_id::text, host(ip_address) AS address, metadata "
        "FROM audit.security_events WHERE event_type::text = ANY (%s) ORDER BY logged_at, number",
        [list(types)],
    ).fetchall()


@pytest.mark.parametrize("page", ["security.md", "logins.md"])
def test_every_statement_of_the_page_runs(cluster, database, page):
    """In the order of the page, after five wrong passwords for Ada."""
    before = "SELECT audit.log_security_event('login_failed', email => 'ada@example.org', ip_address => '203.0.113.9') "
    script = before + "FROM generate_series(1, 5);\n" + "\n".join(blocks(page, "sql"))
    result = subprocess.run(
        [cluster.programs / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", cluster.folder, "-U", "postgres", database],
        input=script,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert result.returncode == 0, result.stdout[-2000:]


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


# Supabase Auth


@pytest.fixture
def auth_server(cluster, database, admin):
    admin.execute(block("logins.md", "sql", "CREATE FUNCTION public.hook_password_verification"))
    admin.execute(block("logins.md", "sql", "REVOKE EXECUTE ON FUNCTION public.hook_password"))
    with cluster.connect(database, "supabase_auth_admin", autocommit=True) as connection:
        yield connection


def call_hook(connection, name, address=HERE, **event):
    """As the auth server calls it: a transaction, its time limit, and JSON as a parameter."""
    if address is not None:
        event["metadata"] = {"uuid": ADA, "time": "2026-11-21T15:00:00Z", "name": name, "ip_address": address}
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout TO '2000'")
        (answer,) = connection.execute(f'SELECT "public"."hook_{name}"(%s)', [json.dumps(event)]).fetchone()
        connection.execute("SET LOCAL statement_timeout TO DEFAULT")
    return answer


def password(connection, valid, person=ADA, address=HERE):
    return call_hook(connection, "password_verification", address, user_id=person, valid=valid)


REJECTED = {"decision": "reject", "message": "Invalid login credentials"}
CONTINUE = {"decision": "continue"}


def test_password_hook(auth_server, admin):
    for _ in range(5):
        assert password(auth_server, False) == CONTINUE
    assert password(auth_server, False) == password(auth_server, True) == REJECTED
    assert failures(admin, "ada@example.org") == (5, 5)
    admin.execute("SELECT audit.unlock_login('ada@example.org', 'called in')")
    assert password(auth_server, True) == CONTINUE
    told = events(admin, "login_failed", "access_blocked", "login_success")
    assert [row["event_type"] for row in told] == ["login_failed"] * 5 + ["access_blocked", "login_success"]
    assert {row["address"] for row in told} == {HERE} and told[-1]["user_id"] == ADA


def test_password_hook_of_somebody_without_an_address_of_mail(auth_server, admin):
    for _ in range(5):
        assert password(auth_server, False, BY_PHONE) == CONTINUE
    assert password(auth_server, True, BY_PHONE) == REJECTED
    assert password(auth_server, True) == CONTINUE


def test_password_hook_at_the_same_time(cluster, database, auth_server, admin):
    """Of sixty right passwords guessed in between, none beyond the fifth is answered."""

    def guess(number):
        with cluster.connect(database, "supabase_auth_admin", autocommit=True) as connection:
            return password(connection, False, address=f"192.0.2.{number}")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(60)))
    assert (answers.count(CONTINUE), answers.count(REJECTED)) == (5, 55)
    assert password(auth_server, True, address="192.0.2.99") == REJECTED


def test_codes_have_a_budget_of_their_own(auth_server, admin):
    def code(valid):
        return call_hook(
            auth_server, "mfa_verification", user_id=ADA, factor_id=BY_PHONE, factor_type="totp", valid=valid
        )

    for _ in range(5):
        assert code(False) == CONTINUE
        assert password(auth_server, True) == CONTINUE
    for valid in (False, True):
        error = code(valid)["error"]
        assert error["http_code"] == 429 and re.fullmatch(
            r"Too many wrong codes\. Try again in \d+ seconds\.", error["message"]
        )
    assert failures(admin, "ada@example.org")[0] == 0


def test_nobody_signs_up_from_a_blocked_network(auth_server, admin):
    def sign_up():
        return call_hook(auth_server, "before_user_created", user={"email": "new@example.org"})

    assert sign_up() == {}
    for number in range(10):
        admin.execute(
            "SELECT audit.log_security_event('login_failed', email => %s, ip_address => %s)",
            [f"user{number}@example.org", HERE],
        )
    assert sign_up()["error"]["http_code"] == 429
    admin.execute("SELECT audit.allow_network('203.0.113.0/24', 'our office')")
    assert sign_up() == {}


def test_without_addresses_everybody_shares_one_network(auth_server, admin):
    for number in range(10):
        admin.execute(
            "SELECT attempt_id FROM audit.begin_login_attempt(%s, NULL)", [f"user{number}@example.org"]
        )
    assert password(auth_server, True, address=None) == REJECTED
    admin.execute("SELECT audit.allow_network('0.0.0.0/32', 'no addresses')")
    assert password(auth_server, True, address=None) == CONTINUE


def test_nobody_else_calls_the_hooks(auth_server, admin):
    for role in ("anon", "authenticated"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
            admin.execute(f"SET LOCAL ROLE {role}")
            admin.execute("SELECT public.hook_password_verification('{}')")


# PostgREST


@pytest.fixture
def gateway(cluster, database, admin):
    with cluster.connect(database, "authenticator", autocommit=True) as connection:
        yield connection


def post(connection, role, call, arguments=(), forwarded_for=HERE, headers=None, **claims):
    """A request as PostgREST runs it: the answer, and the status that it leaves."""
    with connection.transaction():
        connection.execute(
            "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true), "
            "set_config('request.headers', %s, true), set_config('request.method', 'POST', true), "
            "set_config('search_path', 'public', true)",
            [
                role,
                json.dumps({"role": role, **claims}),
                json.dumps({"x-forwarded-for": forwarded_for, "user-agent": "curl/8", **(headers or {})}),
            ],
        )
        answer = connection.execute(call, arguments).fetchall()
        status = connection.execute("SELECT nullif(current_setting('response.status', true), '')").fetchone()
        return [row[0] for row in answer], int(status[0] or 200)


BEGIN = "SELECT to_jsonb(a) FROM audit_api.begin_login_attempt(email => %s, ip_address => %s) a"
FINISH = "SELECT audit_api.finish_login_attempt(attempt_id => %s, success => %s, subject => %s)"
SIGN_IN = "SELECT public.sign_in(email => %s, password => %s)"


def test_a_service_calls_through_postgrest(gateway, admin):
    admin.execute(block("logins.md", "sql", "CREATE ROLE login_backend"))
    for _ in range(5):
        (attempt,), _ = post(gateway, "login_backend", BEGIN, ["ada@example.org", HERE], THERE)
        assert not attempt["blocked"]
        assert post(gateway, "login_backend", FINISH, [attempt["attempt_id"], False, None]) == ([True], 200)
    (attempt,), _ = post(gateway, "login_backend", BEGIN, ["ada@example.org", HERE], THERE)
    assert attempt["blocked"] and attempt["reason"] == "account" and attempt["attempt_id"] is None
    assert failures(admin, "ada@example.org") == (5, 5)
    # The address of the service is not that of the person.
    assert failures(admin, "ada@example.org", THERE)[1] == 0
    for role in ("web_anon", "web_user"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            post(gateway, role, BEGIN, ["ada@example.org", HERE])


@pytest.fixture
def members(admin):
    admin.execute(block("logins.md", "sql", "CREATE FUNCTION public.sign_in"))
    admin.execute(
        "INSERT INTO members VALUES (%s, 'ada@example.org', crypt('right', gen_salt('bf', 4)))", [ADA]
    )
    return admin


def test_a_function_signs_people_in(gateway, members):
    for guess in ("wrong", "Right", "", None):
        assert post(gateway, "web_anon", SIGN_IN, ["ada@example.org", guess]) == ([None], 401)
    answer, status = post(gateway, "web_anon", SIGN_IN, ["Ada@example.org", "right"])
    assert (str(answer[0]), status) == (ADA, 200)
    for number in range(5):
        assert post(gateway, "web_anon", SIGN_IN, ["nobody@example.org", "x"], THERE) == ([None], 401)
    assert post(gateway, "web_anon", SIGN_IN, ["nobody@example.org", "x"], THERE) == ([None], 429)
    told = events(members, "login_failed")
    assert {row["address"] for row in told} == {HERE, THERE}


def test_a_login_is_not_rolled_back_on_request(gateway, members):
    for prefer in ("tx=rollback", "return=minimal, TX=Rollback", "tx = rollback"):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            post(gateway, "web_anon", SIGN_IN, ["ada@example.org", "right"], headers={"prefer": prefer})


@pytest.mark.parametrize(
    "proxies, forwarded_for, address",
    [
        (1, "203.0.113.40", "203.0.113.40"),
        (1, "10.9.8.7, 203.0.113.40", "203.0.113.40"),
        (2, "10.9.8.7, 203.0.113.40, 198.51.100.2", "203.0.113.40"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "::ffff:203.0.113.40", "203.0.113.40"),
    ],
)
def test_the_address_in_a_list(gateway, members, proxies, forwarded_for, address):
    members.execute(f"ALTER ROLE authenticator SET audit_guard.trusted_proxy_count = {proxies}")
    try:
        with psycopg.connect(gateway.info.dsn, autocommit=True) as fresh:
            assert post(fresh, "web_anon", SIGN_IN, ["ada@example.org", "wrong"], forwarded_for)[1] == 401
    finally:
        members.execute("ALTER ROLE authenticator RESET audit_guard.trusted_proxy_count")
    assert failures(members, "somebody else", address)[1] == 1


# Who sees what


MINE = "SELECT host(ip_address) FROM audit_api.my_sessions"
EVENTS = "SELECT DISTINCT tenant_id FROM audit.security_events"


def test_claims_are_believed_behind_the_gateway_only(cluster, database, gateway, admin):
    for person, tenant, address in (("4711", "7", HERE), ("4712", "8", THERE)):
        admin.execute(
            "SELECT audit.create_user_session(subject => %s, ip_address => %s, tenant_id => %s)",
            [person, address, tenant],
        )
    assert post(gateway, "authenticated", MINE, sub="4711")[0] == [HERE]
    assert post(gateway, "authenticated", EVENTS, sub="4711")[0] == []
    boss = {"tenant_id": "8", "role": "admin"}
    assert post(gateway, "authenticated", EVENTS, sub="4712", app_metadata=boss)[0] == ["8"]
    # What people can write themselves makes nobody an administrator.
    assert post(gateway, "authenticated", EVENTS, sub="4712", user_metadata=boss)[0] == []
    # The same claims on a connection of one's own are only words.
    admin.execute("GRANT authenticated TO app")
    try:
        with cluster.connect(database, "app", autocommit=True) as app:
            assert post(app, "authenticated", MINE, sub="4711")[0] == []
            assert post(app, "authenticated", EVENTS, sub="4712", app_metadata=boss)[0] == []
    finally:
        admin.execute("REVOKE authenticated FROM app")


# A product that moves


# Tables, type and functions as the colony application has them, with little in them.
FORMER = """
CREATE TYPE security_event_type AS ENUM ('login_success', 'login_failed', 'logout', 'password_changed', 'mfa_enabled',
    'mfa_disabled', 'session_terminated', 'access_blocked', 'blacklist_hit', 'suspicious_activity',
    'permission_denied', 'data_export');
CREATE TABLE user_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, auth_session_id text,
    device_fingerprint text, device_id text, device_type text, device_model text, browser text, browser_version text,
    os text, os_version text, screen_resolution text, ip_address inet NOT NULL, country text, region text, city text,
    latitude numeric(10,7), longitude numeric(10,7), created_at timestamptz NOT NULL DEFAULT now(),
    last_active_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, terminated_at timestamptz,
    termination_reason text, is_suspicious boolean NOT NULL DEFAULT false, suspicious_reason text, app_version text);
CREATE TABLE security_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), community_id uuid, event_type security_event_type NOT NULL,
    user_id uuid, session_id uuid REFERENCES user_sessions, description text NOT NULL, metadata jsonb DEFAULT '{}',
    ip_address inet, user_agent text, entity_type text, entity_id uuid, severity text NOT NULL DEFAULT 'info',
    logged_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION create_user_session(p_user_id uuid, p_ip_address inet, p_device_info jsonb DEFAULT '{}')
    RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION update_session_activity(p_session_id uuid) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION terminate_session(p_session_id uuid, p_reason text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION log_security_event(
    p_event_type security_event_type, p_description text, p_user_id uuid DEFAULT NULL, p_session_id uuid DEFAULT NULL,
    p_metadata jsonb DEFAULT '{}', p_severity text DEFAULT 'info', p_community_id uuid DEFAULT NULL,
    p_entity_type text DEFAULT NULL, p_entity_id uuid DEFAULT NULL) RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION should_block_login(
    p_email text, p_ip_address inet, p_max_attempts int DEFAULT 5, p_window_minutes int DEFAULT 15)
    RETURNS boolean LANGUAGE sql AS 'SELECT false';
INSERT INTO user_sessions (user_id, ip_address, browser, last_active_at)
    VALUES ('3919cb6e-4215-4478-a960-6d3454326cec', '203.0.113.9', 'Firefox', now() - interval '1 minute');
INSERT INTO security_events (event_type, description, ip_address, metadata, severity, logged_at)
    SELECT 'login_failed', 'Wrong password', '203.0.113.9', '{"email": "ada@example.org"}', 'warning',
           now() - n * interval '1 minute' FROM generate_series(1, 4) n;
INSERT INTO security_events (event_type, description, user_id, community_id, logged_at)
    VALUES ('data_export', 'all residents', '3919cb6e-4215-4478-a960-6d3454326cec',
            '00000000-0000-4000-8000-000000000007', now() - interval '2 years');
"""


def test_a_product_moves_and_its_code_runs_on(cluster, database, admin):
    admin.execute(FORMER)
    admin.execute(block("moving.md", "sql", "ALTER TABLE public.user_sessions RENAME"))
    assert admin.execute("SELECT audit.rebuild_login_counters() > 0 AS some").fetchone()["some"]
    assert failures(admin, "ada@example.org") == (4, 4)
    admin.execute("GRANT audit_writer, audit_reader TO app")
    with cluster.connect(database, "app", autocommit=True) as app:
        ask = lambda sql, *given: app.execute(sql, given).fetchone()[0]  # noqa: E731
        assert ask("SELECT count(*) FROM security_events WHERE logged_at < now() - interval '1 year'") == 1
        assert ask("SELECT community_id::text FROM security_events WHERE event_type = 'data_export'")[-1] == "7"
        (old,) = app.execute("SELECT id FROM user_sessions WHERE browser = 'Firefox'").fetchone()
        app.execute("SELECT update_session_activity(%s)", [old])
        app.execute("SELECT terminate_session(p_session_id => %s, p_reason => 'admin_revoke')", [old])
        session = ask(
            "SELECT create_user_session(p_user_id => %s, p_ip_address => %s, p_device_info => %s)",
            ADA,
            HERE,
            json.dumps({"device_type": "desktop", "browser": "Chrome"}),
        )
        assert ask("SELECT browser FROM user_sessions WHERE id = %s", session) == "Chrome"
        assert not ask("SELECT should_block_login(p_email => 'ada@example.org', p_ip_address => %s)", HERE)
        event = ask(
            "SELECT log_security_event(p_event_type => 'login_failed', p_description => 'Wrong password', "
            "p_metadata => %s, p_severity => 'warning')",
            json.dumps({"email": "ada@example.org"}),
        )
        assert ask("SELECT severity FROM security_events WHERE id = %s", event) == "warning"
        assert ask("SELECT should_block_login('ada@example.org', %s::inet)", HERE)
        assert not ask("SELECT should_block_login('ada@example.org', %s::inet, 6)", THERE)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            app.execute("SELECT should_block_login('ada@example.org', NULL, 0)")
    admin.execute("REVOKE audit_reader FROM app")
