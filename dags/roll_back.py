"""Back to an earlier champion, along the promotions that really happened."""

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, chain, dag, get_current_context
from task_call import PATIENCE, SHOWABLE, call, run_id, stage_task

from include.settings import Settings, read_settings
from include.spec.model_spec import Spec
from include.spec.spec_files import read_specs, spec_path


def roll_back_dag(specs: list[str], settings: Settings) -> DAG:
    """Return the Dag that rolls any of these specs back."""

    @dag(
        dag_id="roll_back",
        dag_display_name="Roll back",
        description="Back to an earlier champion.",
        doc_md=__doc__,
        schedule=None,
        params=_form(specs),
        max_active_runs=1,
        catchup=False,
        default_args=PATIENCE,
        tags=["ratchet"],
    )
    def pipeline() -> None:
        folder = str(settings.specs)
        chain(move(folder), serve(folder))

    return pipeline()


@stage_task()
def move(folder: str) -> Any:
    """Point the champion alias at what was in production so many promotions before.

    The move is recorded with the reason; the same run moves once, however often it is tried.
    """
    form = get_current_context()["params"]
    key = f"run {run_id()} of roll_back"
    asked = {"key": key, "by": run_id(), "steps": form["steps"], "reason": form["reason"]}
    return call("roll_back", _spec_path(folder), asked)


@stage_task()
def serve(folder: str) -> Any:
    """Wait until every replica holds the champion and answers as the pipeline does."""
    return call("serve", _spec_path(folder), None)


def _form(specs: list[str]) -> dict[str, Param]:
    return {
        "spec": Param(specs[0], type="string", enum=specs, title="Spec"),
        "steps": Param(
            1,
            type="integer",
            minimum=1,
            title="Steps back",
            description="How many promotions to go back. What was rolled back before is passed "
            "over.",
        ),
        "reason": Param(
            "",
            type="string",
            minLength=1,
            pattern=SHOWABLE,
            title="Reason",
            description="Why; kept with the move. A model of the same data is not promoted again.",
        ),
    }


def _spec_path(folder: str) -> str:
    return str(spec_path(Path(folder), get_current_context()["params"]["spec"]))


SETTINGS = read_settings()
NAMES = [one.name for one in read_specs(SETTINGS.specs).values() if isinstance(one, Spec)]
if NAMES:
    roll_back_dag(NAMES, SETTINGS)
