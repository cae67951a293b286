"""The commands of `./ratchet` that read or change the model registry."""

import argparse
import getpass
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from include.adapters.registry import asking_for
from include.cli import doctor
from include.context.step_context import StepContext, step_context
from include.errors import AdoptionError, NothingToDoError, SpecError
from include.records.judging import Decision
from include.records.models import ModelVersion
from include.records.moves import LONGEST_WORDS, Answer, RollBack
from include.records.training import Form, Plan
from include.reports import move_table
from include.settings import Settings
from include.spec.model_spec import Spec
from include.steps import adopt as adopt_step
from include.steps import roll_back as roll_back_step
from include.steps.promote import promote
from include.steps.score import score
from include.text.showable import showable

# Its key names the move that it comes after, too.
_LONGEST_ASKED = LONGEST_WORDS - 50
Command = Callable[[StepContext, argparse.Namespace], Iterator[str]]


def run(name: str, spec: Spec, settings: Settings, arguments: argparse.Namespace) -> Iterator[str]:
    """Run a command by its name and yield its output, line by line as the work proceeds."""
    commands: dict[str, Command] = {
        "promotions": list_promotions,
        "roll-back": roll_back,
        "adopt": adopt,
        "judge": judge,
        "transfer": transfer,
        "doctor": lambda context, _: doctor.doctor(context),
    }
    with asking_for(settings.patience):
        context = step_context(spec, settings)
        if name not in {"doctor", "transfer"}:  # doctor tells of it, transfer mends it
            context.registry.ownership.require_owner()
        yield from commands[name](context, arguments)


def list_promotions(context: StepContext, _: argparse.Namespace) -> Iterator[str]:
    """Yield every move of the champion: when, to which version, by whom and why."""
    moves = context.registry.champion.moves()
    if not moves:
        yield f"{context.spec.model} never had a champion"
        return
    yield from move_table.rows(moves, shutil.get_terminal_size().columns)


def roll_back(context: StepContext, arguments: argparse.Namespace) -> Iterator[str]:
    """Roll the champion back; the same command again moves nothing until another move is made."""
    asked = showable(f"{arguments.steps} back by {_person()}: {arguments.reason}", _LONGEST_ASKED)
    newest = context.registry.champion.moves()[-1:]
    repeated = [move.key for move in newest if move.key.endswith(asked)]
    after = newest[0].number if newest else 0
    key = repeated[0] if repeated else f"after move {after} {asked}"
    moved = roll_back_step.roll_back(
        context, RollBack(key, arguments.steps, arguments.reason, by=_person())
    )
    yield f"{context.spec.model}: champion {moved.before} -> {moved.version} at {moved.at[:19]} UTC"
    if repeated:
        yield "this was done before; to go further back give another reason"
    yield f"{context.settings.serving_url}/v2/models/{context.spec.model} follows within seconds"


def adopt(context: StepContext, arguments: argparse.Namespace) -> Iterator[str]:
    """Adopt a model file; it becomes champion when there is none, otherwise it is judged."""
    offer = adopt_step.AdoptionRequest(
        arguments.model, _person(), arguments.reason, arguments.threshold, arguments.fitted
    )
    adopted = adopt_step.adopt(context, offer)
    yield f"{context.spec.model} version {adopted.version}: {adopted.origin}"
    if context.registry.champion.current() is None:
        adopt_step.make_first_champion(context, adopted, offer.by, offer.reason)
        yield "it is the champion, because there was none"
    elif context.registry.champion.current() != adopted:
        yield from _judged(adopted, judge_version(context, adopted, Form(note=offer.reason)))


def judge(context: StepContext, arguments: argparse.Namespace) -> Iterator[str]:
    """Judge a registered version against the champion on the holdout as it is now."""
    version = context.registry.versions.version_numbered(str(arguments.version))
    if version is None:
        raise AdoptionError(f"{context.spec.model} has no version {arguments.version}")
    form = Form(force=arguments.force, note=arguments.reason)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    answer = Answer(approved=True, by=_person(), at=now) if arguments.approve else None
    yield from _judged(version, judge_version(context, version, form, answer))


def transfer(context: StepContext, arguments: argparse.Namespace) -> Iterator[str]:
    """Make a spec the owner of the registered model that it names, as after renaming a spec."""
    name, model = context.spec.name, context.spec.model
    if model != arguments.model:
        raise SpecError(
            f"{name}.toml: model is {model}, not {arguments.model}: write model = "
            f'"{arguments.model}" into the file first'
        )
    before = context.registry.ownership.transfer(_person())
    if before == name:
        yield f"{model} belongs to the spec {name} already"
        return
    yield f"{model} belongs to the spec {name} now; before, to {before}"
    yield (
        f"{before}.toml is refused from now on, and a run of it that is under way promotes nothing "
        "more: remove the file, or give it another model"
    )
    yield (
        "table, archive, landing place and experiment stay with a spec: to go on with the rows of "
        f"{before}, move {context.settings.lake_url}/{before} to "
        f"{context.settings.lake_url}/{name} while neither runs"
    )
    yield f"trigger the Dag {name} once, or wait for its night: Airflow learns of it by that"


def judge_version(
    context: StepContext, challenger: ModelVersion, form: Form, answer: Answer | None = None
) -> Decision:
    """Score a registered version and promote it if it passes, as a run does with a new one."""
    dataset = context.lake.dataset()
    if dataset is None or min(dataset.holdout.values()) < 1:
        raise NothingToDoError(
            f"{context.spec.name} has too few rows to judge a model on: {dataset}"
        )
    plan = Plan(challenger.run_id, dataset)
    scores = score(context, plan, challenger)
    return promote(context, plan, challenger, scores, form, answer)


def _judged(version: ModelVersion, decision: Decision) -> Iterator[str]:
    yield f"version {version.version}: {decision.verdict}: {decision.reason}"
    for proof in decision.scores.proofs:
        if not proof.holds:
            yield f"version {proof.model_version} has no proof: {proof}"


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no name
        return "unknown"
