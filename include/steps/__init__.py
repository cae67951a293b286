"""The pipeline, a file a verb."""
