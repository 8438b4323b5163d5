"""Supabase's hooks and PostgREST: what the guide tells to write, called the way the servers before us do."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from guide import ADA, BY_PHONE, HERE, THERE, block, events, failures, own_database


@pytest.fixture
def database(cluster, supabase, request):
    yield from own_database(cluster, supabase, request)


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
    admin.execute(block("logins.md", "sql", "allow_network('0.0.0.0/32'"))
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


def post(connection, role, call, arguments=(), forwarded_for=HERE, **claims):
    """A request as PostgREST runs it: the answer, and the status that it leaves."""
    with connection.transaction():
        connection.execute(
            "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true), "
            "set_config('request.headers', %s, true), set_config('request.method', 'POST', true), "
            "set_config('search_path', 'public', true)",
            [
                role,
                json.dumps({"role": role, **claims}),
                json.dumps({"x-forwarded-for": forwarded_for, "user-agent": "curl/8"}),
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
