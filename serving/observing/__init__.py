"""What the server tells of itself: logs, figures, spans and the log of requests."""
