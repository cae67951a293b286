"""What an operator will read when something stops: what happened, to what, and what to do."""

from include.text.showable import showable


def reason_of(error: BaseException) -> str:
    """Return what an error says, without the numbers and quotes that Python puts around it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, KeyError):
        return f"{' '.join(map(str, error.args))} is missing"
    return str(error) or type(error).__name__


def causes(error: BaseException) -> list[BaseException]:
    """Return an exception, its cause or context, the cause of that, and so on."""
    found = [error]
    while (reason := found[-1].__cause__ or found[-1].__context__) is not None:
        found.append(reason)
    return found


class RatchetError(Exception):
    """The root of everything Ratchet raises on purpose."""

    def __init__(self, sentence: str) -> None:
        """`sentence` may quote what came from outside: it is made showable here."""
        super().__init__(showable(sentence))


class SpecError(RatchetError):
    """A model spec cannot be used; the message names the file, the field and the mend."""


class NotOwnerError(SpecError):
    """The registered model that a spec names is another spec's."""

    def __init__(self, spec: str, model: str, owner: str) -> None:
        """`spec` asked for the `model` that the spec `owner` owns."""
        super().__init__(
            f"{spec}.toml: model: {model} belongs to the spec {owner}. Give {spec}.toml a model of "
            f"its own, or hand this one over: ./ratchet transfer {model} --to {spec}"
        )
        self.model, self.owner = model, owner


class ContractError(RatchetError):
    """Spec and contract differ, or the contract cannot be read or changed so."""


class FileRefusedError(RatchetError):
    """A whole file cannot be ingested; it goes to quarantine with this message beside it."""


class BadRowsError(FileRefusedError):
    """A whole file cannot be ingested for what its rows hold; the rows are kept beside it."""


class SuspiciousDeliveryError(FileRefusedError):
    """A whole file waits in quarantine until a person says that its ids are meant so."""


class DeliveryRefusedError(RatchetError):
    """A run took deliveries that were refused whole; the message names each with its reason."""


class NothingToDoError(RatchetError):
    """A step has nothing to work on; the message says why, and what would change that."""


class ChampionMovedError(RatchetError):
    """The champion is no longer the model version that the challenger was judged against."""


class RollBackError(RatchetError):
    """There is no earlier champion to go back to."""


class DataVersionError(RatchetError):
    """A version of the lake's table that a model names cannot be read, or is of another table."""


class DataFileError(RatchetError):
    """A data file of the lake's table is gone, or is not what was written."""


class TableRefusedError(RatchetError):
    """The lake's table has a log that cannot be read, or a commit that is not Ratchet's."""


class UnhealthyError(RatchetError):
    """What a spec's state is made of does not agree; what was found is said already."""


class AdoptionError(RatchetError):
    """A model from elsewhere cannot be adopted; the message says what it lacks."""


class ModelRefusedError(RatchetError):
    """A registered model is not the one that was recorded, so it is not opened."""


class GoneError(RatchetError):
    """What a step needs was deleted in MLflow for good; the message says how to go on without."""


class TakenError(RatchetError):
    """A name in MLflow that a spec needs belongs to something else."""


class RaceResultsMissingError(RatchetError):
    """Fits have to be compared whose results are not stored any more; the message says what to do.

    Only a task of the training pool may fit again.
    """


class EndpointError(RatchetError):
    """The serving process does not answer, or not with the model version it should hold."""


class VersionRefusedError(EndpointError):
    """The serving process says why it cannot hold a model version."""


class AwayError(RatchetError):
    """A place that a command needs does not answer, or not to all that it is asked."""


class FullDiskError(RatchetError):
    """No space is left on a disk; the message says where."""


class DeniedError(RatchetError):
    """The system does not let this user use a file or folder; the message names both."""


class GivenBackError(RatchetError):
    """A new champion did not serve, so that the one before is champion again."""
