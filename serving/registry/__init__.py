"""Keeps what is held in step with the registry, and copies on disk for when it is away."""
