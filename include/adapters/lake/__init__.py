"""The lake: one Delta table of rows for each model, in a folder or a bucket.

A batch is one atomic commit that carries the batch digest as its application transaction id, so a
repeated commit is recognised. The table's version is the data version. Every version that a model
was fitted on can be read again, bit for bit, also after small files have been merged.
"""

from include.adapters.lake.compaction import Compaction
from include.adapters.lake.lake import Lake
from include.adapters.lake.lake_watch import LakeWatch
from include.adapters.lake.migration import Migration

__all__ = ["Compaction", "Lake", "LakeWatch", "Migration"]
