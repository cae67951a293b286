"""Asks a person to approve a promotion, with Airflow's own human-in-the-loop operator.

The task waits in the state `awaiting_input`, in which it occupies no slot, worker or triggerer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Context
from run_spec import spec_of_run

from include.records.judging import Verdict
from include.spec.model_spec import Spec


class Approval(ApprovalOperator):
    """Asks only when the challenger would be promoted; gives the record `Answer`, else None."""

    template_fields: Sequence[str] = (
        *ApprovalOperator.template_fields,
        "decided",
        "preflight_result",
    )

    def __init__(
        self, *, decided: Any, preflight_result: Any, spec_path: str = "", **options: Any
    ) -> None:
        """`decided` and `preflight_result` are what those steps return.

        With `spec_path` the spec of the run says whether a person is asked at all.
        """
        super().__init__(**options)
        self.decided = decided
        self.preflight_result = preflight_result
        self.spec_path = spec_path

    def execute(self, context: Context) -> Any:
        """Ask and wait, or return None at once when there is nothing to approve."""
        if not (self.decided["verdict"] == Verdict.PROMOTE and self.preflight_result["passed"]):
            return None
        if self.spec_path and not self._spec(context).gate.approval:
            return None
        return super().execute(context)

    def _spec(self, context: Context) -> Spec:
        return spec_of_run(Path(self.spec_path), context["ti"])

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, also a refusal: the next task runs in any case and records it."""
        said = HITLOperator.execute_complete(self, context, event)
        user = said["responded_by_user"] or {}
        return {
            "approved": said["chosen_options"] == [self.APPROVE],
            "by": str(user.get("name") or user.get("id") or "unknown"),
            "at": said["responded_at"].isoformat(timespec="seconds"),
        }
