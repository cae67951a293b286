"""Deduplication where rows have an id: which rows are new, and which correct a row of history.

The id is the identity of a row. The same id with the same content (features and label) is a
duplicate; with other content it is a correction, which replaces the row. Equal features under two
ids are two rows. The lines of a file count one after another, as if each were a delivery of its
own, so that it makes no difference how rows are cut into files: of two lines with one id the later
one corrects the earlier one.

Rows with equal features share a side. A correction keeps the side of the row that it replaces, but
for one case: its new features are those of a row on the other side. Then all rows with these
features train. A row may leave the holdout so; nothing that was ever trained on enters it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from include.records.row_columns import ID, KEYS, LABEL, LINE, SIDE, Side
from include.text.showable import showable_name

MOST_CHANGED = 0.01
"""A delivery in which a larger share of the known ids has other features may have ids anew."""
CONTENT = (*KEYS, LABEL)
_BUCKET = 500_000
"""Rows of a batch per bucket, see `include.stages.dedup`."""
_OF_HISTORY = -1
"""The line of a row of history, which comes before every line of the batch."""
_HISTORY = pl.Schema(
    {ID: pl.String, KEYS[0]: pl.Int64, KEYS[1]: pl.Int64, LABEL: pl.Int8, SIDE: pl.String}
)


@dataclass(frozen=True)
class ChangedIds:
    """How many of the ids that a delivery brings were known, and how many change features."""

    known: int = 0
    """Ids that history holds, or that come more than once in the delivery."""
    changed: int = 0
    """Those of them that come with other features than before; another label does not count."""

    @property
    def is_suspicious(self) -> bool:
        """Whether the ids rather name other things than they did before."""
        return self.changed > MOST_CHANGED * self.known


@dataclass(frozen=True)
class IdentifiedRows:
    """What a batch changes in a table whose rows have ids."""

    frame: pl.DataFrame
    """The rows to write, by line: `line`, `id`, `label`, `key_high`, `key_low`, and `side`, null
    where the split decides."""
    replaced: pl.DataFrame
    """The rows of history that they replace: `id`, `key_high`, `key_low`, `label`, `side`. The id
    is null for a row that had none and gets the id of an equal row."""
    moved: pl.DataFrame
    """The other rows of history that leave the holdout for the train side, with the same columns:
    their features are those of a correction that trains."""
    new: int
    """Ids that history does not have."""
    duplicates: int
    """Rows that say what is known of their id."""
    corrections: int
    """Rows that say something else."""
    ids: ChangedIds


@dataclass(frozen=True)
class _Bucket:
    """What the rows of some ids come to."""

    frame: pl.DataFrame
    replaced: pl.DataFrame
    rows: int
    new: int
    corrections: int
    ids: ChangedIds


def no_history() -> pl.DataFrame:
    """Return the history of a table without rows."""
    return pl.DataFrame(schema=_HISTORY)


def changed_ids_sentence(ids: ChangedIds, column: str) -> str:
    """Return what is suspicious about the ids of a delivery, for its sender."""
    share = ids.changed / ids.known
    return (
        f"{ids.changed:,} of {ids.known:,} known ids in {showable_name(column)} ({share:.1%}) come "
        "with other features than before, more than the 1% that corrections are. Where ids begin "
        f"anew in every file, or {showable_name(column)} names something that has many rows, they "
        "would replace rows of other things"
    )


def dedup_by_id(
    rows: pl.DataFrame, known: pl.DataFrame, trained: pl.DataFrame | None = None
) -> IdentifiedRows:
    """Compare a keyed batch with history, by id.

    `rows` has `line`, `id` (no null), `label`, `key_high` and `key_low` in the order of lines.
    `known` has the last four and `side` of every row of history that shares an id or a key with the
    batch. `trained` has `key_high` and `key_low` of rows that once trained and have been replaced:
    what is equal to them trains as well, as a model may have been fitted on them.

    Example, with features shortened to a key, where history has id a with key 9 and label 1 on the
    train side, and id b with key 8 and label 0 in the holdout::

        line  id  key  label
           2   a    9      1   duplicate
           3   a    8      1   correction: 8 replaces 9 and trains, so b moves to the train side
           4   c    7      0   new, replaced by the next line
           5   c    7      1   correction
    """
    known = _with_ids(rows, known.select(_HISTORY.names()).cast(_HISTORY))
    named = known.filter(pl.col(ID).is_not_null())
    buckets = [_compared(*pair) for pair in _buckets(rows.select(LINE, ID, *CONTENT), named)]
    frame = pl.concat([bucket.frame for bucket in buckets]).sort(LINE)
    replaced = pl.concat([bucket.replaced for bucket in buckets])
    beside = known.join(replaced, on=ID, how="anti", maintain_order="left")
    sides = _sides(frame, replaced, beside, trained)
    frame = frame.join(sides, on=KEYS, how="left", maintain_order="left")
    trains = sides.filter(pl.col(SIDE) == Side.TRAIN)
    moved = beside.filter(pl.col(SIDE) == Side.HOLDOUT).join(trains, on=KEYS, how="semi")
    new, corrections = sum(one.new for one in buckets), sum(one.corrections for one in buckets)
    return IdentifiedRows(
        frame.select(LINE, ID, LABEL, *KEYS, SIDE),
        _as_stored(replaced),
        _as_stored(moved),
        new=new,
        duplicates=rows.height - new - corrections,
        corrections=corrections,
        ids=_all_ids(bucket.ids for bucket in buckets),
    )


def _all_ids(parts: Iterable[ChangedIds]) -> ChangedIds:
    known, changed = zip(*((one.known, one.changed) for one in parts), strict=True)
    return ChangedIds(sum(known), sum(changed))


def _with_ids(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Give rows of history without an id that of the first new row with the same content.

    They are from a time when the spec named no id. Adds `had_id`, false for such a row.
    """
    had_id = known.with_columns(had_id=pl.col(ID).is_not_null())
    nameless = had_id.filter(~pl.col("had_id"))
    if nameless.is_empty():
        return had_id
    firsts = rows.filter(pl.col(ID).is_first_distinct()).join(known, on=ID, how="anti")
    named = firsts.sort(LINE).unique(CONTENT, keep="first").select(ID, *CONTENT)
    single = pl.struct(CONTENT).is_first_distinct()
    found = (
        nameless.filter(single)
        .drop(ID)
        .join(named, on=CONTENT, how="left", maintain_order="left")
        .select(had_id.columns)
    )
    return pl.concat([had_id.filter("had_id"), found, nameless.filter(~single)])


def _buckets(
    rows: pl.DataFrame, known: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Cut both frames by id, so that equal ids stay together."""
    count = 1 + rows.height // _BUCKET
    for bucket in range(count):
        within = pl.col(ID).hash() % count == bucket
        yield (rows, known) if count == 1 else (rows.filter(within), known.filter(within))


def _compared(rows: pl.DataFrame, known: pl.DataFrame) -> _Bucket:
    """Compare each row with what is known of its id when its line is read."""
    history = known.join(rows, on=ID, how="semi")
    if history.is_empty() and rows[ID].n_unique() == rows.height:
        return _Bucket(rows, history, rows.height, new=rows.height, corrections=0, ids=ChangedIds())
    is_again, is_last = pl.col(ID) == pl.col(ID).shift(1), pl.col(ID) != pl.col(ID).shift(-1)
    lines = (
        pl.concat([history.select(pl.lit(_OF_HISTORY, pl.Int64).alias(LINE), ID, *CONTENT), rows])
        .sort(ID, LINE)
        .with_columns(
            is_new=~is_again.fill_null(value=False),
            has_changed=is_again.fill_null(value=False) & _differs(CONTENT),
            has_moved=is_again.fill_null(value=False) & _differs(KEYS),
            is_last=is_last.fill_null(value=True),
        )
    )
    again = lines.filter(~pl.col("is_new"))
    latest = lines.filter(pl.col("is_last") & (pl.col(LINE) != _OF_HISTORY)).select(rows.columns)
    same = latest.join(history.filter("had_id"), on=[ID, *CONTENT], how="semi")
    frame = latest.join(same, on=ID, how="anti")
    return _Bucket(
        frame,
        history.join(frame, on=ID, how="semi"),
        rows.height,
        new=lines.filter(pl.col("is_new") & (pl.col(LINE) != _OF_HISTORY)).height,
        corrections=int(lines["has_changed"].sum()),
        ids=ChangedIds(again[ID].n_unique(), lines.filter("has_moved")[ID].n_unique()),
    )


def _differs(columns: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in columns)


def _sides(
    frame: pl.DataFrame,
    replaced: pl.DataFrame,
    beside: pl.DataFrame,
    trained: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return `key_high`, `key_low` and `side` of the keys of a frame whose side is decided.

    The rows that they replace decide, and rows of history with the same key: one that trains, or
    that trained until this batch replaced it, is enough.
    """
    sided = [*KEYS, SIDE]
    corrections = frame.select(ID, *KEYS).join(replaced.select(ID, SIDE), on=ID, how="inner")
    left = replaced.filter(pl.col(SIDE) == Side.TRAIN)
    votes = [corrections.select(sided), beside.select(sided), left.select(sided)]
    if trained is not None:
        votes.append(trained.select(*KEYS, pl.lit(Side.TRAIN.value).alias(SIDE)))
    asked = pl.concat(votes).join(frame, on=KEYS, how="semi")
    # "train" comes behind "holdout" in the order of letters.
    return asked.group_by(KEYS).agg(pl.col(SIDE).max())


def _as_stored(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of history as the table has them: without an id where they had none."""
    own = pl.when(pl.col("had_id")).then(pl.col(ID))
    return rows.with_columns(own.alias(ID)).select(_HISTORY.names())
