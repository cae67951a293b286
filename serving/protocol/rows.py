"""Decodes plain rows: objects by feature name, or lists in feature order.

Guarantees, as `tensors` does, a matrix in the model's layout or a refusal, here with a sentence
that names the row and the feature.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.bundle import Layout, encode_column
from serving.protocol import single_keys
from serving.protocol.in_json import COUNTED_BYTES, NESTED_START, commas
from serving.protocol.sentences import clip, listed, nearest_feature, reason, too_many, written
from serving.protocol.slices import shifted, slices
from serving.protocol.usable import Origin, usable
from serving.refusals import RequestRefusedError
from serving.values.spelling import SPELLING, category_form

# How msgspec writes what it stumbled on and where: "... - at `$[2].height`" or "`$[2][0]`".
_PLACE = re.compile(r"(?s)(.*) - at `\$\[(\d+)\](?:\.(.+)|\[(\d+)\])?`")
_ID = "id"
_ID_TYPE: Any = str | int | float | bool | None | msgspec.UnsetType
_UNKNOWN = re.compile(r"(?s)there is no feature `(.*)`")
_WORDS = {
    "Object missing required field": "there is no value for feature",
    "Object contains unknown field": "there is no feature",
    "Expected `array` of at most length": "a row has more values than",
}


@dataclass(frozen=True)
class SentRows:
    """The rows of a request."""

    matrix: NDArray[np.float32]
    """Shape (n, features), C order."""
    ids: tuple[str | None, ...] | None
    """The id of each row, in the form of a category; None where no row has one."""


class RowReader:
    """Reads the rows of requests to one model; make it once, for it compiles a decoder."""

    def __init__(self, layout: Layout) -> None:
        """Prepare for rows of this layout."""
        self._layout = layout
        fields = [
            (f"f{place}", _type(layout, feature)) for place, feature in enumerate(layout.features)
        ]
        names = {f"f{place}": feature for place, feature in enumerate(layout.features)}
        self._has_plain_commas = not (layout.categories or layout.notations) and "," not in "".join(
            layout.features
        )
        self._colons = len(fields) + sum(feature.count(":") for feature in layout.features)
        self._objects = _decoder(fields, rename=names)
        self._lists = _decoder(fields, array_like=True)
        self._id_key, self._identified = b"", self._objects
        if layout.id is not None and layout.id not in layout.features:
            # It is last, so that a row without it is one of features all the same.
            identified: list[Any] = [*fields, (_ID, _ID_TYPE, msgspec.UNSET)]
            self._identified = _decoder(identified, rename=names | {_ID: layout.id})
            self._id_key = msgspec.json.encode(layout.id)

    def read(self, raw: bytes, max_rows: int) -> SentRows:
        """Return rows that are written in JSON.

        Raises RequestRefusedError: 413 for more than `max_rows` rows, 400 unless each row has a
        value of the right kind for every feature and nothing else but, as an object, its id.
        """
        is_list = bool(NESTED_START.match(raw))
        self._require_few(raw, max_rows, is_list=is_list)
        pieces, ids, count = list[NDArray[np.float64]](), list[str | None](), 0
        for piece in slices(raw):
            try:
                rows = self._lists.decode(piece) if is_list else self._decoded(piece)
            except (ValueError, RecursionError) as error:
                problem = shifted(reason(error), count)
                raise self._refusal(_located(problem, self._layout)) from error
            if not rows:
                raise self._refusal("there is no row in `rows`")
            values, named = self._apart(rows)
            if not is_list:
                keys = len(rows) * self._colons + len(rows) - named.count(None)
                self._require_single_keys(piece, keys, count)
            ids += named
            count += len(rows)
            if count > max_rows:
                known = count if len(piece) == len(raw) else f"over {max_rows}"
                raise too_many(known, max_rows)
            pieces.append(self._laid_out(values))
        # Nulls were judged when they were decoded; a category that is not known is NaN as well.
        origin = Origin(self._refusal, datatype="FP64", absent="null")
        features = self._layout.features
        matrix = usable(np.concatenate(pieces).ravel(), features, features, origin)
        return SentRows(matrix, None if ids.count(None) == len(ids) else tuple(ids))

    def _decoded(self, piece: bytes) -> list[Any]:
        """Return the objects of a piece, whose keys may name features as `name_of` allows."""
        has_id = bool(self._id_key) and self._id_key in piece
        decoder = self._identified if has_id else self._objects
        try:
            return decoder.decode(piece)
        except (ValueError, RecursionError):
            # Only then is it worth to look at each key.
            if (named := _with_own_names(piece, self._layout)) is None:
                raise
            return self._identified.decode(named)

    def _apart(self, rows: list[Any]) -> tuple[list[tuple[Any, ...]], list[str | None]]:
        """Return the values of the features of rows, and the id of each where it has one."""
        values = [msgspec.structs.astuple(row) for row in rows]
        if len(values[0]) == len(self._layout.features):
            return values, [None] * len(values)
        return [row[:-1] for row in values], [_id_form(row[-1]) for row in values]

    def _require_single_keys(self, piece: bytes, keys: int, first: int) -> None:
        """Refuse rows in which a key stands twice; `first` is the number of the first row."""
        # Each row has every feature; one more colon is that of a text, or of a key again.
        if piece.count(b":") != keys and (again := single_keys.first_repeated_key(piece)):
            feature, row = again
            raise self._refusal(f"row {first + row}: feature {clip(feature)} stands twice")

    def _require_few(self, raw: bytes, max_rows: int, *, is_list: bool) -> None:
        """Refuse a large body with too many rows before memory is spent on them."""
        # Each value but the last is followed by a comma, and no other commas can be there, but in
        # ids.
        has_plain_commas = self._has_plain_commas and (is_list or not self._id_key)
        if len(raw) > COUNTED_BYTES and has_plain_commas:
            rows = -(-(commas(raw) + 1) // len(self._layout.features))
            if rows > max_rows:
                raise too_many(rows, max_rows)

    def _laid_out(self, rows: list[tuple[Any, ...]]) -> NDArray[np.float64]:
        layout = self._layout
        if layout.categories or layout.notations:
            columns = [
                self._column(feature, column)
                for feature, column in zip(layout.features, zip(*rows, strict=True), strict=True)
            ]
            return np.column_stack(columns)
        return np.array(rows, dtype=np.float64)

    def _column(self, feature: str, values: tuple[Any, ...]) -> NDArray[np.float64]:
        try:
            return encode_column(self._layout, feature, values)
        except ValueError as error:
            raise self._refusal(f"feature {clip(feature)}: {error}") from error

    def _refusal(self, sentence: str) -> RequestRefusedError:
        return RequestRefusedError(400, f"{sentence}. Expected {_expected(self._layout)}.")


def _id_form(value: Any) -> str | None:
    """Return the id of a row in the form of a category, None where it has none."""
    return None if value is None or value is msgspec.UNSET else category_form(value) or None


def _type(layout: Layout, feature: str) -> Any:
    kind: Any = float
    if feature in layout.categories:
        kind = str if layout.spelling < SPELLING else str | int | float | bool
    elif feature in layout.notations:
        kind = str | float | bool if layout.notations[feature].boolean else str | float
    return kind | None if feature in layout.optional else kind


def _decoder(fields: list[tuple[str, Any]], **options: Any) -> msgspec.json.Decoder[list[Any]]:
    row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False, **options)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def _with_own_names(piece: bytes, layout: Layout) -> bytes | None:
    """Return objects with each key as the feature that it names; None where that changes none."""
    try:
        objects = msgspec.json.decode(piece, type=list[dict[str, msgspec.Raw]])
    except (ValueError, RecursionError):  # which the rows are refused for already
        return None
    named = [{layout.column_of(key): value for key, value in one.items()} for one in objects]
    is_new = any(one.keys() != other.keys() for one, other in zip(objects, named, strict=True))
    is_whole = all(len(one) == len(other) for one, other in zip(objects, named, strict=True))
    return msgspec.json.encode(named) if is_new and is_whole else None


def _located(problem: str, layout: Layout) -> str:
    """Return what msgspec says with the row and the feature in front."""
    for theirs, ours in _WORDS.items():
        problem = problem.replace(theirs, ours, 1)
    found = _PLACE.fullmatch(problem)
    if found is None:
        return f"the rows cannot be used: {problem[:200]}"
    what, row, name, place = found.groups()
    unknown = _UNKNOWN.fullmatch(what)
    if unknown:
        what = f"there is no feature `{clip(unknown[1])}`{nearest_feature(unknown[1], layout)}"
    feature = name if place is None else layout.features[int(place)]
    where = f"row {row}" if feature is None else f"row {row}, feature {clip(feature)}"
    return f"{where}: {what[:200]}"


def _expected(layout: Layout) -> str:
    kinds = "a finite number for each"
    if layout.categories:
        kinds = f"a string for {listed(tuple(layout.categories))} and a finite number for any other"
    null = f"; null only in {listed(layout.missing)}" if layout.missing else ""
    return (
        f'"rows": a list of objects with the features {listed(layout.features)}, or of lists of '
        f"{len(layout.features)} values in that order, {kinds}{written(layout)}{null}"
    )
