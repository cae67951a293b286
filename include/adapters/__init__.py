"""The only doors to disk and network: landing, lake, registry, endpoint."""
