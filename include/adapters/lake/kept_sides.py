"""Writes down, beside the archive, the sides of the rows of batches that were committed."""

from include.adapters.lake import row_scans
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.sides import Sides
from include.records.row_columns import BATCH, NEWEST_FORMAT


def keep_sides(table: LakeTable, sides: Sides) -> None:
    """Store the sides of the batches that have none stored, as their own commits gave them.

    A later batch may have corrected rows of them since. Keys are those of the newest format, so
    that batches of an older one, or of a version that is gone, are read in the newest version.
    """
    newest, batches = table.at(), table.log.batches()
    lacking = sorted(set(batches) - sides.digests())
    if newest is None:
        return
    for version in sorted({batches[digest].version for digest in lacking}):
        together = [digest for digest in lacking if batches[digest].version == version]
        is_as_it_was = table.format_at(version) is NEWEST_FORMAT and not table.lacks_files(version)
        read = version if is_as_it_was else int(newest.version())
        rows = row_scans.sides(table.scan_batches(read, together))
        by_batch = rows.partition_by(BATCH, as_dict=True)
        for digest in together:
            sides.keep(digest, by_batch.get((digest,), rows.clear()), version)
