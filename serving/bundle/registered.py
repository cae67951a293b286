"""What training writes into the registry and the server reads there: files, tags and aliases."""

from enum import StrEnum

MODEL_FILE, MANIFEST_FILE = "model.joblib", "bundle.json"
"""The two files of a bundle."""
SPEC_TAG = "ratchet.spec"
"""Tag of a registered model that the server follows: the name of its spec."""
DIGEST_TAG = "ratchet.digest"
"""Tag of a model version: the digest of its manifest, which is checked before it is read."""


class Role(StrEnum):
    """What a version is loaded for; the values are the registry's aliases."""

    CHAMPION = "champion"
    """Answers."""
    CHALLENGER = "challenger"
    """Answers only when asked for by its number, before it may become champion."""
    CANARY = "canary"
    """Gets a share of the champion's requests."""
    SHADOW = "shadow"
    """Gets a copy of the requests; its answers are compared and not sent to callers."""
