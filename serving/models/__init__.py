"""Models in memory: loaded and tried, held by name and role, and called in batches."""
