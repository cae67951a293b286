"""The Delta table: reads its versions, and verifies their data files."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from include.adapters.lake import checkpoints, row_scans, soundness
from include.adapters.lake.actions import data_files
from include.adapters.lake.checksums import Verifier
from include.adapters.lake.commits import Log, sources
from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.place import Options, for_delta, for_polars
from include.adapters.lake.schemas import (
    OWN_KINDS,
    features,
    format_of,
    optional_kinds,
    read_label,
)
from include.adapters.lake.soundness import LogProblem, damage_sentence, sentence
from include.errors import DataFileError, TableRefusedError
from include.records.row_columns import (
    ARRIVED_AT,
    BATCH,
    LABEL,
    NEWEST_FORMAT,
    SIDE,
    Side,
    TableFormat,
)
from include.store import Store, open_store
from include.store.address import absolute, local_folder
from include.store.units import MIB

KEYS_BYTES = 64 * MIB
"""When only keys are read, data files are verified up to this many bytes in total."""


@dataclass(frozen=True)
class LakeTable:
    """The Delta table of one lake."""

    url: str
    options: Options = field(repr=False)
    scratch: Path = field(repr=False)

    def at(self, version: int | None = None) -> DeltaTable | None:
        """Open a version, by default the newest; None before the first commit.

        Raises TableRefusedError when the log is unreadable or has a commit of another tool.
        """
        if version is None:
            self.require_sound()
        return self.open(version)

    def require_sound(self) -> None:
        """Raise TableRefusedError with what is wrong with the log and what to do."""
        found = self.log_problem()
        if found is not None:
            raise TableRefusedError(sentence(found, self.url, self.spec))

    def log_problem(self) -> LogProblem | None:
        """Return the first problem of the log; None when there is none."""
        return soundness.lasting_problem(self.log)

    def format_problem(self, newest: DeltaTable | None) -> str:
        """Return a sentence about a newest version of an older format, empty when there is none."""
        if newest is None or format_of(newest) is NEWEST_FORMAT:
            return ""
        return (
            f"the table {self.url} is of format {int(format_of(newest))}, as an older release "
            f"wrote it, and this one adds rows to format {int(NEWEST_FORMAT)}. Migrate it, which "
            f"keeps every row and version: ./ratchet migrate {self.spec}"
        )

    def format_at(self, version: int) -> TableFormat:
        """Return the format of a version."""
        return format_of(self.require(version))

    @property
    def spec(self) -> str:
        """The name of the spec whose table it is."""
        return self.url.rstrip("/").split("/")[-2]

    def open(self, version: int | None = None) -> DeltaTable | None:
        """Open a version as `at` does, without checking the log, also with a broken checkpoint."""
        folder = local_folder(self.url)
        if folder is not None and not (folder / checkpoints.LOG_FOLDER).is_dir():
            return None
        try:
            return self._opened(version)
        except DeltaError:
            lake = open_store(self.url.rpartition("/")[0], self.options)
            if not checkpoints.set_aside(lake, version):
                raise
        return self._opened(version)

    def _opened(self, version: int | None) -> DeltaTable | None:
        try:
            return DeltaTable(self.uri, version=version, storage_options=for_delta(self.options))
        except TableNotFoundError:
            if self.log.commits():  # one that is there, and is not to be had
                raise
            return None

    @cached_property
    def log(self) -> Log:
        """The log of the table."""
        return Log(self.store.at(checkpoints.LOG_FOLDER))

    @cached_property
    def store(self) -> Store:
        """The folder of the table."""
        return open_store(self.url, self.options)

    @cached_property
    def _verifier(self) -> Verifier:
        return Verifier(self.store, self.scratch)

    def scan(self, version: int, *sides: Side, keys_alone: bool = False) -> pl.LazyFrame:
        """Return a lazy frame of the rows of some sides of a version.

        The Parquet files are read as the log lists them, because polars' own Delta reader does not
        decode escapes in folder names. Each file is verified first. When only keys are going to be
        read (`keys_alone`), content is verified up to `KEYS_BYTES` only. Raises DataFileError when
        a file is missing or was changed.
        """
        table = self.require(version)
        files = data_files(table).filter(pl.col(SIDE).is_in(sides))
        self.require_whole(files, KEYS_BYTES if keys_alone else None)
        return self._union(table, files)

    def scan_files(self, version: int, side: Side) -> Iterator[tuple[pl.LazyFrame, int]]:
        """Yield each data file of one side of a version with its number of rows, by path."""
        files = data_files(self.require(version)).filter(pl.col(SIDE) == side).sort("path")
        for file in files.iter_slices(1):
            self.require_whole(file)
            yield self._part(side, file[LABEL][0], file), int(file["rows"][0])

    def paths(self, files: pl.DataFrame) -> list[str]:
        """Return the paths or URLs of data files, in the form that polars reads."""
        return [f"{self.uri}/{path}" for path in files["path"]]

    def files(self, schema: pa.Schema) -> DataFiles:
        """Return a writer of the data files of a commit."""
        return DataFiles(schema, local_folder(self.url) or self.scratch)

    def scan_batches(self, version: int, batches: Sequence[str]) -> pl.LazyFrame:
        """Return a lazy frame of the rows of some batches, from the files that may have them."""
        table = self.require(version)
        origin = sources(self.log.commits())
        wanted = {path for path, came in origin.items() if not came.isdisjoint(batches)}
        files = data_files(table).filter(pl.col("path").is_in(wanted))
        self.require_whole(files)
        return self._union(table, files).filter(pl.col(BATCH).is_in(list(batches)))

    def holds_one(self, table: DeltaTable | None, digests: Collection[str]) -> bool:
        """Return whether one of some batches was committed and is whole."""
        commits = {} if table is None else self.log.batches()
        for digest in digests:
            commit = commits.get(digest)
            if table is not None and commit is not None and commit.version <= table.version():
                rows = self.scan_batches(int(table.version()), [digest])
                if row_scans.count(rows) >= self.log.rows()[digest]:
                    return True
        return False

    def damaged_files(self) -> dict[str, frozenset[str]]:
        """Return the newest version's missing or changed data files, with their batches."""
        newest = self.at()
        found = {} if newest is None else self._problems(data_files(newest), None)
        origin = sources(self.log.commits()) if found else {}
        return {path: origin.get(path, frozenset()) for path in found}

    def lacks_files(self, version: int) -> bool:
        """Return whether data files of a version are missing or have another size; reads none."""
        return bool(self._problems(data_files(self.require(version)), 0))

    def require_whole(self, files: pl.DataFrame, most_bytes: int | None = None) -> None:
        """Raise DataFileError when a data file is missing or was changed."""
        problems = self._problems(files, most_bytes)
        if problems:
            raise DataFileError("; ".join(self._damage(*one) for one in problems.items()))

    def _damage(self, path: str, problem: str) -> str:
        batches, newest = sorted(sources(self.log.commits()).get(path, ())), self.at()
        is_named = newest is not None and path in set(data_files(newest)["path"])
        what = f"the data file {self.url}/{path} {problem}"
        return damage_sentence(what, batches, self.spec if is_named else None)

    def _problems(self, files: pl.DataFrame, most_bytes: int | None) -> dict[str, str]:
        return self._verifier.problems(dict(files.select("path", "bytes").iter_rows()), most_bytes)

    def require(self, version: int) -> DeltaTable:
        """Open a version; TableNotFoundError when there is no table."""
        table = self.at(version)
        if table is None:
            raise TableNotFoundError(f"{self.url}: there is no table, so no version {version}")
        return table

    def _union(self, table: DeltaTable, files: pl.DataFrame) -> pl.LazyFrame:
        names = {**features(table), **OWN_KINDS, **optional_kinds(table)}
        parts = files.partition_by(SIDE, LABEL, as_dict=True)
        whole = (self._part(side, label, part) for (side, label), part in parts.items())
        return pl.concat([pl.LazyFrame(schema=names), *(one.select(list(names)) for one in whole)])

    def _part(self, side: str, label: int | None, files: pl.DataFrame) -> pl.LazyFrame:
        """Return the rows of files of one side; of the first format also of one label."""
        rows = pl.scan_parquet(
            self.paths(files),
            storage_options=for_polars(self.options),
            glob=False,
            hive_partitioning=False,
        )
        if label is None:
            return rows.with_columns(read_label(), side=pl.lit(side))
        unknown = pl.lit(None, OWN_KINDS[ARRIVED_AT])
        return rows.with_columns(
            side=pl.lit(side), label=pl.lit(label, pl.Int8), arrived_at=unknown
        )

    @property
    def uri(self) -> str:
        """The table's location for deltalake and polars: a path or s3:// URL, no file:// URL."""
        return absolute(self.url)
