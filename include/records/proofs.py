"""Records of leak proofs: what a model was fitted on, and which rows it is judged on."""

from dataclasses import dataclass

from include.metrics.evidence import Evidence


@dataclass(frozen=True)
class AdoptionGround:
    """What decides on which holdout rows an adopted model is judged."""

    data_version: int
    """The data version at its adoption: it cannot have seen rows that came later."""
    named_rows: int = 0
    """Rows that it was fitted on according to its operator; 0 where none were named."""
    known_share: float = 0.0
    """The share of these rows that are train rows of the table."""
    shared_rows: int = 0
    """How many of these rows are in the holdout."""
    older: Evidence | None = None
    """Of its predictions of holdout rows from before its adoption; None where it is not needed."""
    later: Evidence | None = None
    """Of its predictions of holdout rows since its adoption."""
    problem: str = ""
    """Why the rows that it names cannot be read any more; empty where they can."""


@dataclass(frozen=True)
class LeakProof:
    """Leak proof: whether a model version was fitted on rows that it is scored on."""

    model_version: str
    fitted_rows: int
    """Rows of the data version that it names as the one it was fitted on."""
    shared_rows: int
    """Holdout rows whose features are among them."""
    problem: str = ""
    """Why nothing can be proved, for example when its data version cannot be read any more."""
    waits: bool = False
    """Whether only rows are missing: when they come they will prove it, or disprove it."""
    adopted: AdoptionGround | None = None
    """For a model from elsewhere, what decides the rows it is judged on."""

    def __str__(self) -> str:
        """Return the proof, or what is wrong with it, for a person."""
        return self.problem or (
            f"fitted on {self.fitted_rows} rows, {self.shared_rows} rows of the holdout among them"
        )

    @property
    def holds(self) -> bool:
        """Whether it is proved that the model was fitted on no row of the holdout."""
        return not self.problem and self.shared_rows == 0
