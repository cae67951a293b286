"""A table of release 0.1.0 becomes one of format 2: same rows and sides, every version stays."""

import multiprocessing
import os
import signal
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.table_commits import TableCommits
from include.cli.doctor.lake_findings import of_lake
from include.context.intake_context import IntakeContext, intake_context
from include.context.step_context import StepContext, step_context
from include.errors import DataFileError, NothingToDoError, TableRefusedError
from include.records.fitted_keys import FittedKeys
from include.records.row_columns import KEYS, Side, TableFormat
from include.records.training import Form
from include.settings import read_settings
from include.spec.spec_files import read_spec
from include.steps.computed_keys import keyed_by
from include.steps.migrate import migrate
from include.steps.recover import recover
from include.store import Folder, open_store
from tests import steps
from tests.contract.bank import ratchet
from tests.contract.pipeline import drop, stored_rows, take_in
from tests.ledger_in_memory import Ledger
from tests.registry_in_memory import registry_in_memory
from tests.released.first_format import write_first_format
from tests.released.make import ARCHIVE
from tests.seaweed import Bucket

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.contract.test_migrate"])
DOORS = (
    (DataFiles, "add"),
    (DataFiles, "publish"),
    (Folder, "create"),
    (Folder, "write"),
    (Folder, "delete"),
)
"""Every call by which a migration changes something on disk."""
PATIENCE_SECONDS = 120
VALUES = ["age", "income", "plan", "zip", "batch"]


def home_of_0_1_0(folder: Path) -> Path:
    """Unpack what release 0.1.0 left on disk."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def loans_in(home: Path, **variables: str) -> IntakeContext:
    """Return the context of the spec with texts, gaps and an id."""
    own = {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(home / "specs")}
    settings = read_settings(own | variables)
    return intake_context(read_spec(home / "specs" / "loans.toml"), settings)


@pytest.fixture
def loans(tmp_path: Path) -> IntakeContext:
    """Return a context on a table of release 0.1.0 that no other test has seen."""
    return loans_in(home_of_0_1_0(tmp_path))


def files(folder: Path) -> set[Path]:
    """Return the files below a folder."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_same_rows_on_the_same_sides_in_one_commit(loans: IntakeContext) -> None:
    """Every value, side and class is as it was; the keys are the new ones, and the id is known."""
    older, identity = loans.lake.dataset(), loans.lake.identity()
    assert older is not None
    before = pl.read_delta(f"{loans.lake.url}/rows")
    said = list(migrate(loans))
    assert said[-1] == f"{loans.lake.url}/rows is of format 2"
    assert f"version {older.version + 1} has all {older.rows:,} rows" in "".join(said)
    newer = loans.lake.dataset()
    assert newer is not None
    assert (newer.version, newer.grown) == (older.version + 1, older.grown)
    assert (newer.train, newer.holdout) == (older.train, older.holdout)
    assert loans.lake.identity() == identity
    after = stored_rows(loans)
    named = before.with_columns(
        label=pl.when(pl.col("label") == 1).then(pl.lit("positive")).otherwise(pl.lit("negative"))
    )
    columns = [*VALUES, "side", "label"]
    assert after.select(columns).sort(columns).equals(named.select(columns).sort(columns))
    assert after.select(KEYS).n_unique() == after.height
    assert before.join(after, on=KEYS, how="semi").is_empty()
    assert list(migrate(loans)) == [said[-1]]


def test_versions_that_models_name_stay_readable(loans: IntakeContext) -> None:
    """Bit for bit, also when files that only they name would be deleted otherwise."""
    contract = loans.lake.require_contract()
    layout = loans.lake.layout(0, contract)

    def content() -> list[bytes]:
        sides = (loans.lake.matrix(0, side, layout) for side in Side)
        return [array.tobytes() for pair in sides for array in pair]

    before, rows = content(), pl.read_delta(f"{loans.lake.url}/rows", version=1)
    list(migrate(loans))
    loans.lake.compact(keep=[0], grace_hours=0)
    assert content() == before
    assert loans.lake.keys.shared(0, loans.lake.version() or 0, keyed_by(loans)) == (716, 0)
    assert rows.height


def test_what_was_taken_in_before_is_known_after(loans: IntakeContext) -> None:
    """The archived files under other bytes bring nothing new; neither does a narrower type."""
    list(migrate(loans))
    digests = loans.lake.repair.batches()
    assert all(loans.lake.holds(digest) for digest in digests)
    assert loans.lake.sides.digests() == digests
    assert not loans.lake.repair.short()
    arrived = stored_rows(loans).select("batch", "arrived_at").unique()
    assert arrived.height == 3
    assert {loans.lake.sides.arrived_at(digest) for digest in digests} == {*arrived["arrived_at"]}


def test_keys_that_an_adopted_model_brought_before_are_found_after(loans: IntakeContext) -> None:
    """They are of the first format, and so are compared with such keys of today's rows."""
    before = pl.read_delta(f"{loans.lake.url}/rows").filter(side="train")
    brought = FittedKeys(before.select(KEYS).head(100), TableFormat.FIRST)
    list(migrate(loans))
    version = loans.lake.version()
    assert version is not None
    among = partial(loans.lake.keys.among, keyed=keyed_by(loans))
    assert among(brought, version, Side.TRAIN).height == 100
    assert among(brought, version, Side.HOLDOUT).is_empty()
    assert among(FittedKeys(brought.rows), version, Side.TRAIN).is_empty()


def test_a_table_that_lacks_a_file_is_recovered_first(loans: IntakeContext) -> None:
    """The command says so; afterwards the archive brings the rows back into the newer table."""
    next(Path(loans.lake.url, "rows").glob("side=train/label=1/*")).unlink()
    with pytest.raises(DataFileError, match=r"\./ratchet recover loans --yes"):
        list(migrate(loans))
    list(recover(loans, yes=True))
    assert "Migrate it" in loans.lake.format_problem()
    list(migrate(loans))
    whole = step_context(loans.spec, loans.settings)
    take_in(replace(whole, registry=registry_in_memory(Ledger("loans"), "loans-model")))
    rows = stored_rows(loans)
    assert rows["id"].drop_nulls().n_unique() == 900  # those of the batch that came again
    # Release 0.1.0 took six loans with the figures of another for it, or for its contradiction.
    assert rows.height == 2651 + 6
    assert not loans.lake.repair.short()


def test_until_then_a_run_says_what_to_do(
    loans: IntakeContext,
) -> None:
    """In one sentence, as the doctor does; the command does it."""
    problem = loans.lake.format_problem()
    assert "is of format 1" in problem
    assert problem.endswith("./ratchet migrate loans")
    rows = pl.read_delta(f"{loans.lake.url}/rows").head(3)
    with pytest.raises(TableRefusedError, match=r"\./ratchet migrate loans"):
        loans.lake.commit("d" * 64, [rows], loans.lake.version())
    whole = step_context(loans.spec, loans.settings)
    assert [one.words for one in of_lake(whole) if one.is_fault][:1] == [problem]
    said = ratchet(loans.settings.home, "migrate", "loans")
    assert said.code == 0
    assert "is of format 2" in said.out
    assert not loans.lake.format_problem()


@pytest.mark.models_in_memory
def test_no_file_is_claimed_before(context: StepContext) -> None:
    """It waits where it was dropped, and the next run after the migration takes it."""
    write_first_format(context, [_wide(40)])
    drop(context, _wide(10, first=40).drop("side").rename({"label": "class"}), "next.csv")
    with pytest.raises(TableRefusedError, match="Migrate it"):
        steps.ingest(context)
    assert [path.name for path in Path(context.landing.url).glob("*.csv")] == ["next.csv"]
    dataset = context.lake.dataset()
    with pytest.raises(TableRefusedError, match="Migrate it"):
        steps.plan(context, steps.split(context, []), Form(), "manual__1")
    list(migrate(context))
    assert [batch.new for batch in take_in(context).batches] == [10]
    assert dataset is not None


def test_without_a_table_there_is_nothing_to_do(context: StepContext) -> None:
    """The first file makes one of the newest format."""
    with pytest.raises(NothingToDoError, match="has no table yet"):
        list(migrate(context))


def _wide(rows: int, first: int = 0) -> pl.DataFrame:
    """Return rows whose numbers differ in float32, one in four of them held out."""
    number = pl.int_range(first, first + rows, eager=True)
    return pl.DataFrame({"x": 1 + number / 3, "label": number % 2, "c": "a"}).with_columns(
        side=pl.when(number % 4 == 0).then(pl.lit("holdout")).otherwise(pl.lit("train"))
    )


@pytest.mark.models_in_memory
def test_twins_leave_the_holdout_and_are_counted(context: StepContext) -> None:
    """Rows that differ beyond float32 are one row to a model: five held out were train rows."""
    rows = _wide(80)
    finer = rows.filter(side="train").with_columns(pl.col("x") + 1e-12)
    near = finer.head(5).with_columns(side=pl.lit("holdout"))
    write_first_format(context, [rows, pl.concat([near, finer.tail(3)])])
    before = context.lake.dataset()
    assert before is not None
    assert context.lake.keys.shared(1, 1, keyed_by(context))[1] == 5
    said = "\n".join(migrate(context))
    assert "5 rows left the holdout for the train side" in said
    assert "8 rows repeat another row of their side" in said
    after = context.lake.dataset()
    assert after is not None
    assert after.rows == before.rows == 88
    assert sum(before.holdout.values()) - sum(after.holdout.values()) == 5
    shared = context.lake.keys.shared
    assert shared(after.version, after.version, keyed_by(context))[1] == 0
    assert shared(1, after.version, keyed_by(context))[1] == 0
    assert not context.lake.repair.short()


@pytest.mark.models_in_memory
def test_a_feature_that_has_the_name_of_an_own_column(context: StepContext) -> None:
    """A table that cannot be migrated says how its rows come into one of the newest format."""
    write_first_format(context, [_wide(8).with_columns(arrived_at=pl.lit(1.0))])
    with pytest.raises(TableRefusedError, match="has a feature arrived_at"):
        list(migrate(context))


def test_a_table_in_a_bucket(tmp_path: Path, bucket: Bucket) -> None:
    """As on a disk: one commit, the version before it as it was."""
    on_disk = loans_in(home_of_0_1_0(tmp_path))
    store = open_store(f"{bucket.url}/lake", bucket.options)
    lake = tmp_path / "lake"
    for path in sorted(lake.rglob("*")):
        if path.is_file():
            store.put(str(path.relative_to(lake)), path)
    there = loans_in(tmp_path, RATCHET_LAKE=f"{bucket.url}/lake", **bucket.options)
    assert "Migrate it" in there.lake.format_problem()
    list(migrate(there))
    list(migrate(on_disk))
    assert there.lake.dataset() == on_disk.lake.dataset()
    assert there.lake.sides.digests() == on_disk.lake.sides.digests()
    assert there.lake.keys.shared(0, 3, keyed_by(there)) == (716, 0)
    assert list(migrate(there)) == [f"{there.lake.url}/rows is of format 2"]


def test_another_process_commits_meanwhile(
    loans: IntakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written for the older version is thrown away, and nothing of the other's."""
    commit, turns = TableCommits.migrate, iter([True])

    def late(*arguments: Any) -> bool:
        if next(turns, False):
            list(migrate(loans_in(loans.settings.home)))
        return commit(*arguments)

    monkeypatch.setattr(TableCommits, "migrate", late)
    said = list(migrate(loans))
    assert "another process has committed meanwhile: once more from the start" in said
    assert (loans.lake.version(), stored_rows(loans).height) == (3, 2651)
    log = Path(loans.lake.url, "rows", "_delta_log")
    assert {path.name for path in log.iterdir()} == {f"{at:020d}.json" for at in range(4)}


def test_killed_at_every_door(tmp_path: Path) -> None:
    """Killed before and after each write, then run again: the same table, and nothing left over."""
    whole = loans_in(home_of_0_1_0(tmp_path / "whole"))
    list(migrate(whole))
    wanted = _state(whole)
    die_at, code = 0, -1
    while code:
        home = home_of_0_1_0(tmp_path / str(die_at))
        process = FORK.Process(target=_migrate_and_die, args=(home, die_at))
        process.start()
        process.join(PATIENCE_SECONDS)
        code = process.exitcode or 0
        assert code in {0, -signal.SIGKILL}
        context = loans_in(home)
        list(migrate(context))
        assert _state(context) == wanted, f"killed at call {die_at}"
        die_at += 1
    assert die_at > 20


def _state(context: IntakeContext) -> dict[str, Any]:
    table = DeltaTable(f"{context.lake.url}/rows")
    rows = stored_rows(context)
    return {
        "rows": rows.sort(KEYS).rows(),
        "version": table.version(),
        "sides": context.lake.sides.read(context.lake.sides.digests()).sort(KEYS).rows(),
        "beside the archive": sorted(map(str, files(Path(context.lake.url, "archive", ".sides")))),
    }


def _migrate_and_die(home: Path, die_at: int) -> None:
    """Migrate, and kill this process at a call of one of the doors."""
    calls: list[int] = []

    def tick() -> None:
        calls.append(0)
        if len(calls) > die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def mortal(method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            tick()
            result = method(*arguments, **named)
            tick()
            return result

        return called

    patch = pytest.MonkeyPatch()
    for owner, name in DOORS:
        patch.setattr(owner, name, mortal(getattr(owner, name)))
    list(migrate(loans_in(home)))
