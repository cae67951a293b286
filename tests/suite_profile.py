"""How far each long test goes: the only place that says what CI leaves to the night.

The variable RATCHET_TEST_PROFILE names a profile and may change figures of it, as in
"nightly,kills=500". Without it the profile is "ci", which is what `make test` runs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

VARIABLE = "RATCHET_TEST_PROFILE"


@dataclass(frozen=True)
class Profile:
    """The figures that a long test asks for."""

    examples: int
    """Examples that Hypothesis draws for a property."""
    kills: int
    """Random instants at which an intake on a folder is killed."""
    kill_stride: int
    """Of the calls to landing and lake on a folder, every how many-th a run is killed at."""
    bucket_outages: int
    """Random instants at which the bucket goes away."""
    bucket_kill_stride: int
    """The same as `kill_stride` with everything in a bucket: each costs two runs over a network."""
    landing_stride: int
    """Of the operations on a landing folder, every how many-th a run dies at."""
    landing_bucket_stride: int
    """The same where the landing place is a bucket."""
    bucket_away_seconds: int
    mlflow_away_seconds: int
    moves: int
    """Moves of the champion under full load."""
    bodies: int
    """Request bodies, and as many model files, that nobody sane sends."""
    schema_examples: int
    """Requests that Schemathesis draws for each path."""
    tries_every_damage: bool
    """Whether a text is damaged at every place, not at some of each kind."""
    is_quiet_machine: bool
    """Whether latencies and costs are held to bounds too, which needs a machine to itself."""


CI = Profile(
    examples=60,
    kills=10,
    kill_stride=16,
    bucket_outages=1,
    bucket_kill_stride=101,
    landing_stride=5,
    landing_bucket_stride=25,
    bucket_away_seconds=2,
    mlflow_away_seconds=5,
    moves=10,
    bodies=3000,
    schema_examples=15,
    tries_every_damage=False,
    is_quiet_machine=False,
)
PROFILES: Mapping[str, Profile] = {
    "fast": replace(CI, examples=15),
    "ci": CI,
    "nightly": Profile(
        examples=600,
        kills=200,
        kill_stride=1,
        bucket_outages=10,
        bucket_kill_stride=19,
        landing_stride=1,
        landing_bucket_stride=5,
        bucket_away_seconds=20,
        mlflow_away_seconds=20,
        moves=100,
        bodies=100_000,
        schema_examples=200,
        tries_every_damage=True,
        is_quiet_machine=True,
    ),
}


def read_profile(variables: Mapping[str, str]) -> Profile:
    """Return the profile that the variable names, with the figures that it changes.

    Raises ValueError for a name, a figure or a number that does not exist.
    """
    name, *changes = (variables.get(VARIABLE) or "ci").split(",")
    if name not in PROFILES:
        raise ValueError(f"{VARIABLE} has no profile {name!r}: {', '.join(PROFILES)}")
    return replace(PROFILES[name], **dict(_change(text) for text in changes))


def _change(text: str) -> tuple[str, Any]:
    name, _, number = text.partition("=")
    known = [field.name for field in fields(Profile)]
    if name not in known or not number.isdecimal():
        raise ValueError(f"{VARIABLE} changes {text!r}; figures are {', '.join(known)}")
    return name, int(number)


PROFILE = read_profile(os.environ)
