"""The form of the Trigger button, and what a run was asked by it."""

from typing import Any

from airflow.sdk import Param, get_current_context
from task_call import SHOWABLE

from include.records.training import NoNewData

FORM = {
    "no_new_data": Param(
        NoNewData.SKIP.value,
        type="string",
        enum=[one.value for one in NoNewData],
        title="When no row is new",
        description="skip: end early. retrain: train again on the rows there are.",
    ),
    "force": Param(
        False,  # noqa: FBT003 - the default of a check box
        type="boolean",
        title="Force the promotion",
        description="Promote the challenger even if it does not beat the champion. "
        "A challenger without skill is rejected all the same. Written into the decision.",
    ),
    "note": Param(
        "",
        type=["null", "string"],
        title="Note",
        description="Why this run was started; kept with the MLflow run and the decision.",
        pattern=SHOWABLE,
    ),
}


def form_of_run() -> dict[str, Any]:
    """Return the fields of the form of the present run by name; an emptied one is left out."""
    params = get_current_context()["params"]
    # A field that was emptied comes as null and means its default.
    return {name: params[name] for name in FORM if params[name] is not None}
