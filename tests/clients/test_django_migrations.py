"""Django's own migrations on tracked tables: whatever they do, the log and the tables agree."""

import datetime
import uuid
from decimal import Decimal

import pytest

from django_shop import migrate, use
from logbook import Replay, entries, told

TABLES = ["shop_author", "shop_book", "shop_book_tags", "shop_review", "shop_tag"]


@pytest.fixture
def django(cluster, database):
    with use(cluster, database):
        yield


def fill(apps):
    """Rows in every table, made with the models of that time."""
    author, book, tag = (apps.get_model("shop", name) for name in ("Author", "Book", "Tag"))
    ada, bob = (
        author.objects.create(id=uuid.UUID(int=n), name=f"author {n}", secret=f"SECRET-{n}") for n in (1, 2)
    )
    for number in range(4):
        made = book.objects.create(
            title=f"book {number}",
            isbn=f"978{number:010}",
            author=ada,
            editor=bob,
            price=Decimal("9.90") * number,
            details={"pages": number, "ratio": 0.5},
            keywords=["a", "b c"],
            stock=number * 3,
            published=datetime.datetime(2026, 11, 21, 5, 30, tzinfo=datetime.UTC),
        )
        made.tags.add(*(tag.objects.get_or_create(name=name)[0] for name in ("new", f"tag {number}")))
        apps.get_model("shop", "Review").objects.create(book=made, body="good")


def test_every_step_forwards(django, admin):
    fill(migrate("0002_audit"))
    books, authors, tags = (Replay(admin, table) for table in ("shop_book", "shop_author", "shop_tag"))
    pairs = Replay(admin, "shop_book_tags")
    assert [books.check(), authors.check(hidden=["secret"]), tags.check(), pairs.check()] == [4, 2, 5, 8]

    # Nothing of this is a change of a row, and nobody need tell the extension.
    before = len(entries(admin, *TABLES))
    apps = migrate("0003_fields")
    assert len(entries(admin, *TABLES)) == before
    books.reshape(lambda row: (row.pop("isbn"), row.update(rating=None)))
    apps.get_model("shop", "Author").objects.filter(id=uuid.UUID(int=1)).update(api_key="SECRET-3")
    assert [books.check(), authors.check(hidden=["api_key"])] == [4, 2]
    assert len(entries(admin, *TABLES)) == before  # only the hidden column changed

    migrate("0004_fill")
    assert told(admin, "shop_book")[4:] == [("UPDATE", str(number + 1), ["rating"]) for number in range(4)]
    assert books.check() == 4

    before = len(entries(admin, *TABLES))
    apps = migrate("0005_labels")
    tags.rename("shop_label")
    pairs.rename("shop_book_labels")
    pairs.reshape(lambda row: row.update(label_id=row.pop("tag_id")))
    assert [tags.check(), pairs.check()] == [5, 8]
    label = apps.get_model("shop", "Label").objects.create(name="late")
    apps.get_model("shop", "Book").objects.get(title="book 1").labels.add(label)
    assert [tags.check(), pairs.check()] == [6, 9]
    assert len(entries(admin, *TABLES, "shop_label", "shop_book_labels")) == before + 2
    # One history, under whatever names.
    history = admin.execute(
        "SELECT operation::text, table_name, table_schema FROM "
        "audit.record_history('shop_book_labels', 1) ORDER BY id"
    ).fetchall()
    assert [tuple(row.values()) for row in history] == [("INSERT", "shop_book_tags", "public")]
    renamed = admin.execute(
        "SELECT object, detail ->> 'from_name' AS before, login_role FROM audit.guard_events "
        "WHERE kind = 'table_renamed' ORDER BY object"
    ).fetchall()
    assert [tuple(row.values()) for row in renamed] == [
        ("public.shop_book_labels", "shop_book_tags", "app"),
        ("public.shop_label", "shop_tag", "app"),
    ]
    status = admin.execute("SELECT target::text, status FROM audit.tracked_tables ORDER BY 1").fetchall()
    assert [tuple(row.values()) for row in status] == [
        (table, "ok")
        for table in ("shop_author", "shop_book", "shop_book_labels", "shop_label", "shop_review")
    ]


def test_excluded_column_is_never_seen(django, admin):
    fill(migrate("0002_audit"))
    apps = migrate("0005_labels")
    options = admin.execute(
        "SELECT exclude, status FROM audit.tracked_tables WHERE target = 'shop_author'::regclass"
    )
    assert tuple(options.fetchone().values()) == (["api_key"], "ok")
    author = apps.get_model("shop", "Author")
    author.objects.create(id=uuid.UUID(int=9), name="late", api_key="SECRET-9")
    for one in author.objects.all():
        one.api_key, one.name = one.api_key + "-SECRET", one.name + "!"
        one.save()
    author.objects.get(name="late!").delete()
    migrate("0002_audit").get_model("shop", "Author").objects.update(secret="SECRET-10", name="back")
    found = admin.execute(
        "SELECT l::text AS row FROM audit.audit_log l WHERE l::text ~ 'SECRET|api_key|\"secret'"
    )
    assert found.fetchall() == []
    assert len(entries(admin, "shop_author")) == 2 + 1 + 3 + 1 + 2


def test_every_step_backwards(django, admin):
    migrate("0005_labels")
    apps = migrate("0002_audit")
    fill(apps)
    assert len(entries(admin, "shop_book_tags")) == 8
    migrate("0001_initial")
    apps = migrate("0001_initial")
    apps.get_model("shop", "Tag").objects.create(name="not tracked")
    assert admin.execute("SELECT count(*) AS n FROM audit.tracked_tables").fetchone()["n"] == 0
    events = admin.execute(
        "SELECT kind, object, reason, login_role FROM audit.guard_events "
        "WHERE kind = 'tracking_disabled' ORDER BY object"
    ).fetchall()
    assert [tuple(event.values()) for event in events] == [
        ("tracking_disabled", f"public.{table}", "migrated back", "app") for table in TABLES
    ]
    # The tables go, what is known of them stays.
    migrate("zero")
    assert len(entries(admin, "shop_book_tags")) == 8


def test_migration_that_fails_leaves_everything_as_it_was(django, admin):
    fill(migrate("0002_audit"))
    migrate("0003_fields")
    admin.execute("ALTER TABLE shop_book ADD CONSTRAINT low CHECK (rating < 2)")
    before = entries(admin, *TABLES)
    with pytest.raises(Exception, match="low"):
        migrate("0004_fill")
    assert entries(admin, *TABLES) == before
    admin.execute("ALTER TABLE shop_book DROP CONSTRAINT low")
    migrate("0005_labels")
    assert len(entries(admin, "shop_book")) == 8


def test_django_sees_only_its_own_tables(django, admin):
    from django.core.management import call_command
    from django.db import connection

    migrate("0005_labels")
    call_command("makemigrations", "--check", "--dry-run", verbosity=1)
    tables = {table.name for table in connection.introspection.get_table_list(connection.cursor())}
    assert tables == {
        "django_migrations",
        "shop_author",
        "shop_book",
        "shop_book_labels",
        "shop_label",
        "shop_review",
    }


def test_flush_is_logged_as_truncate(django, admin):
    from django.core.management import call_command

    migrate("0005_labels").get_model("shop", "Label").objects.create(name="soon gone")
    call_command("flush", interactive=False, verbosity=0)
    last = told(admin, "shop_label", "shop_author", "shop_book", "shop_review", "shop_book_labels")
    assert last[0][:2] == ("INSERT", "1") and last[1:] == [("TRUNCATE", None, None)] * 5
    Replay(admin, "shop_label").check()


def test_schema_tracked_before_the_first_migration(django, admin):
    """Tables are tracked from birth, although the role that migrates may not switch it on."""
    admin.execute("REVOKE audit_admin FROM app")
    admin.execute("SELECT audit.enable_tracking_schema('public')")
    try:
        apps = migrate("0001_initial")
        status = admin.execute("SELECT target::text, status FROM audit.tracked_tables ORDER BY 1").fetchall()
        assert [tuple(row.values()) for row in status] == [
            (table, "ok") for table in ["django_migrations", *TABLES]
        ]
        fill(apps)
        assert [Replay(admin, table).check() for table in TABLES] == [2, 4, 8, 4, 5]
        applied = [row["new_record"]["name"] for row in entries(admin, "django_migrations")]
        assert applied == ["0001_initial"]
    finally:
        admin.execute("GRANT audit_admin TO app")
    migrate("0005_labels")
    last = entries(admin, "django_migrations")[-1]["new_record"]["name"]
    assert (last, Replay(admin, "django_migrations").check()) == ("0005_labels", 5)


def test_index_made_concurrently(django, admin):
    from django.contrib.postgres.operations import AddIndexConcurrently
    from django.db import connection, models
    from django.db.migrations.state import ProjectState

    fill(migrate("0002_audit"))
    state = ProjectState.from_apps(migrate("0005_labels"))
    after = state.clone()
    add = AddIndexConcurrently("Book", models.Index(fields=["title"], name="book_title"))
    add.state_forwards("shop", after)
    with connection.schema_editor(atomic=False) as editor:
        add.database_forwards("shop", editor, state, after)
        add.database_backwards("shop", editor, after, state)
    after.apps.get_model("shop", "Book").objects.update(title="same")
    assert [row["changed_fields"] for row in entries(admin, "shop_book")[-4:]] == [["title"]] * 4


def test_test_runner_makes_its_database_from_a_template(django, cluster, admin):
    """Where CREATE EXTENSION takes a superuser, the template has it already."""
    from django.db import connection

    admin.execute("ALTER ROLE app CREATEDB; ALTER DATABASE guarded IS_TEMPLATE true")
    before = connection.settings_dict["NAME"]
    name = connection.creation.create_test_db(verbosity=0, serialize=False)
    try:
        with cluster.administer(name) as test_admin:
            tracked = test_admin.execute("SELECT count(*) AS n FROM audit.tracked_tables").fetchone()
            assert tracked["n"] == len(TABLES)
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)
