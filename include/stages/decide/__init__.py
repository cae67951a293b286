"""Whether a challenger becomes the champion, with every check and its numbers.

REJECT is about the challenger alone: it is not fit for production, whoever the champion is, and
nothing passes it. HOLD is about the pair: the challenger is sound, but not better than the champion
beyond what the choice of holdout rows can do by chance, or there is no champion that it can be
compared with honestly. `force` passes HOLD and is written down.

Too few holdout rows are a HOLD as well: too few of a class, whatever they seem to say, and too few
since a model was adopted. Force does not pass what is missing about the challenger itself then.
"""

from include.stages.decide.adopted import counts_everywhere, names_known_rows, reservation
from include.stages.decide.comparison import FEW_DISAGREEMENTS
from include.stages.decide.decision import promote
from include.stages.decide.resampling import asked, gains
from include.stages.decide.row_counts import LEAST_OF_A_CLASS, missing

__all__ = [
    "FEW_DISAGREEMENTS",
    "LEAST_OF_A_CLASS",
    "asked",
    "counts_everywhere",
    "gains",
    "missing",
    "names_known_rows",
    "promote",
    "reservation",
]
