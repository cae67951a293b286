"""What a person waits for before a command does anything."""

import subprocess
import sys

import pytest

from include.settings import PROJECT
from serving import bundle

HEAVY = ("sklearn", "scipy", "pandas", "mlflow", "xgboost")


@pytest.mark.parametrize(
    "module", ["include.context.intake_context", "include.steps.replay", "include.steps.recover"]
)
def test_a_command_about_rows_imports_no_learning_library(module: str) -> None:
    """It would be most of its seconds, a minute on a machine that is busy."""
    code = f"import sys, {module}; print(*sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_every_name_of_a_bundle_is_where_it_is_said_to_be() -> None:
    """Each is imported when it is first asked for, and no other is."""
    assert {name for name in bundle.__all__ if getattr(bundle, name) is not None} == {
        *bundle._MADE_IN
    }
    with pytest.raises(AttributeError, match="has no attribute nothing"):
        bundle.nothing  # noqa: B018 - it is looked up
