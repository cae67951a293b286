"""The list of what a model is made of is what fitting every supported estimator needs."""

import json

import pytest

from include.cli.trusted_names import models, names, parameters, sorted_out
from include.settings import PROJECT
from include.spec.estimators import PARAMETERS_FILE
from serving.bundle.name_list import NAMES_FILE, NameKind, trusted_names
from serving.bundle.rebuilding import trusted_parts

# Fitted on few rows, many say that they have not converged, one that it will be gone.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.long
def test_the_list_names_what_every_supported_estimator_is_made_of_and_no_more() -> None:
    """Fitted again, all that is supported needs exactly the names of the file.

    What this release of the libraries does not need and older bundles may hold stands apart.
    """
    listed = json.loads(NAMES_FILE.read_text())
    assert sorted_out(names(models())) == listed, "run `python -m include.cli.trusted_names`"


def test_all_that_is_called_is_called_by_something_that_looks_at_its_arguments() -> None:
    """Every function and compiled class of the file has its rebuilder, and none has none."""
    assert set(trusted_parts().rebuilders) == trusted_names()[NameKind.REBUILT]


def test_the_parameters_of_specs_are_those_of_the_installed_classes() -> None:
    """A spec is held to parameters that a file holds; the file says what the classes say."""
    assert parameters() == json.loads(PARAMETERS_FILE.read_text())


def test_the_list_goes_into_the_image_of_the_server() -> None:
    """A build takes only what its ignore file lets through, and the opener reads the list."""
    kept = (PROJECT / "serving" / ".dockerignore").read_text().splitlines()
    assert f"!{NAMES_FILE.relative_to(PROJECT / 'serving')}" in kept
