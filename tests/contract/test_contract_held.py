"""The first batch fixes the contract; later ones are held to it until it is changed on purpose."""

import tomllib
from pathlib import Path

import polars as pl
import pytest

from include.context.step_context import StepContext
from include.errors import ContractError
from tests.contract import bank
from tests.contract.bank import JOBS, bank_at, bank_rows, deliver, ratchet
from tests.contract.pipeline import rows, take_in

pytestmark = pytest.mark.models_in_memory

FIRST = bank_rows(60, seed=1)
MORE = bank_rows(20, seed=2)
ADULTS = "[data.ranges]\nage = [18, 120]\n[[families]]"
SPEC = bank.SPEC.replace("[[families]]", ADULTS)
RANGES = {"age": (18, 120)}


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context whose contract a file has fixed."""
    context = bank_at(tmp_path)
    deliver(context, FIRST.write_csv(), "first.csv")
    return context


def test_the_first_batch_writes_a_contract_that_people_read(context: StepContext) -> None:
    """A TOML file beside the table: kinds, ranges, categories, and who fixed it."""
    path = Path(context.lake.url, "contract.toml")
    found = tomllib.loads(path.read_text())
    assert (found["version"], found["target"], found["positive"]) == (1, "y", "yes")
    assert found["since"].startswith("batch ")
    age, balance, job = found["columns"]
    assert age == {
        "name": "age",
        "kind": "number",
        "missing": False,
        "seen": [FIRST["age"].min(), FIRST["age"].max()],
    }
    assert balance["seen"] == [FIRST["balance"].min(), FIRST["balance"].max()]
    assert (job["kind"], job["missing"], job["categories"]) == ("category", True, list(JOBS))
    assert path.read_bytes() == Path(context.lake.url, "contracts/0001.toml").read_bytes()


def test_a_first_file_that_is_refused_fixes_nothing(tmp_path: Path) -> None:
    """The next one does."""
    context = bank_at(tmp_path)
    bad = FIRST.with_columns(y=pl.lit("maybe"))
    assert "60 of 60 lines are in bad rows" in deliver(context, bad.write_csv(), "bad.csv").note
    assert context.lake.contract() is None
    batch = deliver(context, MORE.drop("id", strict=False).write_csv())
    assert (batch.new, context.lake.require_contract().features) == (20, ("age", "balance", "job"))


def test_a_renamed_column_refuses_the_file(context: StepContext) -> None:
    """The sentence names the column that is missing, and no row is taken in."""
    batch = deliver(context, MORE.rename({"balance": "Balance"}).write_csv())
    assert "no column balance, and the columns Balance are new: if one was renamed" in batch.note
    batch = deliver(context, MORE.drop("age").write_csv())
    assert "1 of 3 feature columns are missing: age" in batch.note
    assert rows(context).height == FIRST.height


def test_a_column_that_may_be_missing_may_be_missing_whole(context: StepContext) -> None:
    """In every row, and that is told."""
    batch = deliver(context, MORE.drop("balance").write_csv())
    # Without it two of these rows are alike.
    assert (batch.new + batch.duplicates, batch.refused) == (20, 0)
    assert rows(context)["balance"].null_count() == batch.new + FIRST["balance"].null_count()


def test_a_retyped_column_refuses_its_rows(context: StepContext) -> None:
    """In Parquet as in CSV each row shows it."""
    texts = MORE.with_columns(balance=pl.lit("much"))
    texts.write_parquet(Path(context.landing.url, "a.parquet"))
    (typed,) = take_in(context).batches
    assert "20 of 20 lines are in bad rows" in typed.note
    assert "20 of 20 lines are in bad rows" in deliver(context, texts.write_csv()).note


def test_extra_columns_are_told_and_ignored(context: StepContext) -> None:
    """The batch names them; the table does not get them."""
    batch = deliver(
        context, MORE.with_columns(pl.lit(1).alias("new"), pl.lit(2).alias("z")).write_csv()
    )
    assert (batch.new, batch.extra) == (20, ("new", "z"))
    assert {"new", "z"}.isdisjoint(rows(context).columns)


def test_values_that_the_first_batch_had_not_are_counted(context: StepContext) -> None:
    """Beyond its range or of a new category: taken in, and told per column."""
    odd = pl.DataFrame(
        {"age": [40, 40, 400], "balance": [1e9, None, 1.0], "job": ["admin", "astronaut", None]}
    )
    batch = deliver(context, odd.with_columns(y=pl.lit("no")).write_csv())
    assert (batch.new, batch.outside) == (3, {"age": 1, "balance": 1, "job": 1})
    assert batch.contract == 1


def test_a_changed_spec_stops_until_the_contract_is_changed(
    context: StepContext, tmp_path: Path
) -> None:
    """The run names the command; the command writes version 2; the waiting file is taken in."""
    changed = bank_at(tmp_path, ranges=RANGES)
    odd = pl.DataFrame({"age": [7, 40, 41], "balance": [1.0, 2.0, 3.0], "job": ["admin"] * 3})
    changed.landing.drop("odd.csv", odd.with_columns(y=pl.lit("no")).write_csv().encode())
    for _ in range(2):
        with pytest.raises(ContractError, match=r"\./ratchet contract bank --change REASON"):
            take_in(changed)
    told = ratchet(tmp_path, "contract", "bank", spec=SPEC).out
    assert told.startswith("# differs from the spec: the accepted range of age is 18 to 120")
    assert not ratchet(tmp_path, "contract", "bank", "--change", "adults only", spec=SPEC).code
    (batch,) = take_in(changed).batches
    assert (batch.contract, batch.new) == (2, 2)
    assert batch.reasons == {"out of the accepted range": 1}
    now, before = (
        tomllib.loads(Path(context.lake.url, f"contracts/000{version}.toml").read_text())
        for version in (2, 1)
    )
    assert (now["version"], now["since"]) == (2, "adults only")
    assert before["version"] == 1
    assert now["columns"][1:] == before["columns"][1:]


def test_a_change_that_all_keys_rest_on_is_refused(context: StepContext, tmp_path: Path) -> None:
    """Leaving out a feature is another table: exit code 1, a sentence, and the contract stands."""
    spec = SPEC.replace("[data.ranges]", 'exclude = ["job"]\n[data.ranges]')
    said = ratchet(tmp_path, "contract", "bank", "--change", "x", spec=spec)
    assert said.code == 1
    assert "column job is no feature any more" in said.err
    assert context.lake.require_contract().version == 1


def test_a_file_with_too_many_bad_rows_is_refused_whole(tmp_path: Path) -> None:
    """The share is the spec's; at the share itself the good rows are taken."""
    bad = MORE.with_columns(y=pl.when(pl.int_range(20) < 5).then(pl.lit("maybe")).otherwise("y"))
    context = bank_at(tmp_path, max_refused_share=0.25)
    assert deliver(context, bad.write_csv()).new == 15
    strict = bank_at(tmp_path, max_refused_share=0.2)
    worse = bad.with_columns(age=pl.col("age") + 1)
    note = deliver(strict, worse.write_csv()).note
    assert "5 of 20 lines are in bad rows, more than the share of 0.2" in note
    assert rows(context).height == 15


@pytest.mark.parametrize("conflicts", ["quarantine", "keep"])
def test_the_same_features_with_another_label(tmp_path: Path, conflicts: str) -> None:
    """In quarantine by default; kept, both labels stand on the same side."""
    context = bank_at(tmp_path, conflicts=conflicts)
    deliver(context, FIRST.write_csv(), "first.csv")
    other = {"yes": "no", "no": "yes"}
    flipped = FIRST.with_columns(y=pl.col("y").replace_strict(other))
    kept = deliver(context, pl.concat([flipped, MORE]).write_csv())
    again = deliver(context, pl.concat([flipped, FIRST]).write_csv(), "again.csv")
    pairs = rows(context).group_by("key_high", "key_low").agg("label", "side")
    assert pairs["side"].list.n_unique().to_list() == [1] * 80
    if conflicts == "keep":
        assert (kept.new, kept.refused, again.duplicates) == (80, 0, 120)
        assert pairs.filter(pl.col("label").list.n_unique() == 2).height == 60
    else:
        why = {"the same features are known with another label": 60}
        assert (kept.new, kept.reasons, again.reasons) == (20, why, why)
        assert again.duplicates == 60
