"""Django's ORM on tracked tables: transactions, bulk operations, deletes that cascade, requests."""

import datetime
import uuid
from decimal import Decimal

import pytest

from django_shop import migrate, set_up, use
from logbook import Replay, entries, told

set_up()

from django.db import DatabaseError, connection, transaction  # noqa: E402
from django.db.models import Case, F, Value, When  # noqa: E402
from django.db.models.functions import Concat, Now  # noqa: E402

from shop.audit import acting  # noqa: E402
from shop.models import Author, Book, Label, Review  # noqa: E402

TABLES = ["shop_author", "shop_book", "shop_book_labels", "shop_review", "shop_label"]


@pytest.fixture(scope="module")
def migrated(cluster):
    """A template database with the application as it is today."""
    name = cluster.create_database("shop_migrated", "guarded")
    with use(cluster, name):
        migrate("0005_labels")
    return name


@pytest.fixture
def admin(cluster, migrated):
    """A fresh copy of the application's database; what was logged must give its tables, in every test."""
    name = cluster.create_database("shop", migrated)
    with use(cluster, name), cluster.administer(name) as admin:
        yield admin
        for table in TABLES:
            Replay(admin, table).check(hidden=["api_key"])
        assert "SECRET" not in str(entries(admin, *TABLES))


@pytest.fixture
def ada(admin):
    return Author.objects.create(name="Ada", api_key="SECRET")


def test_save_and_delete(admin, ada):
    ada.name = "Ada L."
    ada.save()
    ada.save()  # changes nothing
    ada.api_key = "SECRET-2"
    ada.save(update_fields=["api_key"])  # changes only what is hidden
    key = str(ada.pk)
    ada.delete()
    assert told(admin, "shop_author") == [
        ("INSERT", key, None),
        ("UPDATE", key, ["name"]),
        ("DELETE", key, None),
    ]
    assert {row["login_role"] for row in entries(admin, "shop_author")} == {"app"}


def test_field_types(admin, ada):
    when = datetime.datetime(
        2026, 3, 29, 2, 30, 0, 123456, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
    )
    Book.objects.create(
        title="ü \" '",
        author=ada,
        rating=-1,
        price=Decimal("1234.50"),
        stock=2**60,
        published=when,
        details={"a": [1, None, {"b": 0.1}], "ü": "\n"},
        keywords=['x"y', "", "{}"],
    )
    (row,) = entries(admin, "shop_book")
    assert row["new_record"] == {
        "id": 1,
        "title": "ü \" '",
        "author_id": str(ada.pk),
        "editor_id": None,
        "rating": -1,
        "stock": 2**60,
        "price": Decimal("1234.50"),
        "published": "2026-03-29T00:30:00.123456+00:00",
        "details": {"a": [1, None, {"b": Decimal("0.1")}], "ü": "\n"},
        "keywords": ['x"y', "", "{}"],
    }


def test_bulk_operations(admin, ada):
    made = Book.objects.bulk_create(
        [Book(title=f"book {n}", author=ada, rating=n) for n in range(300)], batch_size=100
    )
    for number, book in enumerate(made):
        book.title, book.stock = f"title {number}", number
    Book.objects.bulk_update(made, ["title", "stock"], batch_size=150)
    rows = entries(admin, "shop_book")
    assert [row["operation"] for row in rows] == ["INSERT"] * 300 + ["UPDATE"] * 300
    # The first book's stock is 0 before and after.
    assert [row["changed_fields"] for row in rows[300:302]] == [["title"], ["title", "stock"]]
    assert {row["record_id"] for row in rows} == {str(book.pk) for book in made}


def test_bulk_create_on_conflict(admin):
    Label.objects.bulk_create([Label(name="a"), Label(name="b")])
    Label.objects.bulk_create([Label(name="b"), Label(name="c")], ignore_conflicts=True)
    Label.objects.bulk_create(
        [Label(id=1, name="a!"), Label(id=50, name="d")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["name"],
    )
    assert [(operation, key) for operation, key, _ in told(admin, "shop_label")] == [
        ("INSERT", "1"),
        ("INSERT", "2"),
        ("INSERT", "4"),
        ("UPDATE", "1"),
        ("INSERT", "50"),
    ]


def test_get_or_create_and_update_or_create(admin, ada):
    for _ in range(2):
        Label.objects.get_or_create(name="once")
    for rating in (1, 1, 2):
        Book.objects.update_or_create(
            title="one", defaults={"rating": rating}, create_defaults={"rating": rating, "author": ada}
        )
    assert [entry[0] for entry in told(admin, "shop_label")] == ["INSERT"]
    assert told(admin, "shop_book") == [("INSERT", "1", None), ("UPDATE", "1", ["rating"])]


def test_update_with_expressions(admin, ada):
    Book.objects.bulk_create([Book(title=f"b{n}", author=ada, rating=n) for n in range(4)])
    changed = Book.objects.filter(rating__gte=1).update(
        stock=F("stock") + F("rating"),
        published=Now(),
        title=Concat("title", Value("!")),
        rating=Case(When(rating=3, then=Value(0)), default=F("rating")),
    )
    updates = [entry for entry in told(admin, "shop_book") if entry[0] == "UPDATE"]
    assert changed == len(updates) == 3
    assert [set(fields) for _, _, fields in updates] == [{"stock", "published", "title"}] * 2 + [
        {"stock", "published", "title", "rating"}
    ]


def test_select_for_update(admin, ada):
    book = Book.objects.create(title="b", author=ada, rating=0)
    for _ in range(3):
        with transaction.atomic():
            locked = Book.objects.select_for_update().get(pk=book.pk)
            locked.stock += 1
            locked.save(update_fields=["stock"])
    assert told(admin, "shop_book")[1:] == [("UPDATE", "1", ["stock"])] * 3


def test_many_to_many(admin, ada):
    book = Book.objects.create(title="b", author=ada, rating=0)
    a, b, c = (Label.objects.create(name=name) for name in "abc")
    book.labels.set([a, b])
    book.labels.set([b, c])
    c.books.clear()
    pairs = entries(admin, "shop_book_labels")
    assert [(row["operation"], (row["new_record"] or row["old_record"])["label_id"]) for row in pairs] == [
        ("INSERT", a.pk),
        ("INSERT", b.pk),
        ("DELETE", a.pk),
        ("INSERT", c.pk),
        ("DELETE", c.pk),
    ]


def test_delete_cascades_and_sets_null(admin, ada):
    bob = Author.objects.create(name="Bob", mentor=ada)
    own = Book.objects.create(title="own", author=ada, rating=0)
    other = Book.objects.create(title="other", author=bob, editor=ada, rating=0)
    own.labels.add(Label.objects.create(name="a"))
    Review.objects.create(book=own, body="good")
    key, before = str(ada.pk), len(entries(admin, *TABLES))
    with acting(4711, reason="account closed"):
        ada.delete()
    rows = entries(admin, *TABLES)[before:]
    assert {(row["operation"], row["table_name"], row["record_id"]) for row in rows} == {
        ("DELETE", "shop_author", key),
        ("DELETE", "shop_book", str(own.pk)),
        ("DELETE", "shop_book_labels", "1"),
        ("DELETE", "shop_review", "1"),
        ("UPDATE", "shop_author", str(bob.pk)),
        ("UPDATE", "shop_book", str(other.pk)),
    }
    assert len(rows) == 6 and len({row["transaction_id"] for row in rows}) == 1
    assert {(row["actor_id"], row["context"]["app"]["reason"]) for row in rows} == {
        ("4711", "account closed")
    }


def test_savepoints(admin):
    with acting("outer"):
        Label.objects.create(name="kept")
        with pytest.raises(DatabaseError), transaction.atomic():
            Label.objects.create(name="lost")
            Label.objects.create(name="kept")
        with transaction.atomic():
            with acting("inner"):
                Label.objects.create(name="also kept")
    with pytest.raises(RuntimeError), acting("failing"):
        Label.objects.create(name="rolled back")
        raise RuntimeError
    assert [(row["new_record"]["name"], row["actor_id"]) for row in entries(admin, "shop_label")] == [
        ("kept", "outer"),
        ("also kept", "inner"),
    ]


def test_context_ends_with_the_transaction(admin):
    with acting(uuid.UUID(int=7), ticket="HD-88"):
        Label.objects.create(name="a")
    Label.objects.create(name="b")
    with transaction.atomic():
        Label.objects.create(name="c")
    first, *rest = entries(admin, "shop_label")
    assert (first["actor_id"], first["actor_source"]) == (str(uuid.UUID(int=7)), "context")
    assert first["context"]["app"] == {"ticket": "HD-88"}
    assert [(row["actor_id"], (row["context"] or {}).get("app")) for row in rest] == [(None, None)] * 2


def test_requests_through_the_middleware(admin):
    from django.test import Client

    client = Client(raise_request_exception=False)
    for address, person, status in (
        ("/add/one", "7", 200),
        ("/fail/500", "7", 500),
        ("/fail/404", "8", 404),
        ("/add/two", None, 200),
        ("/add/three", "9", 200),
    ):
        answer = client.post(address, headers={"X-Test-User": person} if person else {})
        assert answer.status_code == status
    assert client.get("/add/read", headers={"X-Test-User": "9"}).status_code == 200
    rows = entries(admin, "shop_label")
    assert [
        (row["new_record"]["name"], row["actor_id"], row["context"] and row["context"].get("app"))
        for row in rows
    ] == [
        ("one", "7", {"path": "/add/one"}),
        ("two", None, {"path": "/add/two"}),
        ("three", "9", {"path": "/add/three"}),
        ("read", None, None),
    ]


def test_raw_sql_and_history(admin, ada):
    with acting("clerk"), connection.cursor() as cursor:
        cursor.execute("UPDATE shop_author SET name = %s WHERE id = %s", ["Ada King", ada.pk])
    history = admin.execute(
        "SELECT operation::text, old_values, new_values, actor_id "
        "FROM audit.record_history('shop_author', %s)",
        [ada.pk],
    ).fetchall()
    assert [tuple(row.values()) for row in history][1:] == [
        ("UPDATE", {"name": "Ada"}, {"name": "Ada King"}, "clerk")
    ]


def test_iterator_while_writing(admin, ada):
    Book.objects.bulk_create([Book(title=str(n), author=ada, rating=0) for n in range(50)])
    with transaction.atomic():
        for book in Book.objects.order_by("pk").iterator(chunk_size=10):
            if book.pk % 2:
                book.delete()
            else:
                Book.objects.filter(pk=book.pk).update(stock=F("pk"))
    assert [entry[0] for entry in told(admin, "shop_book")[50:]] == ["DELETE", "UPDATE"] * 25
