"""Metrics for Prometheus about the lake, the landing places and the model registry."""
