"""Records of deliveries, of what became of their rows, and of the data set that they make up."""

from dataclasses import dataclass, field
from enum import StrEnum

from include.records.refusal_reasons import ReasonKind, RefusalReason
from include.text.showable import showable_name, showable_values

Counts = dict[str, int]


class Fate(StrEnum):
    """What becomes of a file as a whole."""

    GOES_ON = "goes on"
    """Its good rows are taken in."""
    REFUSED = "refused"
    """None of its rows is taken in."""
    KNOWN = "known"
    """A file with the same bytes was taken in before, or came twice in one run."""
    LEFT_ALONE = "left alone"
    """It stays in the landing place and is not read."""


@dataclass(frozen=True)
class Batch:
    """One delivery on its way into the lake, and what became of its rows."""

    digest: str
    """SHA-256 of its bytes: its identity, whatever the file is called. Empty for what stays in the
    landing place unread."""
    name: str
    """The file's name as people are shown it; the files keep the bytes of their names."""
    read: int = 0
    """Records in the file, without the header."""
    refused: int = 0
    """Rows in quarantine, conflicts included."""
    reasons: Counts = field(default_factory=dict)
    """Refused rows by reason."""
    duplicates: int = 0
    """Rows that repeat a row of this file or of all history."""
    new: int = 0
    """Rows that neither this file nor history had before."""
    corrections: int = 0
    """Rows that say something else than before of the row with their id."""
    rewritten: int = 0
    """Rows of the table in whose place it brings others."""
    extra: tuple[str, ...] = ()
    """Columns that the contract does not have; they are ignored."""
    outside: Counts = field(default_factory=dict)
    """By column, the rows with a number beyond the range, or a category not among those, of the
    first batch."""
    contract: int = 0
    """The version of the contract that the rows were checked against."""
    parts: int = 0
    """Parts in which the typed rows are staged."""
    looked_at: int | None = None
    """The version of the table whose rows were subtracted; None when there was no table."""
    committed: int | None = None
    """The version of the table whose commit holds the new rows; None before the commit."""
    note: str = ""
    """Why the file as a whole was refused or had nothing new."""
    fate: Fate = Fate.GOES_ON
    refused_for: tuple[RefusalReason, ...] = ()
    """The commonest reasons against rows, by column and with the first line; at most MOST_KEPT."""
    other_reasons: int = 0
    """The number of reasons beyond these."""

    @property
    def conflicts(self) -> int:
        """Refused rows whose features are known with another label."""
        return self.reasons.get(ReasonKind.CONFLICT, 0)

    @property
    def changes_table(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.new or self.rewritten)

    def __post_init__(self) -> None:
        """Make the texts that come from a file or its name safe to show."""
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
    """Rows of the holdout per class, keyed as `train`."""
    grown: int
    """The newest version that added rows; later versions only compacted files."""

    def __str__(self) -> str:
        """Return rows per side and class for a person."""
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
    """What a run took from the landing folder, and the data set after it."""

    batches: tuple[Batch, ...]
    dataset: Dataset | None
    """None while nothing has been committed."""


@dataclass(frozen=True)
class MigrationResult:
    """What the migration of a table to the newest format has done."""

    version: int
    """The version that is of the newest format."""
    rows: int
    """All rows of the table."""
    moved: int
    """Rows that left the holdout for the train side, which has a row with the same key now."""
    repeated: int
    """Rows beyond the first with one key on one side."""
