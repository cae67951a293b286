"""The landing place: where deliveries wait, are claimed, and end in archive or quarantine.

The place is a folder or a bucket. What waits is read from it alone; the trigger that starts a run
hands no list of files on. A file is claimed by one rename (in a bucket: a copy under a name that is
derived from the object, then a delete) and is never deleted. Every method may be killed at any
instruction and called again, with the same final state.
"""

from include.adapters.landing.claims import never_left_to_a_person
from include.adapters.landing.delivery import Delivery, sha256
from include.adapters.landing.landing import Landing
from include.adapters.landing.quarantine import Quarantine

__all__ = ["Delivery", "Landing", "Quarantine", "never_left_to_a_person", "sha256"]
