"""The log line about a champion move."""

import logging

from include.records.moves import Move

log = logging.getLogger("ratchet")


def log_move(model: str, move: Move) -> Move:
    """Log a move, and return it."""
    log.info(
        "%s: champion %s -> %s (%s, move %d)",
        model,
        move.before,
        move.version,
        move.kind,
        move.number,
    )
    return move
