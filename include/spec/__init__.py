"""Specs, one TOML file a model, read and validated, and the contract of their deliveries."""
