"""What a step is handed: a spec, the settings, and the adapters that it goes through."""
