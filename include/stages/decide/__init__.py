"""The promotion gate: decides whether a challenger becomes the champion, check by check.

REJECT is about the challenger alone: it is not fit for production, whoever the champion is, and
nothing overrides it. HOLD is about the pair: the challenger is sound, but not better than the
champion beyond what the choice of holdout rows explains by chance, or there is no champion that it
can fairly be compared with. `force` overrides HOLD and is recorded.

Too few holdout rows are a HOLD too: too few of a class, whatever the scores are, or too few since a
model was adopted. In that case force does not override what is missing about the challenger itself.
"""

from include.stages.decide.adopted import counts_everywhere, names_known_rows, reservation
from include.stages.decide.decision import decide
from include.stages.decide.row_counts import LEAST_OF_A_CLASS, in_words, missing
from include.stages.decide.wins import required_win_share

__all__ = [
    "LEAST_OF_A_CLASS",
    "counts_everywhere",
    "decide",
    "in_words",
    "missing",
    "names_known_rows",
    "required_win_share",
    "reservation",
]
