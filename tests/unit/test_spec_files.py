"""Files in the folder of specs as editors and other systems write them."""

from pathlib import Path

import pytest

from include.errors import SpecError
from include.settings import PROJECT, read_settings
from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec, read_specs, spec_names


@pytest.mark.parametrize("form", ["byte order mark", "Windows line ends", "both"])
def test_a_spec_that_a_windows_editor_saved_is_the_same_spec(spec_file: Path, form: str) -> None:
    """A byte order mark and carriage returns say nothing."""
    before = read_spec(spec_file)
    content = spec_file.read_bytes()
    if form != "byte order mark":
        content = content.replace(b"\n", b"\r\n")
    if form != "Windows line ends":
        content = b"\xef\xbb\xbf" + content
    spec_file.write_bytes(content)
    assert read_spec(spec_file) == before


def test_a_hidden_file_is_no_spec(spec_file: Path) -> None:
    """An editor's lock file and what an archive adds make no broken Dag."""
    spec_file.with_name(".#pulsars.toml").symlink_to("somebody@elsewhere.1")
    spec_file.with_name("._pulsars.toml").write_bytes(b"\0\5\x16\7")
    assert list(read_specs(spec_file.parent)) == [spec_file]
    assert spec_names(spec_file.parent) == ["pulsars"]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "logisticregression__C = [0.01]",
            "logisticregression__C = 0.01",
            "families.1.grid.logisticregression__C: a list in square brackets belongs here",
        ),
        (
            '["sklearn.naive_bayes.GaussianNB"]',
            '"sklearn.naive_bayes.GaussianNB"',
            "families.0.pipeline: a list in square brackets belongs here",
        ),
        (
            "grid = { gaussiannb__var_smoothing = [1e-9, 1e-2] }",
            "grid = [1]",
            "families.0.grid: a table such as { name = value } belongs here",
        ),
    ],
)
def test_a_value_of_another_form_is_told_in_words_of_toml(
    spec_file: Path, before: str, after: str, sentence: str
) -> None:
    """Nobody who writes a spec has to know what a tuple is."""
    spec_file.write_text(spec_file.read_text().replace(before, after))
    with pytest.raises(SpecError) as caught:
        read_spec(spec_file)
    assert str(caught.value) == f"pulsars.toml: {sentence}"


def test_the_specs_of_the_project_are_read() -> None:
    """What is delivered with the project can be used as it is."""
    read = read_specs(read_settings({}).specs)
    assert read
    assert all(isinstance(spec, Spec) for spec in read.values())
    assert all(path.is_relative_to(PROJECT) for path in read)
