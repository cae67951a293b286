"""The page that Airflow shows of a Dag, in Markdown."""

import re
from urllib.parse import quote

from include.settings import Settings
from include.spec.model_spec import Spec


def documentation(spec: Spec, settings: Settings) -> str:
    """Return the page of a spec: where its files go, which candidates it has, what to look at."""
    families = ", ".join(family.name for family in spec.families)
    return (
        f"## {spec.title}\n{spec.description}\n\n"
        f"- drop files in `{settings.landing_url(spec.name, spec.landing)}`\n"
        f"- candidates: {families}\n"
        f"- registered model and endpoint: `{spec.model}`{_own_page(settings)}\n"
        f"{_in_mlflow(spec, settings)}"
        f"- by itself at `{spec.schedule.cron}` ({spec.schedule.timezone})\n"
    )


def _in_mlflow(spec: Spec, settings: Settings) -> str:
    """Return a line with MLflow's page of the model, none where callers know another address."""
    if settings.registry:
        return ""
    # Without the last part MLflow opens in the mode for generative models.
    page = f"{settings.registry_url}/#/models/{quote(spec.model, safe='')}"
    return f"- versions in MLflow: [{spec.model}]({page}?workflowType=machine_learning)\n"


def _own_page(settings: Settings) -> str:
    """Return a link to the endpoint's page, empty where callers know it by another address."""
    page = f"{settings.serving_url}/docs"
    return "" if settings.endpoint else f", [{page}]({page})"


def as_code(sentence: str) -> str:
    """Return a sentence in Markdown that shows every character of it, as two underscores."""
    fence = "`" * (1 + max(map(len, re.findall("`+", sentence)), default=0))
    return f"{fence} {sentence} {fence}"
