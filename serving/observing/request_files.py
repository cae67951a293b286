"""The files of the request log: `MODEL/date=YYYY-MM-DD/VERSION-....parquet`, whole or absent.

A row a row of a request: time, request_id, row (its place in the request), model, version, role,
what was answered (of two classes probability and label), `id` where rows of the model have one, and
a column for each feature, as the model's layout has it: float32, categories as text again, null for
what was missing or unknown. A feature with the name of one of the first columns is called `feature
NAME`.
"""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Layout
from serving.models.holder import LoadedVersion

if TYPE_CHECKING:
    import pyarrow as pa

_ID = "id"
_PART = 500


class RequestRows(Protocol):
    """The rows of a request; see `AskedRows`."""

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Shape (rows, features)."""

    @property
    def ids(self) -> tuple[str | None, ...] | None:
        """The id of each row; None where no row has one."""


class AnsweredRequest(Protocol):
    """What a row is made from; see `Note`."""

    @property
    def held(self) -> LoadedVersion:
        """What answered."""

    @property
    def request_id(self) -> str:
        """The request's id."""

    @property
    def role(self) -> str:
        """The role of what answered."""

    @property
    def time(self) -> float:
        """Seconds since the epoch."""

    @property
    def asked(self) -> RequestRows:
        """The rows that were asked about."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """What the model said; the first axis is the rows."""


def table(notes: Sequence[AnsweredRequest]) -> "pa.Table":
    """Return notes of one opened model as a table, a row a row.

    Made in parts, because one call for all would keep the interpreter from those who answer.
    """
    import pyarrow as pa

    starts = range(0, len(notes), _PART)
    return pa.concat_tables([_part(notes[start : start + _PART]) for start in starts])


def file_name(notes: Sequence[AnsweredRequest]) -> str:
    """Return a name that no other file of this or another server has."""
    first = datetime.fromtimestamp(notes[0].time, UTC)
    held = notes[0].held
    mark = f"{first:%H%M%S}-{os.getpid()}-{secrets.token_hex(6)}"
    return f"{_safe(held.name)}/date={first:%Y-%m-%d}/{_safe(held.version)}-{mark}.parquet"


class LogPlace:
    """A folder, or `s3://BUCKET/PREFIX` with endpoint and credentials from AWS_*."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet; ValueError for an address of another kind."""
        scheme, is_url, rest = url.partition("://")
        rest = rest.strip("/")
        if is_url and (scheme != "s3" or not rest):
            raise ValueError(
                f"SERVING_REQUEST_LOG is '{url}': it must be a folder or s3://BUCKET/PREFIX"
            )
        self._url = url
        self._is_bucket = bool(is_url)
        self._root = rest if is_url else os.path.abspath(url)  # noqa: PTH100 - a text, as pyarrow wants
        self._system: Any = None

    def __str__(self) -> str:
        """Return the address as it was given."""
        return self._url

    def write(self, name: str, rows: "pa.Table") -> None:
        """Write a file whole; OSError and pyarrow's own errors when the place does not take it."""
        import pyarrow as pa
        from pyarrow import parquet

        packed = pa.BufferOutputStream()
        # Numbers hardly repeat: a dictionary of them costs five times the rest and saves nothing.
        texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
        parquet.write_table(rows, packed, compression="zstd", use_dictionary=texts)
        # A reader of the folder takes no file that begins with a dot for data.
        path = f"{self._root}/{name}"
        folder, _, base = path.rpartition("/")
        draft = path if self._is_bucket else f"{folder}/.{base}"
        system = self._connected()
        if not self._is_bucket:
            system.create_dir(folder)
        # An object appears whole when it is closed, a file when it is renamed.
        with system.open_output_stream(draft) as stream:
            stream.write(packed.getvalue())
        if draft != path:
            system.move(draft, path)

    def _connected(self) -> Any:
        if self._system is None:
            self._system = _bucket_system() if self._is_bucket else _folder_system()
        return self._system


def _bucket_system() -> Any:
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        endpoint_override=endpoint.rstrip("/") if endpoint else None,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
        connect_timeout=2.0,
        request_timeout=5.0,
    )


def _folder_system() -> Any:
    from pyarrow import fs

    return fs.LocalFileSystem()


def _part(notes: Sequence[AnsweredRequest]) -> "pa.Table":
    import pyarrow as pa

    held = notes[0].held
    counts = [len(one.scores) for one in notes]
    scores = np.concatenate([one.scores for one in notes])
    stamps = np.array([int(one.time * 1e6) for one in notes], dtype=np.int64)
    every = len(scores)
    columns: dict[str, Any] = {
        "time": pa.array(np.repeat(stamps, counts), pa.timestamp("us", "UTC")),
        "request_id": _repeated([one.request_id for one in notes], counts),
        "row": pa.array(np.concatenate([np.arange(one, dtype=np.int32) for one in counts])),
        "model": _repeated([held.name], [every]),
        "version": _repeated([held.version], [every]),
        "role": _repeated([one.role for one in notes], counts),
    }
    answered = held.bundle.problem.log_columns(held.bundle.manifest, scores)
    columns |= {name: _of_an_answer(values) for name, values in answered.items()}
    layout = held.bundle.manifest.layout
    if layout.id is not None:
        columns[_ID] = pa.array(_ids(notes), pa.string())
    matrix = np.concatenate([one.asked.matrix for one in notes])
    return pa.table(columns | _features(layout, matrix, frozenset(columns)))


def _of_an_answer(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array(values, pa.string() if values.dtype == object else None)


def _ids(notes: Sequence[AnsweredRequest]) -> list[str | None]:
    return [one for note in notes for one in note.asked.ids or (None,) * len(note.scores)]


def _features(layout: Layout, matrix: NDArray[np.float32], taken: frozenset[str]) -> dict[str, Any]:
    return {
        f"feature {name}" if name in taken else name: _column(layout, name, matrix[:, place])
        for place, name in enumerate(layout.features)
    }


def _column(layout: Layout, name: str, values: NDArray[np.float32]) -> Any:
    import pyarrow as pa

    absent = np.isnan(values)
    if name not in layout.categories:
        return pa.array(values, pa.float32(), mask=absent)
    places = pa.array(np.where(absent, 0, values).astype(np.int32), mask=absent)
    known = pa.array(layout.categories[name], pa.string())
    return pa.DictionaryArray.from_arrays(places, known).cast(pa.string())


def _repeated(texts: Sequence[str], counts: Sequence[int]) -> Any:
    import pyarrow as pa

    places = np.repeat(np.arange(len(texts), dtype=np.int32), counts)
    return pa.DictionaryArray.from_arrays(places, pa.array(texts, pa.string())).cast(pa.string())


def _safe(name: str) -> str:
    """Return a file name for any registry name; no name leads out of the place."""
    return quote(name, safe=" ").replace(".", "%2E")
