"""The same rows in every format are the same rows: from landing to the table, and to a model."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard

from include.context.step_context import StepContext, step_context
from include.records.judging import Verdict
from include.settings import read_settings
from serving.bundle import encode
from tests.contract.bank import FAMILIES, JOBS, bank_at, bank_rows, bank_spec
from tests.contract.pipeline import leaderboard, run, take_in
from tests.seaweed import Bucket

ROWS = bank_rows(200, seed=1)
KEYS = ["key_high", "key_low"]


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


def _gzip(text: str) -> bytes:
    # The time of the packing would make other bytes of the same rows.
    return gzip.compress(text.encode(), mtime=0)


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("rows.csv"), content)
    return buffer.getvalue()


def _as_decimals(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("age").cast(pl.Float64))


FORMS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "comma.csv": lambda rows: rows.write_csv().encode(),
    "semicolon.csv": lambda rows: rows.write_csv(separator=";").encode(),
    "tab.tsv": lambda rows: rows.write_csv(separator="\t").encode(),
    "gz.csv.gz": lambda rows: _gzip(rows.write_csv(separator=";")),
    "zst.csv.zst": lambda rows: zstandard.compress(rows.write_csv().encode()),
    "mark and crlf.csv": lambda rows: rows.write_csv(
        include_bom=True, line_terminator="\r\n"
    ).encode(),
    "another order.csv": lambda rows: rows.select(sorted(rows.columns)[::-1]).write_csv().encode(),
    "quoted.csv": lambda rows: rows.write_csv(quote_style="always").encode(),
    "1 as 1.0.csv": lambda rows: _as_decimals(rows).write_csv().encode(),
    "a.parquet": _parquet,
    "b.jsonl": lambda rows: rows.write_ndjson().encode(),
    "c.jsonl.gz": lambda rows: _gzip(rows.write_ndjson()),
    "pipes.TXT": lambda rows: rows.write_csv(separator="|").encode(),
    "said.csv": lambda rows: b"sep=;\r\n" + rows.write_csv(separator=";").encode(),
    "bz2.tsv.bz2": lambda rows: bz2.compress(rows.write_csv(separator="\t").encode()),
    "zip.csv.zip": lambda rows: _zip(rows.write_csv().encode()),
    "b.PQ": lambda rows: _parquet(rows[::-1]),
    "lines.json": lambda rows: rows[::-1].write_ndjson().encode(),
    "d.ndjson.zst": lambda rows: zstandard.compress(rows.write_ndjson().encode()),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Return the table after a comma-separated file."""
    context = bank_at(tmp_path_factory.mktemp("expected"))
    context.landing.drop("comma.csv", FORMS["comma.csv"](ROWS))
    take_in(context)
    return _table(context)


def test_what_lands_is_what_the_table_holds(expected: pl.DataFrame) -> None:
    """Numbers, categories with separators and quotes in them, and gaps arrive as they were."""
    landed = ROWS.with_columns(pl.col("age").cast(pl.Float64), label=pl.col("y") == "yes")
    columns = ["age", "balance", "job"]
    found = expected.with_columns(pl.col("label") == "positive")
    assert _sorted(found.select(*columns, "label")) == _sorted(landed.select(*columns, "label"))
    assert ROWS["balance"].null_count() > 0 < ROWS["job"].null_count()


@pytest.mark.parametrize("first", FORMS)
def test_every_form_of_the_same_rows(tmp_path: Path, expected: pl.DataFrame, first: str) -> None:
    """Whichever form comes first is committed; of every other form each row is a duplicate."""
    context = bank_at(tmp_path)
    context.landing.drop(first, FORMS[first](ROWS))
    (batch,) = take_in(context).batches
    assert (batch.read, batch.new, batch.refused, batch.note) == (ROWS.height, ROWS.height, 0, "")
    for name, form in FORMS.items():
        if name != first:
            context.landing.drop(name, form(ROWS))
    later = take_in(context).batches
    assert {one.name: (one.new, one.refused, one.duplicates, one.note) for one in later} == {
        name: (0, 0, ROWS.height, "") for name in FORMS if name != first
    }
    assert _sorted(_table(context)) == _sorted(expected)


def test_a_history_in_a_bucket_is_the_one_on_disk(tmp_path: Path, bucket: Bucket) -> None:
    """Landing and lake in a bucket: the same rows, sides and keys, archive and quarantine."""
    in_bucket = {
        "RATCHET_LANDING": f"{bucket.url}/landing",
        "RATCHET_LAKE": f"{bucket.url}/lake",
        **bucket.options,
    }
    disk, there = bank_at(tmp_path / "disk"), bank_at(tmp_path / "there", in_bucket)
    for at in (disk, there):
        _history(at)
    assert _sorted(_table(there)) == _sorted(_table(disk))
    assert there.lake.contract() == disk.lake.contract()
    assert there.landing.quarantined_digests() == disk.landing.quarantined_digests()
    for digest in disk.landing.quarantined_digests():
        assert there.landing.read_quarantine(digest) == disk.landing.read_quarantine(digest)
    assert _files(tmp_path / "there") == []


@pytest.fixture(scope="module")
def trained(registry_url: str, tmp_path_factory: pytest.TempPathFactory) -> StepContext:
    """Return a context without rows."""
    home = str(tmp_path_factory.mktemp("trained"))
    settings = read_settings({"RATCHET_HOME": home, "RATCHET_MLFLOW_URL": registry_url})
    return step_context(bank_spec("bank-of-three"), settings)


def test_categories_and_gaps_reach_the_model(trained: StepContext) -> None:
    """Three families are fitted on them; the registered one knows the categories."""
    at = trained
    at.landing.drop("batch.jsonl", FORMS["b.jsonl"](bank_rows(900, seed=2)))
    done = run(at)
    finals = [one for one in leaderboard(done) if one["candidate"]["family"] in FAMILIES]
    assert {one["candidate"]["family"] for one in finals} == set(FAMILIES)
    assert not [trial for family in done.race.screened for trial in family if trial.failure]
    (skill,) = (check for check in done.decision.checks if check.name == "no_skill")
    assert min(one["f1"] for one in finals) > skill.bound
    assert skill.passed
    assert done.decision.verdict is Verdict.PROMOTE
    bundle = at.registry.versions.bundle(done.challenger)
    layout = bundle.manifest.layout
    assert (layout.categories, layout.missing) == ({"job": JOBS}, ("balance", "job"))
    odd = [(40.0, 1.0, JOBS[0]), (40.0, None, "astronaut"), (40.0, None, None)]
    order = [("age", "balance", "job").index(name) for name in layout.features]
    rows = [tuple(row[place] for place in order) for row in odd]
    probability = bundle.scores(encode(layout, rows))
    assert np.all((probability > 0) & (probability < 1))
    assert probability[1] == probability[2]


def _history(context: StepContext) -> None:
    some, more = bank_rows(300, seed=3), bank_rows(100, seed=4)
    flipped = some[:9].with_columns(
        y=pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    )
    files = {
        "1.csv": FORMS["comma.csv"](some[:200]),
        "2.jsonl.gz": FORMS["c.jsonl.gz"](pl.concat([some[150:], flipped])),
        "3.parquet": FORMS["a.parquet"](more),
        "4.csv": b"what,is,this\n1,2,3\n",
        "5.csv": FORMS["comma.csv"](some[:200]),
        "6.csv": FORMS["semicolon.csv"](more[:3]) + b"old;1;admin;yes\n",
    }
    for name, content in files.items():
        context.landing.drop(name, content)
        take_in(context)


def _table(context: StepContext) -> pl.DataFrame:
    version = context.lake.version()
    assert version is not None
    return pl.read_delta(f"{context.lake.url}/rows", storage_options=dict(context.settings.s3))


def _sorted(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    chosen = rows.drop("batch", "arrived_at", strict=False)
    return chosen.select(sorted(chosen.columns)).sort(pl.all(), nulls_last=True).rows()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
