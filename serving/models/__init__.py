"""Models in memory: opened and proved, held by name, asked in batches."""
