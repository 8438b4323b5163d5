"""A small warehouse in SQLAlchemy's declarative form: enums, a composite key, a version counter."""

import datetime
import enum
import uuid
from decimal import Decimal

from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Identity, Numeric, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {
        str: Text,
        datetime.datetime: DateTime(timezone=True),
        Decimal: Numeric(10, 3),
        dict: JSONB,
        list[str]: ARRAY(Text),
    }


class State(enum.Enum):
    FRESH = "fresh"
    SOLD = "sold out"


class Item(Base):
    __tablename__ = "items"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.FRESH)
    price: Mapped[Decimal] = mapped_column(default=0)
    details: Mapped[dict] = mapped_column(default=dict)
    tags: Mapped[list[str]] = mapped_column(default=list)
    made_at: Mapped[datetime.datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    stocks: Mapped[list["Stock"]] = relationship(back_populates="item", cascade="all, delete-orphan")
    __mapper_args__ = {"version_id_col": version}


class Stock(Base):
    __tablename__ = "stocks"
    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("items.id"), primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(default=0)
    item: Mapped[Item] = relationship(back_populates="stocks")


class Move(Base):
    __tablename__ = "moves"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    batch: Mapped[int]
    number: Mapped[int]
    note: Mapped[str | None]
    __table_args__ = (UniqueConstraint("batch", "number"),)
