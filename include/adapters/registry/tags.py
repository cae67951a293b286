"""Names of the tags that Ratchet gives experiments, runs and model versions in MLflow."""

RUN, CANDIDATE, VERDICT = "ratchet.dag_run", "ratchet.candidate", "ratchet.verdict"
DATA = "ratchet.data_version"
FILES = "ratchet.files"
"""Tag of a version: digests of the files beside its bundle, as JSON; 0.1.0 wrote none."""
LEDGER_OF = "ratchet.ledger"
"""Tag of the experiment in which the two ledger runs of a spec are; `SPEC` is that of trainings."""
MOVES, ARRIVALS = "ratchet.moves", "ratchet.arrivals"
ADOPTED, TRANSFERRED = "ratchet.adopted", "ratchet.transferred"
PARENT, NOTE, RUN_NAME = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"
KIND, TRAINING, CANDIDATES, ADOPTION, LEDGER = (
    "ratchet.kind",
    "training",
    "candidate",
    "adoption",
    "ledger",
)
"""Tag of each run and its values, to filter MLflow's list by; LEDGER runs are no trainings."""
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment by which MLflow shows it as one of trainings, whatever link opens it."""
