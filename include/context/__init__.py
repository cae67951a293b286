"""The context of a step: its spec, the settings, and the adapters that it reads and writes with."""
