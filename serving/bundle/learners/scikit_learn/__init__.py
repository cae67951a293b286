"""scikit-learn, and the transformers of this project, which extend its classes."""

from collections.abc import Iterable
from typing import Any

from serving.bundle.learners import Learner
from serving.bundle.learners.estimator_interface import single_thread_by_n_jobs
from serving.bundle.learners.scikit_learn.parts import PARTS
from serving.bundle.learners.scores import AsScore, Score, Transform


class ScikitLearn(Learner):
    """Asks pipelines step by step, and votes member by member."""

    name = "scikit-learn"
    package = "sklearn"
    distribution = "scikit-learn"
    trusted = PARTS
    imported_ahead = tuple(
        f"{__name__}.{module}" for module in ("arithmetic", "graphs", "transforms")
    )

    def classifier_inside(self, model: Any) -> Any | None:
        """See Learner."""
        from serving.bundle.learners.scikit_learn.arithmetic import classifier_inside

        return classifier_inside(model)

    def score_of(self, model: Any) -> Score | None:
        """See Learner."""
        from serving.bundle.learners.scikit_learn.arithmetic import arithmetic_score

        return arithmetic_score(model)

    def transform_of(self, step: Any) -> Transform | None:
        """See Learner."""
        from serving.bundle.learners.scikit_learn.transforms import arithmetic_transform

        return arithmetic_transform(step)

    def graph_score(self, model: Any, width: int, as_score: AsScore) -> Score | None:
        """Return how to score by graphs: of a pipeline, as many of the last steps as can be."""
        from serving.bundle.learners.scikit_learn.graphs import graph_score

        return graph_score(model, width, as_score)

    def single_thread(self, part: object) -> Iterable[object]:
        """See Learner."""
        return single_thread_by_n_jobs(part)


LEARNER = ScikitLearn()
