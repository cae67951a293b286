"""Counts what the target of a delivery holds, and explains labels that are not the two expected."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from include.errors import BadRowsError
from include.formats.parsed_table import RefusedRow
from include.problems.label_rule import ANYTHING_ELSE, Label
from include.records.refusal_reasons import ReasonKind, with_noun
from include.records.row_columns import LABEL
from include.spec.data_spec import Data
from include.text.showable import showable_name
from serving.values.spelling import category_form

_MOST_VALUES = 1_000
"""Distinct values that are counted: a target with more of them is no label."""
_MOST_CLASSES = 20
"""A target with more values than this is taken for a number or a name."""
_MOST_TOLD = 5
"""Values that a message lists at most."""
_LONGEST = 40
"""Characters of a value that a message shows."""
_STRAY_SHARE = 0.01
"""Other values below this share of the rows are taken for slips."""
_HALF = 0.5
_FAR = 0.2
"""A positive share that moved by less may have moved by chance."""
_ENOUGH_ROWS = 20
_AFFIRMED = frozenset({"1", "t", "true", "y", "yes", "pos", "positive"})
"""Values that mean yes, in lower case."""


@dataclass
class LabelTally:
    """Counts of what the target held, over the parts so far."""

    positive: int = 0
    negative: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Rows by value, of values that are neither label and not empty."""
    empty: int = 0
    """Rows in which the target is empty."""
    has_more: bool = False
    """Whether there were more values than are counted."""

    @property
    def known(self) -> int:
        """Rows with one of the two labels."""
        return self.positive + self.negative

    @property
    def positive_share(self) -> float:
        """Share of the positive among the rows with a label; 0 where there is none."""
        return self.positive / self.known if self.known else 0.0

    @property
    def is_slip(self) -> bool:
        """Whether other values are as rare as typing errors."""
        others = self.others.total()
        return others == 1 or others < _STRAY_SHARE * (self.known + others)

    @property
    def is_odd(self) -> bool:
        """Whether the target needs a message: it holds other values, or no value at all."""
        return not self.is_slip if self.others else bool(self.empty and not self.known)

    def add(self, frame: pl.DataFrame, refused: Iterable[RefusedRow]) -> None:
        """Count the good and the refused rows of a part (see `Part`)."""
        positive = int(frame[LABEL].sum() or 0)
        self.positive += positive
        self.negative += frame.height - positive
        for row in refused:
            if row.reason == ReasonKind.UNKNOWN_LABEL:
                self._add_other(_plain(row.cell))

    def _add_other(self, value: str) -> None:
        if not value:
            self.empty += 1
        elif value in self.others or len(self.others) < _MOST_VALUES:
            self.others[value] += 1
        else:
            self.has_more = True


def require_labels(labels: LabelTally) -> None:
    """Raise BadRowsError when the target holds other values than the two labels.

    That is when one label does not occur and other values do, more often than by a slip: with 1 and
    2 where 1 and 0 are expected, all rows that look good would be of one class.
    """
    lacks_one = not (labels.positive and labels.negative)
    if labels.others and lacks_one and not (labels.known and labels.is_slip):
        raise BadRowsError("its labels are not the two that are expected")


def labels_sentence(labels: LabelTally, data: Data, *, is_first: bool) -> str:
    """Say which values the target holds, the commonest first, and how to mend it."""
    if not labels.others and not labels.known:
        return (
            f"The target {data.target} is empty in {with_noun(labels.empty, 'row')}: each needs "
            f"{_toml(data.positive)} (positive) or {_toml(data.negative)} (negative) there"
        )
    if data.negative == ANYTHING_ELSE:
        return _beside_anything_else(labels, data)
    counts = Counter(labels.others)
    negative, positive = data.label_names
    known = {positive: labels.positive, negative: labels.negative}
    counts.update({label: rows for label, rows in known.items() if rows})
    distinct = f"more than {_MOST_VALUES:,}" if labels.has_more else str(len(counts))
    return (
        f"The target {data.target} holds {distinct} value{'s' * (distinct != '1')}, where "
        f"{_toml(data.positive)} (positive) and {_toml(data.negative)} (negative) belong: "
        f"{_with_rows(counts)}. "
        f"{_mend(labels, counts, data, is_first=is_first)}"
    )


def _beside_anything_else(labels: LabelTally, data: Data) -> str:
    """Say which values may be the positive label or no value, where all others are negative."""
    positive = _toml(data.positive)
    return (
        f"The target {data.target} holds {_with_rows(labels.others)}: that may mean {positive} "
        f"(positive), or no value, so it is not taken for one of the others: write {positive} or "
        "another value in the file, or list the negative ones under [data] in the spec, as "
        'negative = ["...", "..."]'
    )


def _with_rows(counts: Counter[str]) -> str:
    listed = [
        f"{value} ({with_noun(rows, 'row')})" for value, rows in counts.most_common(_MOST_TOLD)
    ]
    return ", ".join(listed) + " and more" * (len(counts) > _MOST_TOLD)


def share_sentence(labels: LabelTally, data: Data, share: float | None) -> str:
    """Say that positive and negative look exchanged; empty when they do not.

    `share` is the positive share of the rows that the table holds, None when it holds none.
    """
    own, stands = labels.positive_share, f"{data.target} = {_toml(data.positive)}"
    if share is None:
        if labels.known and not labels.positive:
            return (
                f"no row is positive ({stands}): nothing can be learned until some come. If "
                "another label is the positive one, copy the spec to a new name with `positive` "
                "and `negative` exchanged and drop the file there"
            )
        if own <= _HALF:
            return ""
        return (
            f"{own:.1%} of the rows are positive ({stands}), more than half: positive is what is "
            "looked for and mostly the rarer. If that is the other label, copy the spec to a new "
            "name with `positive` and `negative` exchanged and drop the file there"
        )
    nearer_to_the_other = abs(own - (1 - share)) < abs(own - share) / 2
    if not nearer_to_the_other or abs(own - share) < _FAR or labels.known < _ENOUGH_ROWS:
        return ""
    return (
        f"{own:.1%} of the rows are positive ({stands}), of the rows before it were {share:.1%}: "
        "were the labels of this file exchanged? Ask its sender before you trust the next model"
    )


def _mend(labels: LabelTally, counts: Counter[str], data: Data, *, is_first: bool) -> str:
    if labels.has_more or len(counts) > _MOST_CLASSES:
        return (
            "That is a number or a name and no class: `target` under [data] in the spec has to "
            "name the column with the two classes"
        )
    if not is_first:
        return (
            f"The table was made with positive = {_toml(data.positive)} and negative = "
            f"{_toml(data.negative)}: write the labels of this file so and send it again"
        )
    common, *rarer = (value for value, _ in counts.most_common(2))
    if not rarer:
        return (
            f"Write in the spec under [data] what the two labels are, for example positive = "
            f"{_toml(common)}"
        )
    positive, negative = _sorted_by_sense(rarer[0], common)
    lines = f"positive = {_toml(positive)} and negative = {_toml(negative)}"
    if len(counts) == 2:  # noqa: PLR2004 - two classes
        return f"Write in the spec under [data] which is which, for example {lines}"
    return (
        f"Two classes are learned: write them in the spec under [data], for example {lines}; rows "
        "with another value are refused"
    )


def _sorted_by_sense(rare: str, common: str) -> tuple[str, str]:
    """Return positive and negative: positive is the value that means yes, else the rarer one."""
    says_so = rare.casefold() not in _AFFIRMED and common.casefold() in _AFFIRMED
    return (common, rare) if says_so else (rare, common)


def _plain(cell: str) -> str:
    """Return a value as a message shows it: a whole number without `.0`, a text stripped."""
    text = cell.strip()
    try:
        number = float(text)
    except ValueError:
        return showable_name(text, _LONGEST)
    return str(int(number)) if number.is_integer() else showable_name(text, _LONGEST)


def _toml(value: Label | tuple[Label, ...]) -> str:
    """Return a label as a spec has it: a truth, a whole number, a text in quotes, or a list."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = category_form(value)
    is_whole = text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
    return text if is_whole or isinstance(value, bool) else json.dumps(text, ensure_ascii=False)
