"""What a spec and its contract may say, read once and validated: one TOML file a model."""
