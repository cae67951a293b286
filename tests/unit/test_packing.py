"""What tasks hand to one another: records as plain JSON, and back."""

import inspect
from typing import get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from include.records.data import Dataset
from include.records.packing import pack, unpack_arguments
from include.records.training import Form, Plan
from include.steps import STEPS, step_named
from tests import steps


@pytest.mark.parametrize("name", STEPS)
def test_every_argument_of_a_step_can_come_from_another_task(name: str) -> None:
    """Its context aside, which no task hands on, each is of a type that JSON is read as."""
    step = step_named(name)
    annotated = get_type_hints(step)
    parameters = list(inspect.signature(step).parameters)[1:]
    schemas = [TypeAdapter(annotated[parameter]).core_schema for parameter in parameters]
    assert all("is-instance" not in schema["type"] for schema in schemas)


def test_a_record_comes_back_as_it_was() -> None:
    """Packed by one task and unpacked for the next one."""
    form = Form(note="by hand")
    plan = Plan("run", Dataset(3, {"positive": 8}, {"positive": 2}, 3))
    values = [pack(plan), pack(form)]
    assert unpack_arguments(_a_step, values) == [plan, form]


def test_what_is_no_such_record_is_refused() -> None:
    """Before the step begins."""
    with pytest.raises(ValidationError):
        unpack_arguments(steps.fit, [{"run_id": 1}])


def _a_step(_context: object, plan: Plan, form: Form) -> None:
    del plan, form
