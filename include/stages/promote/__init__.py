"""Whether a challenger becomes the champion, with every check and its numbers.

REJECT is about the challenger alone: it is not fit for production, whoever the champion is, and
nothing passes it. HOLD is about the pair: the challenger is sound, but not better than the champion
beyond what the choice of holdout rows can do by chance, or there is no champion that it can be
compared with honestly. `force` passes HOLD and is written down.

Too few holdout rows of a class are a HOLD as well, whatever they seem to say; only what such rows
say against a challenger is not passed by force.
"""

from include.stages.promote.comparison import FEW_DISAGREEMENTS
from include.stages.promote.decision import promote
from include.stages.promote.fitness import LEAST_OF_A_CLASS
from include.stages.promote.resampling import asked, gains

__all__ = ["FEW_DISAGREEMENTS", "LEAST_OF_A_CLASS", "asked", "gains", "promote"]
