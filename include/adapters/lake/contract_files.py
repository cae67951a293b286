"""The contract of a spec in its lake: the newest, and every version, twice."""

import logging

from include.errors import ContractError
from include.spec import contract as contracts
from include.spec.contract import Contract
from include.store import Store

log = logging.getLogger("ratchet")
_NEWEST = "contract.toml"
# The second stands beside the files that the table can be made of again: who has them has it.
_VERSIONS, _KEPT_VERSIONS = "contracts", "archive/.contracts"


class ContractFiles:
    """The files of the contract in one lake."""

    def __init__(self, store: Store) -> None:
        """`store` is the spec's folder in the lake."""
        self._store = store

    def newest(self) -> Contract | None:
        """Return the newest contract; None where its file is gone, ContractError if unreadable."""
        try:
            return self._read(self._store.read(_NEWEST))
        except FileNotFoundError:
            return None

    def restored(self) -> Contract | None:
        """Make the newest version the contract again, and return it; None where there is none."""
        for folder in (_VERSIONS, _KEPT_VERSIONS):
            names = [one.name for one in self._store.at(folder).look()]
            if names:
                text = self._store.read(f"{folder}/{max(names)}")
                self._store.write(_NEWEST, text)
                log.warning(
                    "%s/%s was gone: %s of %s is it again",
                    self._store.url,
                    _NEWEST,
                    max(names),
                    folder,
                )
                return self._read(text)
        return None

    def write(self, contract: Contract) -> None:
        """Write a contract under its version number, then as the newest."""
        text = contracts.dumps(contract).encode()
        for folder in (_KEPT_VERSIONS, _VERSIONS):
            self._store.write(f"{folder}/{contract.version:04d}.toml", text)
        self._store.write(_NEWEST, text)

    def absent(self) -> ContractError:
        """Return the error of a lake that needs a contract and has none."""
        return ContractError(
            f"{self._store.url} has no {_NEWEST}: the first batch writes it before its rows. "
            "Drop a file, or bring the file back from contracts/ beside it"
        )

    def _read(self, text: bytes) -> Contract:
        try:
            return contracts.loads(text.decode("utf-8-sig"))
        except (ContractError, UnicodeDecodeError) as error:
            why = str(error) if isinstance(error, ContractError) else "it is no text in UTF-8"
            raise ContractError(
                f"{self._store.url}/{_NEWEST} is not as Ratchet wrote it: {why}. Put it "
                "back from contracts/ beside it, or move it away: where there are rows the newest "
                "of contracts/ is it again"
            ) from error
