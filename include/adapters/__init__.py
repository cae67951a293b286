"""Everything that reads or writes disk and network: landing place, lake, registry, endpoint."""
