"""The steps as tasks call them, under one name for tests that walk through many."""

from include.steps.decide import decide
from include.steps.dedup import dedup
from include.steps.fit import fit
from include.steps.ingest import ingest
from include.steps.plan import plan
from include.steps.preflight import preflight
from include.steps.promote import promote
from include.steps.refusals import refusals
from include.steps.report import report
from include.steps.roll_back import roll_back
from include.steps.score import score
from include.steps.select import finalists, run_job, screen, shortlist
from include.steps.serve import serve
from include.steps.split import split

__all__ = [
    "decide",
    "dedup",
    "finalists",
    "fit",
    "ingest",
    "plan",
    "preflight",
    "promote",
    "refusals",
    "report",
    "roll_back",
    "run_job",
    "score",
    "screen",
    "serve",
    "shortlist",
    "split",
]
