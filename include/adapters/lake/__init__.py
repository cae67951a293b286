"""The lake: one Delta table of rows per model, the ledger of data, on a folder or a bucket.

A batch is one atomic commit that carries the batch digest as its application transaction id, so a
repeated commit is recognised; the table's version is the data set's version, and any version that
a model names can be read back, bit for bit, whatever was tidied since.
"""

from include.adapters.lake.compaction import Compaction
from include.adapters.lake.lake import Lake
from include.adapters.lake.lake_watch import LakeWatch

__all__ = ["Compaction", "Lake", "LakeWatch"]
