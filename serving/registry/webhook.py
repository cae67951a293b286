"""MLflow's webhook: a hint that an alias moved.

A recent delivery with a valid signature of MLflow makes the server poll the registry at once. Its
content is not used: only polling decides, and a lost delivery costs one pause between polls. The
signature is that of MLflow's `webhooks/delivery.py`, after Standard Webhooks
(https://www.standardwebhooks.com): `v1,` and the base64 of the HMAC-SHA256 over
`id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

import msgspec

from serving.refusals import RequestRefusedError

SIGNATURE = "x-mlflow-signature"
TIMESTAMP = "x-mlflow-timestamp"
DELIVERY = "x-mlflow-delivery-id"
OLDEST_SECONDS = 300.0
_VERSION = "v1,"
_NOT_SIGNED = f"{SIGNATURE} is not the signature of this delivery"
_ENTITY = "model_version_alias"


class _Event(msgspec.Struct):
    entity: str = ""
    action: str = ""


class Webhook:
    """Receives deliveries; without a secret there is no such route."""

    def __init__(
        self, secret: str, poke: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        """`poke` makes the watch poll at once; `clock` returns seconds since 1970."""
        self._secret = secret.encode()
        self._poke = poke
        self._clock = clock

    def expect(self, headers: Mapping[str, str]) -> None:
        """Refuse a delivery by its headers alone, before any of its body is read.

        Raises RequestRefusedError: 404 without a secret, 401 when it cannot be MLflow's.
        """
        if not self._secret:
            raise RequestRefusedError(
                404, "no webhook is listened to: set SERVING_WEBHOOK_SECRET to the webhook's secret"
            )
        if not headers.get(SIGNATURE, "").startswith(_VERSION):
            raise RequestRefusedError(401, _NOT_SIGNED)
        self._require_lately(headers.get(TIMESTAMP, ""))

    def receive(self, headers: Mapping[str, str], body: bytes) -> None:
        """Take one delivery, its header names in lower case.

        Raises RequestRefusedError: 404 without a secret, 401 for a delivery that is not MLflow's
        or not of the last five minutes, 400 for a body that is no event.
        """
        self.expect(headers)
        self._require_signed(headers, body)
        try:
            event = msgspec.json.decode(body, type=_Event)
        except msgspec.DecodeError as error:
            raise RequestRefusedError(400, f"the delivery is no event: {error}") from error
        if event.entity == _ENTITY:
            self._poke()

    def _require_signed(self, headers: Mapping[str, str], body: bytes) -> None:
        said, stamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
        signed = f"{headers.get(DELIVERY, '')}.{stamp}.".encode() + body
        digest = hmac.digest(self._secret, signed, hashlib.sha256)
        expected = _VERSION.encode() + base64.b64encode(digest)
        if not hmac.compare_digest(said.encode(), expected):
            raise RequestRefusedError(401, _NOT_SIGNED)

    def _require_lately(self, stamp: str) -> None:
        if not stamp.isdecimal() or abs(self._clock() - int(stamp)) > OLDEST_SECONDS:
            raise RequestRefusedError(
                401, f"{TIMESTAMP} is no time of the last {OLDEST_SECONDS:.0f} s"
            )
