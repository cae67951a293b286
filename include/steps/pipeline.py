"""The pipeline, read top to bottom: one function a stage, each reads, calls its pure stage, writes.

A step may be killed at any instruction and run again: what it wrote is whole or absent, and what it
recorded is found again by the run that recorded it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from include.adapters import landing
from include.adapters.registry import BATCHES
from include.context.step_context import StepContext
from include.errors import (
    ChampionMovedError,
    DeliveryRefusedError,
    EndpointError,
    NothingToDoError,
)
from include.records.moves import Answer, Move, RollBack
from include.records.records import (
    Batch,
    Decision,
    Fate,
    Form,
    Heat,
    Intake,
    ModelVersion,
    Plan,
    Preflight,
    Scores,
    Served,
    Trial,
    Verdict,
)
from include.reports import decision_page
from include.reports import run_report as report_stage
from include.reports.account import Account, Told, told
from include.settings import code_version
from include.spec.contract import require_slices
from include.stages import decide as decide_stage
from include.steps import fit as fit_step
from include.steps import intake as intake_step
from include.steps import lost_batches as lost_batches_step
from include.steps import plan as plan_step
from include.steps import preflight as preflight_step
from include.steps import promote as promote_step
from include.steps import score as score_step
from include.steps import score_on_arrival as score_on_arrival_step
from include.steps import select as select_step
from include.text.showable import LONGEST
from serving.bundle import libraries

log = logging.getLogger("ratchet")
JUDGEMENTS = 5
"""How often a challenger is judged when the champion keeps moving."""


def ingest(
    context: StepContext, dag_run: str = "", is_stopped: Callable[[str], bool] = landing.never
) -> list[Batch]:
    """Claim what waits in the landing place and type its rows; bad ones are refused.

    What stands there and is no file that can be taken is named, and stops nothing. A file that a
    run had taken which `is_stopped` stays where it is, and is named too. Raises NotOwnerError
    before a file is claimed for a spec whose model is another's, unless MLflow is away: `plan`
    looks again.
    """
    context.registry.require_own(context.registry.owner_if_told())
    batches: list[Batch] = []
    for delivery in lost_batches_step.in_order(context, context.landing.claim(dag_run, is_stopped)):
        if any(batch.digest == delivery.digest and not batch.note for batch in batches):
            batches.append(intake_step.twin(delivery))
        else:
            batches.append(intake_step.ingest_delivery(context, delivery))
    batches += intake_step.left_alone(context)
    if not batches:
        log.info("nothing is waiting in %s", context.landing.url)
    return batches


def dedup(context: StepContext, batches: Sequence[Batch]) -> list[Batch]:
    """Subtract all history from each batch."""
    return [batch if batch.note else intake_step.dedup_batch(context, batch) for batch in batches]


def split(context: StepContext, batches: Sequence[Batch]) -> Intake:
    """Give every new row its side for good, commit batch by batch, archive the files.

    A batch is first subtracted from those of this run that were committed before it.
    """
    done = tuple(
        batch if batch.note else intake_step.split_batch(context, batch) for batch in batches
    )
    if context.lake.is_crowded():
        log.info("tidied: %s", context.lake.compact(context.registry.data_versions()))
    dataset = context.lake.dataset()
    log.info("data set: %s", dataset or "no row has ever been committed")
    return Intake(done, dataset)


def refusals(context: StepContext, taken_in: Intake) -> list[Batch]:
    """Raise DeliveryRefusedError when a delivery was refused whole; return those that lost rows.

    Nothing waits for this: what else came is trained on.
    """
    refused = [batch for batch in taken_in.batches if batch.fate is Fate.REFUSED]
    if refused:
        raise DeliveryRefusedError(" ".join(map(told, refused)))
    log.info("no delivery of %s was refused whole", context.spec.name)
    return [batch for batch in taken_in.batches if batch.refused]


def plan(context: StepContext, taken_in: Intake, form: Form, dag_run: str) -> Plan:
    """Open the MLflow run of this training, or say why there is nothing to train."""
    context.registry.require_owner()
    score_on_arrival_step.score_arrivals(context, taken_in.batches)
    dataset = plan_step.require_trainable(context.spec, taken_in)
    require_slices(context.lake.require_contract(), context.spec)
    decided = context.registry.decided_data_version(dag_run)
    if form.no_new_data == "skip" and decided is not None and decided >= dataset.grown:
        raise NothingToDoError(
            f"no row is new since data version {decided}, on which a run has decided. "
            f"{plan_step.noted(taken_in)}To train all the same, trigger the Dag with 'no_new_data' "
            "set to 'retrain'"
        )
    tags = {"ratchet.code": code_version(context.settings), "ratchet.note": form.note}
    tags |= {f"ratchet.library.{name}": installed for name, installed in libraries().items()}
    run_id = context.registry.open_run(dag_run, dataset.version, tags)
    context.registry.log(run_id, metrics=plan_step.totals(dataset, taken_in.batches))
    log.info("MLflow run: %s", context.registry.page(run_id))
    log.info("all trainings: %s", context.registry.trainings_page())
    context.registry.log_dataset(run_id, context.lake.url, dataset.version)
    context.registry.log_table(run_id, BATCHES, [asdict(batch) for batch in taken_in.batches])
    plan = Plan(run_id, dataset)
    # Lays the train side out before many tasks ask for it at once.
    select_step.enter(context, plan).board.clear_others()
    return plan


def screen(context: StepContext, plan: Plan, family_name: str) -> list[Trial]:
    """Judge every candidate of a family on small parts of the train side."""
    trials = select_step.screen(select_step.enter(context, plan), family_name)
    return [replace(one, run_id=context.registry.log_trial(plan.run_id, one)) for one in trials]


def shortlist(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop the clearly beaten; who is left meets in a semifinal where the rows are many."""
    field = select_step.shortlist(select_step.enter(context, plan), screened)
    return list(field.heats)


def finalists(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop who was clearly beaten in the semifinal; who is left runs over all train rows."""
    field = select_step.finalists(select_step.enter(context, plan), screened)
    return list(field.heats)


def heat(context: StepContext, plan: Plan, heat: Heat) -> Heat:
    """Run candidates over their folds; a repeated heat finds what it has done."""
    return select_step.run(select_step.enter(context, plan), heat)


def fit(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> ModelVersion:
    """Fit the winner of the race on the whole train side and register it as a model version."""
    ran = select_step.enter(context, plan)
    version = context.registry.registered(plan.run_id) or fit_step.fitted(
        context, plan, ran, screened
    )
    ran.board.clear()
    return version


def score(context: StepContext, plan: Plan, challenger: ModelVersion) -> Scores:
    """Score challenger and champion on the same holdout rows, now."""
    return score_step.score_contenders(context, plan, challenger)


def decide(
    context: StepContext, scores: Scores, form: Form, flown: Preflight | None = None
) -> Decision:
    """Decide on a challenger; nothing moves by it."""
    decision = decide_stage.promote(scores, form, context.spec.gate, flown)
    log.info("%s: %s", decision.verdict, decision.reason)
    return decision


def preflight(
    context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision
) -> Preflight:
    """Let the endpoint answer golden rows with a challenger that is going to be promoted."""
    return preflight_step.preflight(context, plan, challenger, decision)


def promote(  # noqa: PLR0913, PLR0917 - a step takes what its task is handed
    context: StepContext,
    plan: Plan,
    challenger: ModelVersion,
    scores: Scores,
    form: Form,
    answer: Answer | None = None,
    flown: Preflight | None = None,
) -> Decision:
    """Decide, move the champion alias if the challenger earned it, and record the decision.

    A champion that was promoted meanwhile is judged against in its turn, a few times over. But an
    approval holds for what was shown: there ChampionMovedError asks for another look. `answer` is
    a person's, where the spec asks for one; `flown` is what the endpoint did with the challenger,
    None where it was not asked, as by a command. Whatever the verdict, the servers let it go.
    """
    context.registry.require_run(
        plan.run_id
    )  # before anything moves that could not be written down
    for _ in range(JUDGEMENTS):
        decided = decide(context, scores, form, flown)
        decision = promote_step.answered(decided, answer, context.spec.gate)
        if decision.verdict is not Verdict.PROMOTE:
            break
        try:
            promote_step.make_champion(context, plan, challenger, decision)
            break
        except ChampionMovedError as moved:
            if context.spec.gate.approval:
                raise
            log.warning("%s: judging again", moved)
            scores = score(context, plan, challenger)
    else:
        raise ChampionMovedError(f"the champion moved {JUDGEMENTS} times while it was judged")
    drawn = context.registry.figures(plan.run_id)
    came = context.registry.batches(plan.run_id)
    context.registry.log_page(
        plan.run_id, decision_page.render(context.spec.title, decision, drawn, came)
    )
    context.registry.log_decision(plan.run_id, challenger, decision)
    context.registry.take_down(challenger)
    return decision


def roll_back(context: StepContext, asked: RollBack) -> Move:
    """Move the champion alias back along the promotions that really happened."""
    context.registry.require_owner()
    return promote_step.roll_back(context, asked)


def serve(context: StepContext, plan: Plan | None) -> Served:
    """Wait until the endpoint holds the champion and answers as the pipeline does.

    It is compared on holdout rows of the plan's data version, without a plan of the newest. With a
    plan, a champion that its run promoted and that does not serve is given back: GivenBackError, as
    also when an earlier try of the run did that. Else raises EndpointError.
    """
    if plan is None:
        return preflight_step.await_champion(context, context.lake.version() or 0)
    promote_step.require_not_given_back(context, plan)
    try:
        return preflight_step.await_champion(context, plan.dataset.version)
    except EndpointError as failure:
        promote_step.give_back(context, plan, str(failure))
        promote_step.require_not_given_back(context, plan)
        raise


def report(context: StepContext, account: Account, plan: Plan | None) -> Told:
    """Tell what came, what was decided and why, in the log and on the page of the MLflow run."""
    story = report_stage.report(account)
    for sentence in story.sentences:
        log.info("%s", sentence)
    if plan is not None:
        text = report_stage.bounded(story, LONGEST, "the log of the task report")
        context.registry.describe(plan.run_id, text)
    return story
