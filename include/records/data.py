"""Deliveries, what became of their rows, and the data set that they make up."""

from dataclasses import dataclass, field
from enum import StrEnum

from include.records.refusal_reasons import CONFLICT, RefusalReason
from include.text.showable import showable_name, showable_values

Counts = dict[str, int]


class Fate(StrEnum):
    """What becomes of a file as a whole."""

    GOES_ON = "goes on"
    """Its good rows are taken in."""
    REFUSED = "refused"
    KNOWN = "known"
    """These bytes were taken in before, or came twice in one run."""
    LEFT_ALONE = "left alone"
    """It stands in the landing place and is not taken."""


@dataclass(frozen=True)
class Batch:
    """One delivery on its way into the lake, and what became of its rows."""

    digest: str
    """SHA-256 of its bytes: its identity, whatever the file was called. Empty for what stands in
    the landing place and is left alone."""
    name: str
    """As people are shown it; files keep the bytes of their names."""
    read: int = 0
    """Records in the file, the header aside."""
    refused: int = 0
    """Rows in quarantine, conflicts included."""
    reasons: Counts = field(default_factory=dict)
    """Refused rows per reason."""
    duplicates: int = 0
    """Rows that repeat a row of this file or of all history."""
    new: int = 0
    extra: tuple[str, ...] = ()
    """Columns that the contract does not know, ignored."""
    outside: Counts = field(default_factory=dict)
    """Rows per column beyond the range, or of a category, that the first batch had."""
    contract: int = 0
    """Version of the contract that judged the rows."""
    parts: int = 0
    """Parts that the typed rows are staged in."""
    looked_at: int | None = None
    """Version of the table whose rows were subtracted; None when there was no table."""
    committed: int | None = None
    """Version of the lake's table whose commit holds the new rows."""
    note: str = ""
    """Why the file as a whole was refused or was a no-op."""
    fate: Fate = Fate.GOES_ON
    refused_for: tuple[RefusalReason, ...] = ()
    """Why rows were refused, by column and with the first line, the commonest first; a few."""
    other_reasons: int = 0
    """Reasons beside these."""

    @property
    def conflicts(self) -> int:
        """Refused rows whose features are known with another label."""
        return self.reasons.get(CONFLICT, 0)

    def __post_init__(self) -> None:
        """Make showable what a file and its name say: this is how it leaves the intake."""
        shown = {
            "name": showable_name(self.name),
            "reasons": showable_values(self.reasons),
            "extra": tuple(map(showable_name, self.extra)),
            "outside": showable_values(self.outside),
            "note": showable_name(self.note),
        }
        for name, value in shown.items():
            object.__setattr__(self, name, value)


def in_words(counts: Counts) -> str:
    """Return rows per class for a person: `8 negative, 2 positive`."""
    return ", ".join(f"{rows} {name}" for name, rows in counts.items())


@dataclass(frozen=True)
class Dataset:
    """One version of the lake's table: rows per side and class."""

    version: int
    train: Counts
    """Rows of the train side per class, keyed `negative` and `positive`."""
    holdout: Counts
    grown: int
    """The newest version that brought rows; later ones only tidied the files."""

    def __str__(self) -> str:
        """Say it for a person."""
        train, holdout = in_words(self.train), in_words(self.holdout)
        return f"version {self.version}: train {train}; holdout {holdout}"

    @property
    def rows(self) -> int:
        """All rows of both sides."""
        return self.train_rows + sum(self.holdout.values())

    @property
    def positives(self) -> int:
        """Positive rows of both sides."""
        return self.train["positive"] + self.holdout["positive"]

    @property
    def train_rows(self) -> int:
        """All rows of the train side."""
        return sum(self.train.values())


@dataclass(frozen=True)
class Intake:
    """What a run found in the landing folder, and the data set as it stands after it."""

    batches: tuple[Batch, ...]
    dataset: Dataset | None
    """None while nothing has ever been committed."""
