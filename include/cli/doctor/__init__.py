"""`./ratchet doctor`: compares lake, landing place, registry and endpoint; changes nothing.

Each source is read on a thread of its own, with a time limit. A source that cannot be read is
reported, and the others are checked all the same.
"""

from include.cli.doctor.diagnosis import doctor

__all__ = ["doctor"]
