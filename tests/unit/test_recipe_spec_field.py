"""The recipe "a field of the spec" of CONTRIBUTING.md, followed on a copy of the tree."""

from pathlib import Path

import pytest

from tests.copied_tree import copied_tree, printed, with_line

BESIDE = "    encoding: Annotated[str, AfterValidator(encoding_name)] = UTF_8\n"
FIELD = '''    most_columns: int = Field(20_000, ge=1)
    """A file with more columns is refused."""
'''
ROW = "| `data.most_columns` | `20000` | a file with more columns is refused |\n"
SPEC = """
title = "Boxes"
model = "boxes"
[data]
target = "y"
{field}
[[families]]
name = "tree"
pipeline = ["sklearn.tree.DecisionTreeClassifier"]
"""
USED = """
from pathlib import Path

from include.errors import SpecError
from include.spec.spec_files import read_spec

for field, value in {"": 20_000, "most_columns = 12": 12}.items():
    path = Path("boxes.toml")
    path.write_text(SPEC.format(field=field))
    assert read_spec(path).data.most_columns == value
path.write_text(SPEC.format(field="most_columns = 0"))
try:
    read_spec(path)
except SpecError as error:
    assert "data.most_columns" in str(error), error
else:
    raise AssertionError("read")
"""
CHECKED = """
from pathlib import Path

from docs.check import spec_problems

print(*spec_problems(Path("docs/specs.md").read_text()), sep="\\n")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what reads a spec, with a field more."""
    tree = copied_tree(tmp_path, "include", "serving", "docs")
    with_line(tree / "include/spec/data_spec.py", BESIDE, FIELD)
    return tree


def said_in(tree: Path, script: str) -> str:
    """Return what a script about the spec prints in the copy."""
    return printed(tree, f"SPEC = '''{SPEC}'''\n{script}")


def test_a_line_in_its_class_is_a_field(tree: Path) -> None:
    """With its default for the specs that there are, its bounds, and its name in the refusal."""
    assert said_in(tree, USED) == ""


def test_a_field_without_its_row_is_found_and_one_with_it_is_well(tree: Path) -> None:
    """The table of fields is held to the classes."""
    missing = "docs/specs.md: the spec's field data.most_columns is not listed"
    assert said_in(tree, CHECKED) == missing
    page = tree / "docs/specs.md"
    text = page.read_text()
    beside = next(line for line in text.splitlines(keepends=True) if "`data.encoding`" in line)
    page.write_text(text.replace(beside, ROW + beside))
    assert said_in(tree, CHECKED) == ""
