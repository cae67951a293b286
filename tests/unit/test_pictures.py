import numpy as np

from include.metrics.predictions import ThresholdedProbability
from include.reports.pictures import draw
from tests.judged import BY_F1

RNG = np.random.default_rng(5)
Y = (RNG.random(400) < 0.2).astype(np.int8)
CHALLENGER = ThresholdedProbability(np.clip(0.3 * Y + RNG.random(400) * 0.7, 0, 1), 0.45)


def test_there_are_four_pictures_with_a_line_for_each_contender() -> None:
    """Both contenders stand in the same frame, named."""
    figures = draw(
        Y,
        {"challenger": CHALLENGER, "champion": ThresholdedProbability(RNG.random(400), 0.5)},
        BY_F1,
    )
    assert set(figures) == {"roc", "precision_recall", "calibration", "f1_by_threshold"}
    for figure in figures.values():
        (axes,) = figure.axes
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["challenger", "champion"]
        assert axes.get_title()
        assert axes.get_xlabel()


def test_a_contender_that_says_the_same_of_every_row_is_drawn_too() -> None:
    """A model without any skill is no error."""
    assert len(draw(Y, {"challenger": ThresholdedProbability(np.full(400, 0.2), 0.2)}, BY_F1)) == 4
