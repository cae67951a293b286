"""The page of a decision, read as a browser would: its texts, tables and pictures."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from include.metrics.call_counts import count_agreement
from include.records.data import Batch, Fate
from include.records.judging import Decision, Rival, Scores
from include.records.proofs import LeakProof
from include.records.refusal_reasons import ReasonKind
from include.records.training import Form
from include.reports.decision_page import render
from include.spec.model_spec import Gate
from include.stages.decide import decide
from tests.judged import score, score_slice

RNG = np.random.default_rng(2)
Y = (RNG.random(1000) < 0.2).astype(np.int8)
MINE, THEIRS = (np.clip(shift * Y + RNG.random(1000) * 0.6, 0, 1) for shift in (0.4, 0.3))
HALF = np.arange(1000) < 500
SCORES = Scores(
    score(Y, MINE, 0.5, "2", 7),
    Rival(score(Y, THEIRS, 0.5, "1", 7), count_agreement(Y, MINE >= 0.5, THEIRS >= 0.5)),
    slices=(score_slice("half", Y[HALF], MINE[HALF] >= 0.5, THEIRS[HALF] >= 0.5),),
    proofs=(LeakProof("2", 4000, 0), LeakProof("1", 4000, 0)),
    looks=12,
)
EVIL = "<script>alert('x')</script> & more"
PICTURES = {"roc": b"png of roc", "calibration": b"png of calibration"}


class Browser(HTMLParser):
    """Collects what a person would see, and whatever would be fetched or run."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and what it points to."""
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def decided(scores: Scores = SCORES, note: str = "") -> Decision:
    """Return a decision on these scores."""
    return decide(scores, Form(note=note), Gate())


def test_the_verdict_and_its_reason_stand_on_top() -> None:
    """With the versions, the looks and the smallest gain that could have been seen."""
    decision = decided()
    texts = Browser(render("Pulsars", decision, {})).texts
    top = " ".join(texts[: texts.index("Checks")])
    assert "PROMOTE" in top
    assert decision.reason[1:] in top
    assert "Pulsars, version 2" in top
    assert "12 earlier looks" in top
    assert f"about {decision.smallest_gain:.4f} F1" in top


def test_every_delivery_of_the_run_is_listed() -> None:
    """Rows in, new, duplicate, conflict and refused, with the reasons; whole files with theirs."""
    whole = Batch("e", "<bad>.csv", note="file refused: no target", fate=Fate.REFUSED)
    some = Batch(
        "d", "a.csv", 52, 3, {"not a number": 2, ReasonKind.CONFLICT: 1}, duplicates=4, new=45
    )
    texts = Browser(render("Pulsars", decided(), {}, (some, whole))).texts
    at = texts.index("a.csv")
    why = f"2 with: not a number; 1 with: {ReasonKind.CONFLICT}"
    assert texts[at : at + 7] == ["a.csv", "52", "45", "4", "1", "2", why]
    assert texts[texts.index("<bad>.csv") + 6] == "file refused: no target"
    assert "Deliveries" not in Browser(render("Pulsars", decided(), {})).texts


def test_every_check_scorecard_figure_and_slice_is_listed() -> None:
    """Each with its number, both contenders beside one another."""
    decision = decided()
    texts = Browser(render("Pulsars", decision, {})).texts
    for check in decision.checks:
        assert check.name in texts
        assert f"{check.sentence[1:]}." in " ".join(texts)
    at = texts.index("roc auc")
    mine, theirs = SCORES.challenger.figures["roc_auc"], decision.scores.champion
    assert theirs is not None
    assert texts[at + 1 : at + 3] == [f"{mine:.4f}", f"{theirs.figures['roc_auc']:.4f}"]
    assert texts[texts.index("half") + 1 :][:2] == ["500", str(Y[HALF].sum())]


def test_pictures_are_inside_the_page() -> None:
    """Those it is given and the histogram of gains; nothing is fetched from anywhere."""
    page = Browser(render("Pulsars", decided(), PICTURES))
    assert page.tags.count("img") == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)


@pytest.mark.parametrize("place", ["note", "title", "barred", "slice"])
def test_what_people_write_stays_text(place: str) -> None:
    """A note, a title, a reason or a name that looks like HTML is shown, never run."""
    scores = SCORES
    if place == "barred":
        scores = replace(scores, barred=EVIL)
    if place == "slice":
        scores = replace(scores, slices=(replace(SCORES.slices[0], name=EVIL),))
    decision = decided(scores, EVIL if place == "note" else "")
    page = Browser(render(EVIL if place == "title" else "Pulsars", decision, {EVIL: b""}))
    assert "script" not in page.tags
    assert EVIL in " ".join(page.texts)


def test_a_first_model_has_a_page_too() -> None:
    """Without champion, slices and histogram; a rejected one as well."""
    first = Scores(SCORES.challenger, proofs=SCORES.proofs)
    page = Browser(render("Pulsars", decided(first), {}))
    assert "no champion" in page.texts
    assert "img" not in page.tags
    assert "REJECT" in Browser(render("Pulsars", decided(replace(SCORES, proofs=())), {})).texts


def test_what_cannot_be_shown_is_escaped() -> None:
    """No character turns a line of the page around or is lost on its way into a file."""
    page = render("Title", decided(note="a\0b\u202ec\ud800"), PICTURES)
    assert r"a\x00b\u202ec\ud800" in page
    assert page.encode()


def test_few_calls_that_differ_are_told_in_words() -> None:
    """There is no histogram of resampled holdouts where none was resampled."""
    theirs = MINE.copy()
    theirs[np.flatnonzero((Y == 1) & (MINE >= 0.5))[:6]] = 0.1
    close = replace(
        SCORES,
        opponent=Rival(
            score(Y, theirs, 0.5, "1", 7), count_agreement(Y, MINE >= 0.5, theirs >= 0.5)
        ),
        slices=(),
    )
    page = Browser(render("Pulsars", decided(close), {}))
    assert "img" not in page.tags
    assert "of all ways to swap the two models' calls" in " ".join(page.texts)


def test_a_slice_without_a_positive_row_shows_false_calls() -> None:
    """Every F1 is 0 there; rows of a class have to reach their bound, a metric to beat its own."""
    empty = (Y == 0) & HALF
    mine, theirs = MINE[empty] >= 0.5, THEIRS[empty] >= 0.5
    part = score_slice("empty", Y[empty], mine, theirs)
    texts = Browser(render("Pulsars", decided(replace(SCORES, slices=(part,))), {})).texts
    at = texts.index("empty")
    assert texts[at + 3 : at + 5] == [f"{mine.sum()} false calls", f"{theirs.sum()} false calls"]
    assert texts[texts.index("rows_of_a_class") + 2] == "at least 10"
    assert texts[texts.index("no_skill") + 2].startswith("over 0.")
