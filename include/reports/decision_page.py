"""The decision page: one self-contained HTML file about a decision, for people.

Everything that came from a person or a model is escaped. Pictures are embedded, so the file can be
mailed, and opened years later.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO

from matplotlib.figure import Figure

from include.metrics import Objective, objective
from include.records.data import Batch
from include.records.judging import Check, Decision, Rival, Scores, SliceScore, Verdict
from include.reports.pictures import draw_gains
from include.text.showable import showable

_COLOURS = {Verdict.PROMOTE: "#1a7f37", Verdict.HOLD: "#9a6700", Verdict.REJECT: "#cf222e"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d1d9e0; }
.verdict { color: #fff; border-radius: .4rem; padding: .1rem .7rem; margin-right: .6rem; }
.reason { font-size: 1.05rem; max-width: 52rem; }
.facts, caption { color: #59636e; text-align: left; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; border-bottom: 1px solid #eaeef2;
         vertical-align: top; }
th { color: #59636e; font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
                       white-space: nowrap; }
.passed { color: #1a7f37; } .failed { color: #cf222e; font-weight: 600; }
.pictures { display: grid; gap: 1rem;
            grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
img { max-width: 100%; }
"""


def render(
    title: str, decision: Decision, pictures: Mapping[str, bytes], batches: Sequence[Batch] = ()
) -> str:
    """Return the decision page as HTML.

    `pictures` are PNG files by name, `batches` the deliveries of its run. A decision without a run,
    such as that on an adopted model, has no batches.
    """
    sections = (
        _head(title, decision),
        _section("Deliveries", _deliveries(batches)),
        _section("Checks", _checks(decision.checks)),
        _section("On the holdout", _scorecards(decision.scores)),
        _section(
            "On its slices", _slices(decision.scores.slices, objective(decision.scores.metric))
        ),
        _section("Chance", _chance(decision)),
        _section("Pictures", _pictures(pictures)),
    )
    name = f"{_html(decision.verdict)}: {_html(title)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _head(title: str, decision: Decision) -> str:
    scores = decision.scores
    version = scores.challenger.model_version
    facts = [f"data version {scores.challenger.data_version}", f"{scores.looks} earlier looks"]
    if decision.smallest_gain is not None:
        metric = objective(scores.metric)
        gain = metric.written(decision.smallest_gain)
        facts.append(f"smallest gain to be seen here about {gain} {metric.title}")
    if decision.forced:
        facts.append("forced")
    note = f"<p>Note: {_html(decision.note)}</p>" if decision.note else ""
    badge = f'<span class="verdict" style="background:{_COLOURS[decision.verdict]}">'
    return (
        f"<h1>{badge}{_html(decision.verdict)}</span>{_html(title)}, version {_html(version)}"
        f'</h1><p class="reason">{_html(_sentence(decision.reason))}</p>'
        f'<p class="facts">{_html(" · ".join(facts))}</p>{note}'
    )


def _deliveries(batches: Sequence[Batch]) -> str:
    rows = (
        (
            _html(batch.name),
            *(f"{count:,}" for count in (batch.read, batch.new, batch.duplicates, batch.conflicts)),
            f"{batch.refused - batch.conflicts:,}",
            _html(batch.note or _reasons(batch.reasons)),
        )
        for batch in batches
    )
    heads = ("file", "rows in", "new", "duplicate", "conflict", "refused", "why")
    return _table(heads, rows, numbers={1, 2, 3, 4, 5}) if batches else ""


def _reasons(counted: Mapping[str, int]) -> str:
    """Return reasons with their numbers of rows, the commonest first."""
    common = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{rows:,} with: {reason}" for reason, rows in common)


def _checks(checks: Sequence[Check]) -> str:
    rows = (
        (
            _mark(check),
            _html(check.name),
            _number(check.value),
            f"{_side(check)} {_number(check.bound)}",
            _html(_sentence(check.sentence)),
        )
        for check in checks
    )
    return _table(("", "check", "value", "bound", "in words"), rows, numbers={2, 3})


def _side(check: Check) -> str:
    """Say on which side of its bound a value has to lie."""
    if check.ceiling:
        return "at most"
    return "at least" if check.inclusive else "over"


def _mark(check: Check) -> str:
    word = "passed" if check.passed else "failed"
    return f'<span class="{word}">{word}</span>'


def _scorecards(scores: Scores) -> str:
    theirs = scores.champion.numbers() if scores.champion else {}
    rows = (
        (_html(name.replace("_", " ")), *_beside(value, theirs.get(name)))
        for name, value in scores.challenger.numbers().items()
    )
    champion = f"champion ({scores.champion.model_version})" if scores.champion else "no champion"
    challenger = f"challenger ({scores.challenger.model_version})"
    return _table(("", challenger, champion, "difference"), rows, numbers={1, 2, 3})


def _slices(slices: Sequence[SliceScore], metric: Objective) -> str:
    rows = (
        (
            _html(part.name),
            f"{part.rows:,}",
            *(f"{count:,}" for count in part.counts.values()),
            *_slice_figures(part, metric),
        )
        for part in slices
    )
    values = (f"{who} {metric.title}" for who in ("challenger", "champion"))
    if not slices:
        return ""
    heads = ("slice", "rows", *slices[0].counts, *values, "difference")
    return _table(heads, rows, numbers={*range(1, len(heads))})


def _slice_figures(part: SliceScore, metric: Objective) -> tuple[str, str, str]:
    """Return both values, or both numbers of mistakes where the metric says nothing of the rows."""
    mistakes = None if part.agreement is None else metric.mistakes(part.agreement)
    if mistakes is None:
        return _beside(part.challenger, part.champion)
    mine, theirs = mistakes.challenger, mistakes.champion
    return f"{mine:,} {mistakes.kind}", f"{theirs:,} {mistakes.kind}", f"{mine - theirs:+,}"


def _chance(decision: Decision) -> str:
    bounds = [check.bound for check in decision.checks if check.name == "beyond_noise"]
    rival = decision.scores.opponent
    if not isinstance(rival, Rival) or not bounds:
        return ""
    metric, evidence = objective(decision.scores.metric), rival.agreement
    if metric.exact(evidence) is not None:
        return ""
    drawn = _image("gains", _png(draw_gains(metric.gains(evidence), bounds[0], metric)))
    caption = (
        f"The gain in {metric.title} on resampled holdouts. {bounds[0]:.1%} of them have to be "
        "above zero: the dashed line, which so many reach, to the right of the solid one."
    )
    return f'{drawn}<p class="facts">{caption}</p>'


def _pictures(pictures: Mapping[str, bytes]) -> str:
    drawn = "".join(_image(name, png) for name, png in pictures.items())
    return f'<div class="pictures">{drawn}</div>' if drawn else ""


def _section(heading: str, content: str) -> str:
    return f"<h2>{heading}</h2>{content}" if content else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[int]) -> str:
    """Return an HTML table; cells are HTML already, heads are text."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="number"' if column in numbers else "" for column in range(len(cells)))
        return "".join(
            f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{line([_html(head) for head in heads], 'th')}</tr>{body}</table>"


def _beside(mine: float, theirs: float | None) -> tuple[str, str, str]:
    if theirs is None:
        return _number(mine), "", ""
    sign = "+" if mine > theirs else ""
    return _number(mine), _number(theirs), f"{sign}{_number(mine - theirs)}"


def _number(value: float) -> str:
    """Return a whole number as it is, any other with four decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"


def _html(words: str) -> str:
    """Return text from a person, a file or a model escaped for HTML."""
    return escape(showable(words))


def _sentence(clauses: str) -> str:
    return f"{clauses[:1].upper()}{clauses[1:].rstrip('.')}."


def _image(name: str, png: bytes) -> str:
    data = b64encode(png).decode()
    return f'<img alt="{_html(name)}" src="data:image/png;base64,{data}">'


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return file.getvalue()
