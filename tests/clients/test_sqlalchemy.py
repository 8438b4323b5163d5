"""SQLAlchemy on tracked tables: unit of work, bulk statements, upserts, savepoints, two-phase commit."""

import datetime
import uuid
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

import audit_session  # noqa: F401
from logbook import Replay, entries, told
from stock_models import Base, Item, Move, State, Stock

TABLES = ["items", "stocks", "moves"]


def engine_for(cluster, database, **options):
    return sa.create_engine(
        sa.URL.create("postgresql+psycopg", "app", host=str(cluster.folder), port=5432, database=database),
        **options,
    )


@pytest.fixture
def engine(cluster, database, admin):
    """Tables made by the models and tracked; what was logged must give them, in every test."""
    engine = engine_for(cluster, database)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(sa.text(f"SELECT audit.enable_tracking('{table}')"))
    yield engine
    engine.dispose()
    for table in TABLES:
        Replay(admin, table).check()


def test_unit_of_work(engine, admin):
    with Session(engine, info={"actor": 4711, "facts": {"ticket": "HD-88"}}) as session:
        item = Item(
            name="apple",
            price=Decimal("1.250"),
            details={"kg": 1},
            tags=["a", "b"],
            stocks=[Stock(place="A"), Stock(place="B", amount=2)],
        )
        session.add(item)
        session.commit()
        item.state = State.SOLD
        item.stocks[0].amount = 5
        item.stocks.pop()  # an orphan is deleted
        session.commit()
        session.rollback()
        key = str(item.id)
        session.delete(item)
        session.commit()
    assert told(admin, *TABLES) == [
        ("INSERT", key, None),
        ("INSERT", f'["{key}","A"]', None),
        ("INSERT", f'["{key}","B"]', None),
        ("UPDATE", key, ["state", "version"]),
        ("UPDATE", f'["{key}","A"]', ["amount"]),
        ("DELETE", f'["{key}","B"]', None),
        ("DELETE", f'["{key}","A"]', None),
        ("DELETE", key, None),
    ]
    rows = entries(admin, *TABLES)
    assert {(row["actor_id"], row["context"]["app"]["ticket"]) for row in rows} == {("4711", "HD-88")}
    assert len({row["transaction_id"] for row in rows}) == 3
    assert rows[0]["new_record"]["state"] == "FRESH"


def test_declared_in_each_transaction_of_a_session_and_in_no_other(engine, admin):
    with Session(engine, info={"actor": "ada"}) as session:
        for number in range(3):
            session.add(Move(batch=1, number=number))
            session.commit()
    with Session(engine) as session:
        session.add(Move(batch=2, number=1))
        session.commit()
    assert [row["actor_id"] for row in entries(admin, "moves")] == ["ada"] * 3 + [None]


def test_insert_of_many_rows(engine, admin):
    with engine.begin() as connection:
        connection.execute(sa.insert(Move).values([{"batch": 1, "number": n} for n in range(100)]))
        connection.execute(sa.insert(Move), [{"batch": 2, "number": n} for n in range(100)])
        got = (
            connection.execute(
                sa.insert(Move).returning(Move.id, sort_by_parameter_order=True),
                [{"batch": 3, "number": n} for n in range(2500)],
            )
            .scalars()
            .all()
        )
        connection.execute(
            sa.insert(Move).from_select(
                ["batch", "number"], sa.select(Move.batch + 10, Move.number).where(Move.batch == 1)
            )
        )
    rows = entries(admin, "moves")
    assert len(rows) == 2800 and {row["operation"] for row in rows} == {"INSERT"}
    third = [row for row in rows if row["new_record"]["batch"] == 3]
    assert {row["record_id"]: row["new_record"]["number"] for row in third} == {
        str(key): number for number, key in enumerate(got)
    }


def test_orm_bulk_insert_update_delete(engine, admin):
    keys = [uuid.UUID(int=n) for n in range(60)]
    with Session(engine) as session:
        session.execute(sa.insert(Item), [{"id": key, "name": str(n)} for n, key in enumerate(keys)])
        session.execute(
            sa.update(Item), [{"id": key, "name": f"{n}!", "version": 1} for n, key in enumerate(keys[:20])]
        )
        changed = session.scalars(
            sa.update(Item).where(Item.name < "3").values(price=Item.price + 1).returning(Item.id)
        ).all()
        gone = session.execute(sa.delete(Item).where(Item.name.like("%9"))).rowcount
        session.commit()
    operations = [operation for operation, _, _ in told(admin, "items")]
    assert operations == ["INSERT"] * 60 + ["UPDATE"] * (20 + len(changed)) + ["DELETE"] * gone
    assert gone and {key for _, key, fields in told(admin, "items") if fields and "price" in fields} == set(
        map(str, changed)
    )


def test_upsert(engine, admin):
    statement = upsert(Move)
    statement = statement.on_conflict_do_update(
        index_elements=["batch", "number"], set_={"note": statement.excluded.note}
    )
    with engine.begin() as connection:
        connection.execute(
            sa.insert(Move),
            [{"batch": 1, "number": 1, "note": "old"}, {"batch": 1, "number": 2, "note": None}],
        )
        connection.execute(
            statement,
            [
                {"batch": 1, "number": 1, "note": "new"},
                {"batch": 1, "number": 3, "note": "x"},
                {"batch": 1, "number": 3, "note": "x"},
            ],
        )
        connection.execute(upsert(Move).on_conflict_do_nothing().values(batch=1, number=2, note="ignored"))
    assert [(operation, fields) for operation, _, fields in told(admin, "moves")] == [
        ("INSERT", None),
        ("INSERT", None),
        ("UPDATE", ["note"]),
        ("INSERT", None),
    ]


def test_savepoints_that_are_rolled_back(engine, admin):
    with Session(engine, info={"actor": "ada"}) as session:
        session.add(Move(batch=1, number=1))
        for number in (1, 2):
            try:
                with session.begin_nested():
                    session.add(Move(batch=2, number=number))
                    session.flush()
                    session.add(Move(batch=1, number=number))
            except sa.exc.IntegrityError:
                pass
        with session.begin_nested() as inner:
            session.add(Move(batch=3, number=1))
            session.flush()
            session.execute(sa.text("SELECT audit.set_context(actor_id => 'inner')"))
            inner.rollback()
        session.add(Move(batch=4, number=1))
        session.commit()
    rows = entries(admin, "moves")
    assert {(row["new_record"]["batch"], row["new_record"]["number"]) for row in rows} == {
        (1, 1),
        (2, 2),
        (1, 2),
        (4, 1),
    }
    assert {row["actor_id"] for row in rows} == {"ada"}


def test_two_phase_commit_over_two_databases(engine, cluster, database, admin):
    other = engine_for(cluster, cluster.create_database("second_house", "guarded"))
    try:
        Base.metadata.create_all(other)
        with other.begin() as connection:
            connection.execute(sa.text("SELECT audit.enable_tracking('moves')"))
        for ending in ("commit", "rollback"):
            with Session(twophase=True, info={"actor": ending}) as session:
                session.bind_mapper(Item, engine)
                session.bind_mapper(Move, other)
                session.add_all(
                    [
                        Item(id=uuid.UUID(int=1), name=ending)
                        if ending == "commit"
                        else Item(id=uuid.UUID(int=2), name=ending),
                        Move(batch=1, number=len(ending)),
                    ]
                )
                session.prepare()
                getattr(session, ending)()
        with cluster.administer("second_house") as second:
            assert [row["actor_id"] for row in entries(second, "moves")] == ["commit"]
            Replay(second, "moves").check()
        assert [row["actor_id"] for row in entries(admin, "items")] == ["commit"]
    finally:
        other.dispose()


def test_prepared_transaction_found_again(engine, admin):
    with engine.connect() as connection:
        transaction = connection.begin_twophase("move-1")
        connection.execute(sa.insert(Move), {"batch": 1, "number": 1})
        transaction.prepare()
        connection.invalidate()  # as if the program had died
    assert entries(admin, "moves") == []
    with engine.connect() as connection:
        assert connection.recover_twophase() == ["move-1"]
        connection.commit_prepared("move-1", recover=True)
    assert len(entries(admin, "moves")) == 1


def test_composite_key_that_moves(engine, admin):
    with Session(engine) as session:
        item = Item(name="pear", stocks=[Stock(place='shelf "1", left', amount=1)])
        session.add(item)
        session.commit()
        item.stocks[0].place = "shelf 2"
        session.commit()
        key = str(item.id)
    rows = entries(admin, "stocks")
    assert [(row["operation"], row["old_record_id"], row["record_id"]) for row in rows] == [
        ("INSERT", None, f'["{key}","shelf \\"1\\", left"]'),
        ("UPDATE", f'["{key}","shelf \\"1\\", left"]', f'["{key}","shelf 2"]'),
    ]
    history = admin.execute(
        "SELECT operation::text FROM audit.record_history('stocks', %s)", [f'["{key}", "shelf 2"]']
    ).fetchall()
    assert [row["operation"] for row in history][-1] == "UPDATE"


def test_enums_and_times(engine, admin):
    when = datetime.datetime(2026, 3, 29, 2, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=-7)))
    with Session(engine) as session:
        item = Item(name="kiwi", state=State.SOLD, made_at=when, price=Decimal("0.001"), tags=["ä", ""])
        session.add(item)
        session.commit()
        session.execute(sa.text("ALTER TYPE state ADD VALUE 'SEED' BEFORE 'FRESH'"))
        session.commit()
        session.execute(sa.text("UPDATE items SET state = 'SEED'"))
        session.commit()
    first, second = entries(admin, "items")
    assert (first["new_record"]["state"], second["new_record"]["state"]) == ("SOLD", "SEED")
    assert first["new_record"]["made_at"] == "2026-03-29T09:30:00+00:00"
    assert (first["new_record"]["price"], first["new_record"]["tags"]) == (Decimal("0.001"), ["ä", ""])


def test_stale_version_is_no_change(engine, admin):
    with Session(engine) as session, Session(engine) as other:
        session.add(Item(id=uuid.UUID(int=1), name="plum"))
        session.commit()
        mine, theirs = session.get(Item, uuid.UUID(int=1)), other.get(Item, uuid.UUID(int=1))
        theirs.name = "theirs"
        other.commit()
        mine.name = "mine"
        with pytest.raises(StaleDataError):
            session.commit()
    assert [row["new_record"]["name"] for row in entries(admin, "items")] == ["plum", "theirs"]


def test_temporary_tables_and_core_cursors(engine, admin):
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TEMP TABLE moves_new (LIKE moves) ON COMMIT DROP"))
        connection.execute(sa.text("INSERT INTO moves_new SELECT n, 1, n FROM generate_series(1, 30) n"))
        connection.execute(sa.text("INSERT INTO moves OVERRIDING SYSTEM VALUE SELECT * FROM moves_new"))
        reading = (
            sa.select(Move.id).order_by(Move.id).execution_options(stream_results=True, max_row_buffer=5)
        )
        for (key,) in connection.execute(reading):
            connection.execute(sa.update(Move).where(Move.id == key).values(note=str(key)))
    assert [entry[0] for entry in told(admin, "moves")] == ["INSERT"] * 30 + ["UPDATE"] * 30


def test_reflection_shows_no_tables_of_ours(engine):
    assert set(sa.inspect(engine).get_table_names()) == set(TABLES)
    with engine.connect() as connection:
        log = sa.Table("changes", sa.MetaData(schema="audit"), autoload_with=connection)
    assert {"record_id", "old_values", "new_values"} <= set(log.columns.keys())
