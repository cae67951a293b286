"""A person's word between a decision and the promotion, by Airflow's own approval.

The task waits in the state `awaiting_input`: it holds no slot, no worker and no triggerer.
"""

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Context


class Approval(ApprovalOperator):
    """Asks only when the challenger would be promoted; gives the record `Answer`, else None."""

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "decided", "flown")

    def __init__(self, *, decided: Any, flown: Any, **options: Any) -> None:
        """`decided` is the decision and `flown` the pre-flight, as their steps return them."""
        super().__init__(**options)
        self.decided = decided
        self.flown = flown

    def execute(self, context: Context) -> Any:
        """Ask and wait, or go on without a word when there is nothing to approve."""
        if self.decided["verdict"] == "PROMOTE" and self.flown["passed"]:
            return super().execute(context)
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; a refusal is written down by the next task, so that is not skipped."""
        said = HITLOperator.execute_complete(self, context, event)
        user = said["responded_by_user"] or {}
        return {
            "approved": said["chosen_options"] == [self.APPROVE],
            "by": str(user.get("name") or user.get("id") or "unknown"),
            "at": said["responded_at"].isoformat(timespec="seconds"),
        }
