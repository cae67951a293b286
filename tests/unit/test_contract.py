from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ContractError, SpecError
from include.spec import contract as contracts
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Slice, Spec

KINDS: dict[str, ColumnKind] = {
    "age": ColumnKind.NUMBER,
    "job": ColumnKind.CATEGORY,
    "ärger, %": ColumnKind.NUMBER,
}


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    return Spec.model_validate(
        {
            "name": "bank",
            "model": "bank-model",
            "title": "Bank",
            "data": {"target": "y", "positive": "yes", "negative": "no"} | data,
            "families": (family,),
        }
    )


def test_the_spec_stands_above_what_the_batch_shows() -> None:
    """What may be missing and which range is accepted comes from the spec."""
    spec = a_spec(missing=("job",), ranges={"a*": (0, 120)})
    fixed = contracts.first_contract(spec, KINDS, "batch 1")
    assert fixed.columns[0] == Column("age", ColumnKind.NUMBER, accepted=(0, 120))
    assert fixed.columns[1] == Column("job", ColumnKind.CATEGORY, missing=True)
    assert fixed.features == ("age", "job", "ärger, %")
    assert fixed.categories == ("job",)


def test_a_contract_reads_back_as_it_was_written() -> None:
    """Ranges, categories and odd names survive the file."""
    fixed = contracts.first_contract(a_spec(id="row", positive=1, negative=-1), KINDS, "batch 1")
    columns = (replace(fixed.columns[0], seen=(-1.5, 3e9)), *fixed.columns[1:])
    columns = (*columns[:1], replace(columns[1], categories=("", 'a "b"', "ü\n")), *columns[2:])
    contract = replace(fixed, columns=columns)
    assert contracts.loads(contracts.dumps(contract)) == contract


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.just(1.0)),
)
def test_any_names_and_ranges_read_back(names: list[str], seen: tuple[float, float]) -> None:
    """Whatever the columns are called, the file says the same when it is read."""
    columns = tuple(Column(name, ColumnKind.NUMBER, seen=seen) for name in names)
    contract = Contract(1, "batch 1", "y", "yes", "no", None, 0.2, "salt", columns)
    assert contracts.loads(contracts.dumps(contract)) == contract


def test_a_file_that_is_no_contract_says_so() -> None:
    """A damaged file stops the run with a sentence."""
    for text in ("no toml", "version = 1", "columns = []"):
        with pytest.raises(ContractError, match="cannot be read"):
            contracts.loads(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"target": "z"}, "target was 'y' and is 'z'"),
        ({"positive": "oui"}, "positive was 'yes' and is 'oui'"),
        ({"exclude": ("age",)}, "column age is no feature any more"),
        ({"categorical": ("age",)}, "column age was of kind number"),
        ({"missing": ("age",)}, "age may be missing"),
        ({"ranges": {"age": (0, 9)}}, "the accepted range of age is"),
    ],
)
def test_a_spec_that_says_something_else_stops_the_run(data: dict[str, Any], says: str) -> None:
    """Each difference is named, with the command that accepts it."""
    contract = contracts.first_contract(a_spec(), KINDS, "batch 1")
    with pytest.raises(ContractError, match=says) as refused:
        contracts.require_agreement(contract, a_spec(**data))
    assert "./ratchet contract bank --change" in str(refused.value)


def test_an_unchanged_spec_agrees() -> None:
    """Nothing is said when nothing differs."""
    contract = contracts.first_contract(a_spec(), KINDS, "batch 1")
    contracts.require_agreement(contract, a_spec(max_refused_share=0.9, conflicts="keep"))
    assert contracts.differences(contract, a_spec()) == []


def test_a_change_is_the_next_version_with_its_reason() -> None:
    """What the first batch showed stays; what the spec says is new."""
    fixed = contracts.first_contract(a_spec(), KINDS, "batch 1")
    fixed = replace(fixed, columns=(replace(fixed.columns[0], seen=(1, 2)), *fixed.columns[1:]))
    now = contracts.changed_contract(fixed, a_spec(missing=("age",)), "the new form leaves age out")
    assert (now.version, now.since) == (2, "the new form leaves age out")
    assert now.columns[0] == Column("age", ColumnKind.NUMBER, missing=True, seen=(1, 2))
    contracts.require_agreement(now, a_spec(missing=("age",)))


def test_other_features_are_another_table() -> None:
    """The keys of all history rest on the features, so a change of those is refused."""
    contract = contracts.first_contract(a_spec(), KINDS, "batch 1")
    for data in ({"exclude": ("age",)}, {"categorical": ("age",)}):
        with pytest.raises(ContractError, match="Copy the spec to a new name"):
            contracts.changed_contract(contract, a_spec(**data), "why")


def test_a_feature_may_be_called_as_a_sentence_begins() -> None:
    """What may change does not hang on how a difference is worded."""
    names = ("column 1", "column job was of kind number")
    contract = contracts.first_contract(
        a_spec(), dict.fromkeys(names, ColumnKind.NUMBER), "batch 1"
    )
    now = contracts.changed_contract(contract, a_spec(missing=names), "gaps")
    assert [column.missing for column in now.columns] == [True, True]


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"column": "salary", "below": 9}, "names column 'salary', .* start age, job, ärger, %"),
        ({"column": "age", "values": ("9",)}, "'age' holds numbers: name at_least, below"),
        ({"column": "job", "values": (1, 2)}, "'job' holds categories: name texts as values"),
        ({"column": "job", "below": 9}, "'job' holds categories: name texts as values"),
    ],
)
def test_a_slice_cuts_what_rows_have(part: dict[str, Any], sentence: str) -> None:
    """Another column or kind of value is an error of the spec, told before anything is trained."""
    contract = contracts.first_contract(a_spec(), KINDS, "batch 1")
    good = (
        Slice(name="good", column="job", values=("nurse",)),
        Slice(name="old", column="age", at_least=60, below=90),
    )
    contracts.require_slices(contract, a_spec().model_copy(update={"slices": good}))
    spec = a_spec().model_copy(update={"slices": (Slice.model_validate({"name": "s"} | part),)})
    with pytest.raises(SpecError, match=rf"bank\.toml: slice 's'.*{sentence}"):
        contracts.require_slices(contract, spec)
