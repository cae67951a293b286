"""A client of the inference server: the Open Inference Protocol (V2) over HTTP.

A host name may resolve to several addresses, as that of a service with replicas does. Every replica
is asked under its own address, because each follows the registry by itself.
"""

from include.adapters.endpoint.endpoint import Endpoint
from include.adapters.endpoint.replica import Replica, ReplicaAnswer
from include.adapters.endpoint.replica_state import (
    ReplicaState,
    WantedVersion,
)

__all__ = [
    "Endpoint",
    "Replica",
    "ReplicaAnswer",
    "ReplicaState",
    "WantedVersion",
]
