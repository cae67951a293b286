"""Follows the model registry: loads the versions that aliases name, and keeps local copies."""
