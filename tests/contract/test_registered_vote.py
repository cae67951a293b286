"""A vote of pipelines with a step of our own, on a real MLflow server."""

import mlflow
import numpy as np
import pytest
from mlflow import sklearn as flavor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.adapters.registry import open_registry
from include.stages.fit import fit
from include.stages.select import soft_vote
from serving.bundle import Layout, Manifest, ValueFrequency

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)).round(1).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(np.int8)


def test_it_opens_as_a_bundle_and_as_a_model_of_mlflow(registry_url: str) -> None:
    """Both give the answers of the model that was registered."""
    registry = open_registry(registry_url, "votes", "votes")
    steps = (ValueFrequency(), GaussianNB()), (GaussianNB(),)
    model = fit(soft_vote([make_pipeline(*one) for one in steps]), 0.3, X, Y)
    layout = Layout(("height", "width"))
    example = ((1.0, 2.0),)
    manifest = Manifest("votes", "vote", layout, 0.3, ("no", "yes"), 3, example=example)
    run_id = registry.runs.open("manual__1", 3, {})
    version = registry.versions.register(run_id, model, manifest, ["scikit-learn"], {})
    opened = registry.versions.bundle(version)
    assert np.array_equal(opened.scores(X), model.predict_proba(X)[:, 1])
    mlflow.set_tracking_uri(registry_url)
    with pytest.MonkeyPatch.context() as opened_by_a_person:
        opened_by_a_person.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
        again = flavor.load_model(f"models:/votes/{version.version}")
    assert np.array_equal(again.predict(X), model.predict(X))
