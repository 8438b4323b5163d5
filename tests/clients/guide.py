"""What the tests of docs/logins.md, docs/security.md and docs/moving.md share."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
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


def own_database(cluster, template, request):
    """For a fixture: a new database, and afterwards nothing of it or of the roles that pages make."""
    name = re.sub(r"[^a-z0-9_]", "_", request.node.name.lower())[:63]
    yield cluster.create_database(name, template)
    with cluster.administer() as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.execute("DROP ROLE IF EXISTS login_backend, login_service")
        admin.execute("REVOKE audit_writer, audit_reader FROM app")
