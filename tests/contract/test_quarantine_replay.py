"""What was refused goes back through landing: mended, or judged again by a changed contract."""

import bz2
import csv
import gzip
import io
import os
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.settings import PROJECT
from include.steps import replay as replay_step
from tests import steps
from tests.contract.bank import bank_at, bank_rows, deliver, ratchet
from tests.contract.pipeline import rows, take_in

pytestmark = pytest.mark.models_in_memory

GOOD = bank_rows(20, seed=1)
SPOILT = "old"
MENDED = "33"


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context whose contract a good file has fixed."""
    context = bank_at(tmp_path)
    deliver(context, GOOD.write_csv(), "first.csv")
    return context


def _text(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of which the second has an age that is no number."""
    spoilt = [SPOILT if place == 1 else str(age) for place, age in enumerate(rows["age"])]
    return rows.with_columns(pl.Series("age", spoilt))


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


FORMS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "comma.csv": lambda rows: rows.write_csv().encode(),
    "marked.csv": lambda rows: rows.write_csv(include_bom=True, line_terminator="\r\n").encode(),
    "semicolon.CSV.gz": lambda rows: gzip.compress(rows.write_csv(separator=";").encode()),
    "bz2.csv.bz2": lambda rows: bz2.compress(rows.write_csv(separator="|").encode()),
    "said.csv": lambda rows: b"sep=;\n" + rows.write_csv(separator=";").encode(),
    "rows.zip": lambda rows: _zip("rows.jsonl", rows.write_ndjson().encode()),
    "lines.jsonl": lambda rows: rows.write_ndjson().encode(),
    "lines.ndjson.gz": lambda rows: gzip.compress(rows.write_ndjson().encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mended_row_is_taken_in(context: StepContext, form: str) -> None:
    """`raw` corrected in a copy of rows.csv is committed by the next run, and only that row."""
    more = bank_rows(10, seed=2)
    batch = deliver(context, FORMS[form](_text(more)), form)
    assert (batch.new, batch.reasons) == (9, {"not a number": 1})
    (told,) = replay_step.list_quarantine(context)
    assert (told.digest, told.reason, told.rows) == (batch.digest, "not a number", 1)
    replay_step.replay(context, batch.digest[:8], _mended(context, batch.digest, {SPOILT: MENDED}))
    (replayed,) = take_in(context).batches
    assert (replayed.read, replayed.new, replayed.refused, replayed.note) == (1, 1, 0, "")
    want = more.with_columns(age=pl.when(pl.int_range(10) == 1).then(33).otherwise("age"))
    assert _features(rows(context)) == _features(pl.concat([GOOD, want]))


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16"])
@pytest.mark.parametrize("columns", [None, ("age", "balance", "job", "y")])
def test_a_row_of_an_encoded_file_is_mended(
    tmp_path: Path, encoding: str, columns: tuple[str, ...] | None
) -> None:
    """What is sent again is UTF-8 and says so, with or without a header of its own."""
    context = bank_at(tmp_path, encoding=encoding, columns=columns)
    lines = ["age,balance,job,y", "old,1.5,Z\u00fcrich \u20ac,yes", "40,1,,no", "41,1,,no"]
    text = "".join(f"{line}\n" for line in (lines[1:] if columns else lines))
    batch = deliver(context, text.encode(encoding))
    assert (batch.new, batch.refused) == (2, 1)
    replay_step.replay(context, batch.digest, _mended(context, batch.digest, {SPOILT: MENDED}))
    (replayed,) = take_in(context).batches
    assert (replayed.read, replayed.new, replayed.note) == (1, 1, "")
    assert "Z\u00fcrich \u20ac" in rows(context)["job"].to_list()


def test_a_parquet_row_comes_back_as_a_json_line(context: StepContext) -> None:
    """Its text in quarantine is JSON, so a mended one is replayed as JSON lines."""
    more = bank_rows(10, seed=2)
    spoilt = more.with_columns(
        y=pl.when(pl.int_range(10) == 1).then(pl.lit("maybe")).otherwise("y")
    )
    batch = deliver(context, _parquet(spoilt), "a.PARQUET")
    assert (batch.new, batch.reasons) == (9, {"unknown label": 1})
    mended = _mended(context, batch.digest, {"maybe": more["y"][1]})
    name = replay_step.replay(context, batch.digest, mended)
    assert name.endswith("-a.jsonl")
    assert take_in(context).batches[0].new == 1
    assert _features(rows(context)) == _features(pl.concat([GOOD, more]))


def test_rows_that_span_lines_are_mended_whole(context: StepContext) -> None:
    """A quoted line end is part of a row, in quarantine, in its copy and in the replayed file."""
    lines = ["age,balance,job,y", 'old,1.5,"on two\r\nlines ""so""",yes', "40,1,,no", "41,1,,no"]
    batch = deliver(context, "\n".join(lines) + "\n")
    assert (batch.new, batch.refused) == (2, 1)
    replay_step.replay(context, batch.digest, _mended(context, batch.digest, {SPOILT: MENDED}))
    assert take_in(context).batches[0].new == 1
    assert 'on two\r\nlines "so"' in rows(context)["job"].to_list()


def test_a_row_longer_than_any_field_is_mended(context: StepContext) -> None:
    """The csv module's bound on a field is none on a row."""
    long = "x" * 100_000
    lines = ["age,balance,note,job,y", f"old,1.5,{long},{long},yes", "40,1,,admin,no"]
    batch = deliver(context, "\n".join(lines) + "\n")
    assert replay_step.list_quarantine(context)[0].rows == 1
    replay_step.replay(context, batch.digest, _mended(context, batch.digest, {SPOILT: MENDED}))
    assert take_in(context).batches[0].new == 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_are_judged_again_by_a_changed_contract(tmp_path: Path, form: str) -> None:
    """What may be missing now is committed as it stands in quarantine, nothing mended."""
    strict = bank_at(tmp_path, missing=())
    deliver(strict, GOOD.drop_nulls().write_csv(), "first.csv")
    gap = {
        "csv": "age,balance,job,y\n40,,admin,no\n41,2,admin,no\n",
        "jsonl": '{"age": 40, "job": "admin", "y": "no"}\n'
        '{"age": 41, "balance": 2, "job": "admin", "y": "no"}\n',
    }
    batch = deliver(strict, gap[form], f"gap.{form}")
    assert (batch.new, batch.reasons) == (1, {"missing value": 1})
    assert not ratchet(tmp_path, "contract", "bank", "--change", "balances may be missing").code
    assert not ratchet(tmp_path, "replay", "bank", batch.digest[:10]).code
    (replayed,) = take_in(bank_at(tmp_path)).batches
    assert (replayed.new, replayed.refused, replayed.contract) == (1, 0, 2)
    assert rows(strict)["balance"].null_count() == 1


def test_a_row_is_not_in_quarantine_and_in_the_table(tmp_path: Path) -> None:
    """When a run dies before its commit and the contract is changed, the rows are judged anew."""
    strict = bank_at(tmp_path, missing=())
    deliver(strict, GOOD.drop_nulls().write_csv(), "first.csv")
    strict.landing.drop("gap.csv", b"age,balance,job,y\n40,,admin,no\n41,2,admin,no\n")
    assert steps.dedup(strict, steps.ingest(strict))[0].refused == 1
    assert not ratchet(tmp_path, "contract", "bank", "--change", "balances may be missing").code
    assert [batch.new for batch in take_in(bank_at(tmp_path)).batches] == [2]
    assert replay_step.list_quarantine(strict) == []


def test_a_refused_file_goes_back_when_the_spec_allows_it(tmp_path: Path) -> None:
    """It is taken in as it came, and quarantine holds it no more."""
    strict = bank_at(tmp_path, max_refused_share=0.1)
    deliver(strict, GOOD.write_csv(), "first.csv")
    more = bank_rows(4, seed=2)
    refused = deliver(strict, gzip.compress(_text(more).write_csv().encode()), "bad.csv.gz")
    assert "1 of 4 lines are in bad rows" in refused.note
    lenient = bank_at(tmp_path)
    name = replay_step.replay(lenient, refused.digest[:8])
    (batch,) = take_in(lenient).batches
    assert (batch.digest, batch.name) == (refused.digest, name)
    assert (batch.new, batch.refused) == (3, 1)
    assert [one.rows for one in replay_step.list_quarantine(lenient)] == [1]


def test_a_file_that_is_refused_again_is_back_in_quarantine(context: StepContext) -> None:
    """Its new reason stands, its own name is not buried under old ones, and it is one file."""
    refused = deliver(context, "what,is,this\n1,2,3\n", f"{'n' * 240}.csv")
    for _ in range(2):
        replay_step.replay(context, refused.digest)
        (batch,) = take_in(context).batches
        assert "no target column" in batch.note
    assert batch.name == f"replay-{refused.digest[:12]}-{'n' * 46}.csv"
    assert context.landing.quarantined_digests() == [refused.digest]
    assert context.landing.read_quarantine(refused.digest).name == batch.name


def test_replaying_overwrites_no_file_that_waits(context: StepContext) -> None:
    """Somebody may have dropped a better file under the name of the refused one."""
    refused = deliver(context, "what,is,this\n1,2,3\n", "batch.csv")
    context.landing.drop("batch.csv", bank_rows(5, seed=3).write_csv().encode())
    replay_step.replay(context, refused.digest)
    assert sorted(batch.new for batch in take_in(context).batches) == [0, 5]


def test_rows_mended_one_after_the_other_all_arrive(context: StepContext) -> None:
    """Two replays of one batch before a run are two files, the same one twice is one."""
    bad = "age,balance,job,y\nold,1,admin,no\nnew,2,admin,no\n40,2,admin,no\n41,2,admin,no\n"
    batch = deliver(context, bad)
    first, second = (
        _table([row])
        for row in _rows_of(_mended(context, batch.digest, {"old": "50", "new": "51"}))
    )
    for mended in (first, second, first):
        replay_step.replay(context, batch.digest, mended)
    assert [one.new for one in take_in(context).batches] == [1, 1]
    replay_step.replay(context, batch.digest, first)
    (again,) = take_in(context).batches
    assert (again.new, again.note) == (0, "these bytes were ingested before; nothing to do")


def test_bytes_that_were_no_text_are_not_made_a_category(context: StepContext) -> None:
    """Their stand-in in quarantine is never replayed as if it had been in the file."""
    batch = deliver(context, b"age,balance,job,y\n40,1,Caf\xe9,no\n41,1,admin,no\n42,1,admin,no\n")
    assert (batch.new, batch.refused) == (2, 1)
    said = ratchet(context.settings.home, "replay", "bank", batch.digest)
    assert (said.code, said.out) == (1, "")
    assert "have to be mended" in said.err
    replay_step.replay(context, batch.digest, _mended(context, batch.digest, {r"Caf\xe9": "Café"}))
    assert take_in(context).batches[0].new == 1
    assert set(rows(context)["job"].drop_nulls()) == {*GOOD["job"].drop_nulls(), "Café"}


def test_the_command_lists_and_sends(context: StepContext) -> None:
    """`quarantine` shows digest, rows, date, file and reason; `replay` takes a digest's start."""
    home = context.settings.home
    assert ratchet(home, "quarantine", "bank").out == "nothing waits in quarantine\n"
    batch = deliver(context, _text(bank_rows(10, seed=2)).write_csv())
    (_, line) = ratchet(home, "quarantine", "bank").out.splitlines()
    assert line.startswith(f"{batch.digest[:12]}        1  20")
    assert line.endswith("  batch.csv: not a number in age")
    file = home / "mended.csv"
    file.write_bytes(_mended(context, batch.digest, {SPOILT: MENDED}))
    said = ratchet(home, "replay", "bank", batch.digest[:12], "--rows", str(file))
    assert "the next run judges it again" in said.out
    assert take_in(context).batches[0].new == 1


def test_the_command_is_called_from_anywhere(context: StepContext) -> None:
    """`./ratchet` finds the project and its environment by its own place."""
    home = context.settings.home
    assert "missing" in ratchet(home, "contract", "bank").out
    stated = os.environ | {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(home / "specs")}
    command = [str(PROJECT / "ratchet"), "quarantine", "bank"]
    done = subprocess.run(
        command, cwd=home, env=stated, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing waits in quarantine\n", "")


NO_COPIES: dict[str, tuple[bytes, str]] = {
    "semicolons": (b"line;column;reason;raw\n1;a;b;c\n", "its columns are line;column;reason;raw"),
    "another encoding": ("raw,reason\ncafé,x\n".encode("latin-1"), "comma-separated UTF-8"),
    "nothing": (b"", "no rows of"),
}


@pytest.mark.parametrize("kind", NO_COPIES)
def test_what_is_no_copy_of_the_rows_is_told(context: StepContext, kind: str) -> None:
    """A spreadsheet's own way of saving is answered with the mend, and nothing is dropped."""
    content, sentence = NO_COPIES[kind]
    batch = deliver(context, _text(bank_rows(10, seed=2)).write_csv())
    with pytest.raises(NothingToDoError, match=sentence):
        replay_step.replay(context, batch.digest, content)
    assert take_in(context).batches == ()


def test_mistakes_at_the_command_are_sentences(context: StepContext) -> None:
    """An unknown digest, a file or a spec that is not there: exit code 1 and no traceback."""
    home = context.settings.home
    batch = deliver(context, _text(bank_rows(10, seed=2)).write_csv())
    for words, sentence in {
        ("replay", "bank", "feed"): "no batch in quarantine begins with feed",
        ("replay", "bank", batch.digest, "--rows", "nowhere.csv"): "nowhere.csv cannot be read",
        ("quarantine", "bonk"): "there is no spec bonk in",
    }.items():
        said = ratchet(home, *words)
        assert (said.code, said.out) == (1, "")
        assert sentence in said.err


def test_a_batch_on_its_way_is_let_come_to_its_end(context: StepContext) -> None:
    """Its rows are in quarantine before its file is in the archive."""
    context.landing.write_quarantine("abc", [b"line,column,reason,raw\n2,age,not a number,x\n"])
    with pytest.raises(NothingToDoError, match="still on its way"):
        replay_step.replay(context, "abc")


def _mended(context: StepContext, digest: str, replaced: Mapping[str, str]) -> bytes:
    """Return a copy of a batch's rows.csv with texts in `raw` replaced."""
    found = _rows_of(context.landing.read_quarantine(digest).rows or b"")
    for row in found:
        for old, new in replaced.items():
            row["raw"] = row["raw"].replace(old, new)
    return _table(found)


def _rows_of(table: bytes) -> list[dict[str, str]]:
    return pl.read_csv(table, infer_schema=False).to_dicts()


def _table(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def _features(table: pl.DataFrame) -> list[tuple[object, ...]]:
    chosen = table.select(pl.col("age").cast(pl.Float64), "balance", "job")
    return chosen.sort(pl.all(), nulls_last=True).rows()


@pytest.mark.parametrize("start", ["", "../x", "*", "ABC", "a/b", "."])
def test_a_digest_is_no_path(context: StepContext, start: str) -> None:
    """What is no start of a digest names nothing, even where there is one batch."""
    deliver(context, _text(bank_rows(10, seed=2)).write_csv())
    with pytest.raises(NothingToDoError, match="not the start of a digest"):
        replay_step.replay(context, start)


def test_no_cell_of_the_table_is_run(context: StepContext) -> None:
    """Rows that a spreadsheet would run are marked in the file for people, and come back exact."""
    lines = ["age,balance,job,y", "=cmd()|x,1,admin,no", "-2+3,1,admin,no", "41,2,admin,no"]
    batch = deliver(context, "\n".join([*lines, "42,2,admin,yes", "43,2,admin,yes", ""]))
    table = _rows_of(context.landing.read_quarantine(batch.digest).rows or b"")
    assert [row["raw"] for row in table] == ["'=cmd()|x,1,admin,no", "'-2+3,1,admin,no"]
    name = replay_step.replay(
        context, batch.digest, _mended(context, batch.digest, {"'=cmd()|x": "44"})
    )
    sent = Path(context.landing.url, name).read_text()
    assert sent == "age,balance,job,y\n44,1,admin,no\n-2+3,1,admin,no\n"


def test_rows_are_shown_escaped_and_sent_as_they_came(context: StepContext) -> None:
    """No terminal obeys a row; unmended, its own characters are sent, backslashes too."""
    odd = "old,1,\x1b[2Jx\u202ey,no"
    lines = ["age,balance,job,y", odd, r"new,1,C:\x1b,no", "41,2,admin,no", "42,2,admin,yes"]
    batch = deliver(context, "\n".join([*lines, "43,2,admin,yes", ""]))
    table = context.landing.read_quarantine(batch.digest).rows or b""
    assert b"\x1b" not in table
    assert rb"old,1,\x1b[2Jx\u202ey,no" in table
    name = replay_step.replay(context, batch.digest)
    assert Path(context.landing.url, name).read_text().splitlines() == lines[:3]


def test_a_name_with_a_line_end_begins_no_line_of_its_own(context: StepContext) -> None:
    """Neither that of a file nor of a column: who reads a log line by line would believe it."""
    batch = deliver(context, "a\n1\n", "x\npromoted by root.csv")
    assert r"x\x0apromoted by root.csv: no target" in batch.note
    batch = deliver(context, '"a\npromoted by root",b,a\n1,2,3\n', "y.csv")
    assert r"the header starts a\x0apromoted by root, b" in batch.note
    listed = ratchet(context.settings.home, "quarantine", "bank").out
    assert len(listed.splitlines()) == 3
