"""Whatever is written into a file, its name or a form, PostgreSQL stores what a task hands on."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.models.xcom import XComModel
from hypothesis import given
from hypothesis import strategies as st

from include.errors import FileRefusedError, NothingToDoError
from include.records.data import Batch
from include.records.judging import Preflight
from include.records.moves import Move, MoveKind
from include.records.packing import pack
from include.records.training import Form
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Spec
from include.stages.ingest import ingest
from include.steps.ingest import ingest_delivery
from tests.contract.bank import bank_at, deliver
from tests.postgres import postgres

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
ODD = st.sampled_from(
    ["\0", "\ud800", "\udce9", "\x1b[2J", "\u202e", "\u200b", "\u2028", "\\", '"']
)
TEXT = st.lists(ANY_TEXT | ODD, max_size=4).map("".join)
COLUMNS = (Column("a", ColumnKind.NUMBER),)
CONTRACT = Contract(1, "", "y", 1, 0, None, 0.2, "salt", COLUMNS)
TABLE = sa.Table("kept", sa.MetaData(), sa.Column("value", XComModel.__table__.c.value.type))


@pytest.fixture(scope="module")
def database() -> Iterator[sa.Connection]:
    """Return a connection to a database with a table that keeps XComs as Airflow does."""
    with postgres() as url:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            TABLE.create(connection)
            yield connection
        engine.dispose()


def stored(database: sa.Connection, value: Any) -> Any:
    """Return what the database gives back for an XCom."""
    database.execute(TABLE.delete())
    database.execute(TABLE.insert().values(value=value))
    return database.execute(sa.select(TABLE.c.value)).scalar_one()


def a_spec() -> Spec:
    """Return a spec that takes any columns."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "data": {"target": "y"}}
    return Spec.model_validate({**fields, "families": (family,)})


SPEC = a_spec()


def test_the_database_is_as_strict_as_it_is_said(database: sa.Connection) -> None:
    """Without this the other tests would show nothing."""
    for text in ("\0", "\ud800"):
        with pytest.raises((sa.exc.DataError, UnicodeEncodeError)):
            stored(database, [text])


@given(TEXT, st.dictionaries(TEXT, st.integers(0, 9), max_size=3))
def test_records_come_back_as_they_were_packed(
    database: sa.Connection, text: str, counts: dict[str, int]
) -> None:
    """Names, reasons, notes and what other programs said, in values and in keys."""
    records = [
        Batch("d", text, reasons=counts, extra=(text,), outside=counts, note=text),
        Form(note=text),
        Preflight(needed=True, passed=False, sentence=text),
        Move(MoveKind.ROLL_BACK, "1", text, by=text, reason=text),
    ]
    packed = pack(records)
    assert stored(database, packed) == packed
    refusal = str(NothingToDoError(text))
    assert stored(database, refusal) == refusal


@given(
    st.lists(TEXT, min_size=1, max_size=3),
    st.sampled_from(["x.csv", "x.jsonl"]),
    st.sampled_from([None, CONTRACT]),
)
def test_any_header_is_a_batch_that_can_be_kept(
    database: sa.Connection, names: list[str], file: str, contract: Contract | None
) -> None:
    """Columns of any name, known to a contract or not, are taken or refused in a sentence."""
    content = written({"a": 1, "y": 0} | dict.fromkeys(names, 2), file)
    try:
        ingested = ingest(io.BytesIO(content), file, SPEC, contract)
        batch = Batch("d", file, extra=ingested.extra)
    except FileRefusedError as error:
        batch = Batch("d", file, note=str(error))
    assert stored(database, pack(batch)) == pack(batch)


def written(row: dict[str, int], file: str) -> bytes:
    """Return a file of one row."""
    if file.endswith(".jsonl"):
        return json.dumps(row).encode()
    header = ",".join('"' + name.replace('"', '""') + '"' for name in row)
    text = f"{header}\n{','.join(map(str, row.values()))}\n"
    return text.encode(errors="surrogatepass")


def test_a_column_whose_name_has_a_nul(database: sa.Connection, tmp_path: Path) -> None:
    """An extra one is ignored and told without its NUL; a first file with it is refused."""
    context = bank_at(tmp_path)
    text = "age,balance,job,y,d{}\n" + "".join(
        f"{n},1,x,{'yes' if n % 2 else 'no'},1\n" for n in range(20)
    )
    odd = text.format("\0x")
    refused = deliver(context, odd)
    assert r"that cannot be shown: d\x00x" in refused.note
    deliver(context, text.replace(",d{}", "").replace(",1\n", "\n").format())
    context.landing.drop("odd.csv", odd.encode().replace(b"0,1", b"0,2"))
    (delivery,) = context.landing.claim()
    batch = ingest_delivery(context, delivery)
    assert (batch.extra, batch.note) == ((r"d\x00x",), "")
    assert stored(database, pack(batch)) == pack(batch)
