"""A column is the same one however its name was typed, in every format."""

import io
import json
from collections.abc import Callable

import polars as pl
import pytest

from include.errors import FileRefusedError
from include.spec.contract import (
    Column,
    ColumnKind,
    Contract,
    dumps,
    first_contract,
    loads,
    require_agreement,
)
from include.spec.model_spec import Spec
from include.stages.ingest import ingest
from tests.spec.test_first_files import a_spec

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
TYPED = (COMPOSED, DECOMPOSED, f" {COMPOSED}\u00a0")
Write = Callable[[str], tuple[str, bytes]]


def by_csv(name: str) -> tuple[str, bytes]:
    """Write two rows as CSV."""
    return "x.csv", f"{name},b,y\n1,2,0\n3,4,1\n".encode()


def by_json(name: str) -> tuple[str, bytes]:
    """Write two rows as JSON lines, in which a letter may be escaped."""
    rows = [{name: 1, "b": 2, "y": 0}, {name: 3, "b": 4, "y": 1}]
    return "x.jsonl", "\n".join(map(json.dumps, rows)).encode()


def by_parquet(name: str) -> tuple[str, bytes]:
    """Write two rows as Parquet."""
    buffer = io.BytesIO()
    pl.DataFrame({name: [1.0, 3.0], "b": [2.0, 4.0], "y": [0, 1]}).write_parquet(buffer)
    return "x.parquet", buffer.getvalue()


WRITERS: tuple[Write, ...] = (by_csv, by_json, by_parquet)


def read(
    file: tuple[str, bytes], spec: Spec, contract: Contract | None = None
) -> tuple[Contract, pl.DataFrame]:
    """Return the contract and the rows of a file without a bad row."""
    name, content = file
    ingested = ingest(io.BytesIO(content), name, spec, contract)
    (part,) = ingested.parts
    assert not part.refused
    return ingested.contract, part.frame


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("typed", TYPED)
def test_a_name_is_one_however_it_is_typed(write: Write, typed: str) -> None:
    """Composed or not, with or without spaces around it, in the first file and in later ones."""
    contract, _ = read(write(typed), a_spec())
    assert contract.features == (COMPOSED, "b")
    for later in WRITERS:
        for name in TYPED:
            _, rows = read(later(name), a_spec(), contract)
            assert rows[COMPOSED].to_list() == [1, 3]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("own", [DECOMPOSED, f" {COMPOSED}"])
def test_a_table_keeps_the_names_that_it_has(write: Write, own: str) -> None:
    """Those of an older release: rows, keys and models have them."""
    contract = first_contract(a_spec(), {own: ColumnKind.NUMBER, "b": ColumnKind.NUMBER}, "")
    for name in (*TYPED, own):
        _, rows = read(write(name), a_spec(exclude=["none"]), contract)
        assert rows[own].to_list() == [1, 3]


@pytest.mark.parametrize("field", ["target", "id", "exclude"])
@pytest.mark.parametrize(("typed", "said"), [TYPED[:2], TYPED[1::-1]])
def test_a_name_in_the_spec_is_compared_so_too(field: str, typed: str, said: str) -> None:
    """A misspelt one in `exclude` would keep a leak, and nobody sees a difference."""
    text = f"{typed},b,y\n1,2,0\n0,4,1\n"
    value = [said] if field == "exclude" else said
    contract, _ = read(("x.csv", text.encode()), a_spec(**{field: value}))
    assert COMPOSED not in contract.features
    assert "b" in contract.features


def test_a_contract_of_an_older_release_agrees_with_its_spec() -> None:
    """Its target was kept as it was typed, in the spec as well."""
    spec = a_spec(target=DECOMPOSED, id=f"{DECOMPOSED}s")
    contract = first_contract(spec, {"b": ColumnKind.NUMBER}, "")
    text = dumps(contract).replace(COMPOSED, DECOMPOSED)
    assert DECOMPOSED in text
    require_agreement(loads(text), spec)
    assert Column("b", ColumnKind.NUMBER) in loads(text).columns


@pytest.mark.parametrize("write", [by_csv, by_parquet])
def test_two_columns_of_one_name_refuse_the_file(write: Write) -> None:
    """Nobody could tell which is meant."""
    name, content = write(COMPOSED)
    if name.endswith("csv"):
        content = content.replace(b",b,", f",{DECOMPOSED},".encode())
    else:
        frame = pl.read_parquet(content).rename({"b": DECOMPOSED})
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        content = buffer.getvalue()
    with pytest.raises(FileRefusedError, match=f"names {COMPOSED} more than once"):
        read((name, content), a_spec())


def test_two_keys_of_one_name_cost_their_object() -> None:
    """Its neighbours are good."""
    text = json.dumps({"v": 1, "y": 0}) + "\n" + json.dumps({"v": 1, " v ": 2, "y": 0}) + "\n"
    ingested = ingest(io.BytesIO(text.encode()), "x.jsonl", a_spec(), None)
    (part,) = ingested.parts
    assert [(row.line, row.reason) for row in part.refused] == [(2, "two keys of one name")]
    assert part.frame["v"].to_list() == [1]
