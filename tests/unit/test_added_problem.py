"""The recipe "a problem" of CONTRIBUTING.md, followed: two files and a line in each registry."""

from pathlib import Path

import pytest

from tests.copied_tree import copied_tree, printed

OF_TRAINING = """
from include.problems.binary import Binary


class Chance(Binary):
    name = "chance"
    metrics, floors, calibration = ("f1", "log_loss"), (), ""

    def drawings(self, metric):
        return {}


PROBLEM = Chance()
"""
OF_THE_SERVER = """
from serving.bundle.problems import AnswerColumns, OutputColumn
from serving.bundle.problems.binary import Binary


class Columns(AnswerColumns):
    outputs = (OutputColumn("chance", "FP64", {"type": "number"}),)
    parameters = {}

    def values(self, scores):
        return {"chance": scores.tolist()}


class Chance(Binary):
    name, score_name = "chance", "chance"

    def columns(self, manifest):
        return Columns()

    def metadata(self, manifest):
        return {}

    def log_columns(self, manifest, scores):
        return {"chance": scores}


PROBLEM = Chance()
"""
USED = """
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from demo.data import pulsar_rows
from include.context.step_context import step_context
from include.settings import read_settings
from include.spec.spec_files import parse_spec
from serving.models.holder import Holder, LoadedVersion
from serving.models.loading import load_and_warm
from serving.protocol import metadata
from serving.protocol.codecs import decode, encode
from tests.conftest import PULSARS
from tests.contract.pipeline import drop, run
from tests.ledger_in_memory import Ledger
from tests.registry_in_memory import registry_in_memory

spec = parse_spec(Path("pulsars.toml"), 'problem = "chance"\\n' + PULSARS)
home = tempfile.mkdtemp()
settings = read_settings({"RATCHET_HOME": home, "RATCHET_MLFLOW_URL": "http://nobody.invalid"})
ledger = Ledger("pulsars")
context = replace(step_context(spec, settings), registry=registry_in_memory(ledger, spec.name))
rows = pulsar_rows(1600, seed=3)
for part in (rows[:800], rows[800:]):
    drop(context, part)
    done = run(context)
assert context.lake.require_contract().problem == "chance"
card = done.scores.challenger
assert {"f1", "log_loss"} <= card.figures.keys() and "brier" not in card.figures, card
assert done.scores.problem == "chance" and done.scores.champion is not None, done.decision
names = [check.name for check in done.decision.checks]
assert {"no_skill", "better", "rows_of_a_class"} <= {*names}, names
assert not {"average_precision", "calibration_error"} & {*names}, names

folder = Path(tempfile.mkdtemp())
for name, content in ledger.bundles[done.challenger.version].items():
    (folder / name).write_bytes(content)
served = load_and_warm(folder, done.challenger.digest, spec.model)
row = {"rows": [list(served.manifest.example[0])]}
request = decode(json.dumps(row).encode(), served.manifest)
answer = json.loads(encode(served, "1", request, served.scores(request.matrix)).body)
assert [*answer["rows"][0]] == ["chance"] and "threshold" not in answer, answer
assert np.isclose(answer["rows"][0]["chance"], served.manifest.answers[0], atol=1e-6)
told = metadata.model(LoadedVersion(spec.model, "1", served), Holder())
assert [one["name"] for one in told["outputs"]] == ["chance"], told
assert told["parameters"]["problem"] == "chance" and "labels" not in told["parameters"], told
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the product, with a second problem in both of its halves."""
    copied_tree(tmp_path, "include", "serving", "demo", "tests")
    for folder, code in (("serving/bundle", OF_THE_SERVER), ("include", OF_TRAINING)):
        room = tmp_path / folder / "problems"
        (room / "chance.py").write_text(code)
        registry = (room / "__init__.py").read_text()
        line = 'PROBLEMS = ("binary",)'
        assert registry.count(line) == 1
        (room / "__init__.py").write_text(registry.replace(line, 'PROBLEMS = ("binary", "chance")'))
    return tmp_path


@pytest.mark.long
def test_two_files_and_a_line_in_each_registry_are_a_problem(tree: Path) -> None:
    """Its files are taken in, split, raced, scored and decided on; a server answers as it says.

    In a process of its own, for the registries are those of the copy.
    """
    assert printed(tree, USED) == ""
