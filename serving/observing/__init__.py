"""Observability of the server: logs, metrics, traces and the request log."""
