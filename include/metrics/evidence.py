"""What is kept of predictions, so that a decision can be made again without the rows."""

from include.metrics.call_counts import Agreement, CallCounts

Evidence = CallCounts
"""Of one model; a union of all kinds: metrics that counts do not determine add theirs."""
PairedEvidence = Agreement
"""Of two models on the same rows, likewise."""
