"""The estimators and transformers that a spec may name; this list is the only one.

A class on the list is imported and constructed; any other path is never imported. Reading a spec
loads no learning library, so the parameters of each class and the values that they accept are
stored beside this module in a JSON file that `python -m include.cli.trusted_names` writes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from include.spec.parameter_values import Alternatives
from include.text.nearest import suggestion

PARAMETERS_FILE = Path(__file__).with_suffix(".json")
CLASSIFIERS = {
    "sklearn.calibration": ("CalibratedClassifierCV",),
    "sklearn.discriminant_analysis": (
        "LinearDiscriminantAnalysis",
        "QuadraticDiscriminantAnalysis",
    ),
    "sklearn.dummy": ("DummyClassifier",),
    "sklearn.ensemble": (
        "AdaBoostClassifier",
        "BaggingClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "RandomForestClassifier",
        "StackingClassifier",
        "VotingClassifier",
    ),
    "sklearn.gaussian_process": ("GaussianProcessClassifier",),
    "sklearn.linear_model": (
        "LogisticRegression",
        "LogisticRegressionCV",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
    ),
    "sklearn.multiclass": ("OneVsOneClassifier", "OneVsRestClassifier"),
    "sklearn.naive_bayes": (
        "BernoulliNB",
        "CategoricalNB",
        "ComplementNB",
        "GaussianNB",
        "MultinomialNB",
    ),
    "sklearn.neighbors": ("KNeighborsClassifier", "NearestCentroid", "RadiusNeighborsClassifier"),
    "sklearn.neural_network": ("MLPClassifier",),
    "sklearn.semi_supervised": ("LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"),
    "sklearn.svm": ("LinearSVC", "NuSVC", "SVC"),
    "sklearn.tree": ("DecisionTreeClassifier", "ExtraTreeClassifier"),
    "xgboost": ("XGBClassifier", "XGBRFClassifier"),
}
KERNELS = {
    "sklearn.gaussian_process.kernels": ("DotProduct", "Matern", "RBF", "RationalQuadratic"),
}
"""Values of the Gaussian process's `kernel`."""
TRANSFORMERS = {
    "serving.bundle": ("ValueFrequency",),
    "sklearn.cluster": ("Birch", "KMeans", "MiniBatchKMeans"),
    "sklearn.compose": ("ColumnTransformer",),
    "sklearn.decomposition": (
        "DictionaryLearning",
        "FactorAnalysis",
        "FastICA",
        "IncrementalPCA",
        "KernelPCA",
        "LatentDirichletAllocation",
        "MiniBatchDictionaryLearning",
        "MiniBatchNMF",
        "MiniBatchSparsePCA",
        "NMF",
        "PCA",
        "SparsePCA",
        "TruncatedSVD",
    ),
    "sklearn.ensemble": ("RandomTreesEmbedding",),
    "sklearn.feature_selection": (
        "GenericUnivariateSelect",
        "RFE",
        "RFECV",
        "SelectFdr",
        "SelectFpr",
        "SelectFromModel",
        "SelectFwe",
        "SelectKBest",
        "SelectPercentile",
        "SequentialFeatureSelector",
        "VarianceThreshold",
    ),
    "sklearn.impute": ("KNNImputer", "MissingIndicator", "SimpleImputer"),
    "sklearn.kernel_approximation": (
        "AdditiveChi2Sampler",
        "Nystroem",
        "PolynomialCountSketch",
        "RBFSampler",
        "SkewedChi2Sampler",
    ),
    "sklearn.manifold": ("Isomap", "LocallyLinearEmbedding"),
    "sklearn.neighbors": ("KNeighborsTransformer", "NeighborhoodComponentsAnalysis"),
    "sklearn.neural_network": ("BernoulliRBM",),
    "sklearn.pipeline": ("FeatureUnion",),
    "sklearn.preprocessing": (
        "Binarizer",
        "KBinsDiscretizer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "PolynomialFeatures",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "SplineTransformer",
        "StandardScaler",
        "TargetEncoder",
    ),
    "sklearn.random_projection": ("GaussianRandomProjection", "SparseRandomProjection"),
}
ESTIMATOR_VALUED = frozenset(
    {
        *("estimator", "estimators", "final_estimator", "init", "kernel"),
        *("remainder", "transformer_list", "transformers"),
    }
)
"""Parameters whose value may be an estimator, or a list with estimators in it."""
TUPLE_VALUED = frozenset({"feature_range", "quantile_range"})
"""Parameters whose value must be a tuple; a spec writes it as a list."""
TRANSFORM_TOO = frozenset(
    {
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.ensemble.StackingClassifier",
        "sklearn.ensemble.VotingClassifier",
    }
)
"""Classifiers that can also stand before another step."""
WITHOUT_PROBABILITIES = frozenset(
    {
        "sklearn.linear_model.PassiveAggressiveClassifier",
        "sklearn.linear_model.Perceptron",
        "sklearn.linear_model.RidgeClassifier",
        "sklearn.linear_model.RidgeClassifierCV",
        "sklearn.multiclass.OneVsOneClassifier",
        "sklearn.svm.LinearSVC",
    }
)
"""Classifiers that predict classes only, whatever their parameters."""
PROBABILITIES_BY: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "sklearn.ensemble.VotingClassifier": ("voting", ("soft",)),
    "sklearn.linear_model.SGDClassifier": ("loss", ("log_loss", "modified_huber")),
    "sklearn.svm.NuSVC": ("probability", (True,)),
    "sklearn.svm.SVC": ("probability", (True,)),
}
"""Classifiers that predict probabilities only when a parameter has one of these values."""
WITHHELD = frozenset({"callbacks", "memory"})
"""Parameters that no spec may set: objects of a program, and a folder to write and unpickle in."""
_ALIKE = 0.7
"""Similarity of class names, from 0 to 1, from which one counts as a misspelling of the other."""


def paths(*groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the import paths of these groups, or of everything supported, sorted."""
    return sorted(
        f"{module}.{name}"
        for group in groups or (CLASSIFIERS, KERNELS, TRANSFORMERS)
        for module, names in group.items()
        for name in names
    )


def resolve(path: str) -> type:
    """Import a supported class; raises ValueError with the nearest one, importing nothing else."""
    if path not in paths():
        raise ValueError(unsupported_message(path))
    module, _, name = path.rpartition(".")
    cls: type = getattr(import_module(module), name)
    return cls


def unsupported_message(path: str) -> str:
    """Return the message for a path that is not supported, with the nearest one that is."""
    name = path.rpartition(".")[2]
    known = [*_regressors(), *_classes()]
    if set(get_close_matches(name, known, n=1, cutoff=_ALIKE)) & {*_regressors()}:
        meant = nearest(path.replace(name, _as_classifier(name)), CLASSIFIERS)
        return f"{path} is a regressor, and rows here have classes{suggestion(meant)}"
    return f"{path} is not supported{suggestion(nearest(path))}"


def nearest(path: str, *groups: Mapping[str, tuple[str, ...]]) -> str:
    """Return the supported path that is nearest to one, by its class name first."""
    listed = paths(*groups)
    name = path.rpartition(".")[2]
    named = {supported.rpartition(".")[2]: supported for supported in listed}
    if close := get_close_matches(name, named, n=1, cutoff=_ALIKE):
        return named[close[0]]
    return get_close_matches(path, listed, n=1, cutoff=0)[0]


def _regressors() -> Sequence[str]:
    listed: Sequence[str] = _signatures()["regressors"]
    return listed


def _classes() -> list[str]:
    return [path.rpartition(".")[2] for path in paths()]


def _as_classifier(name: str) -> str:
    """Return the usual name of the classifier that corresponds to a regressor."""
    for end, instead in (("Regressor", "Classifier"), ("LinearRegression", "LogisticRegression")):
        if name.endswith(end):
            return name.removesuffix(end) + instead
    return name.removesuffix("R") + "C" if name.endswith("SVR") else name


def step_names(pipeline: Sequence[str]) -> list[str]:
    """Return the names that `make_pipeline` gives to the steps of these classes."""
    plain = [path.rpartition(".")[2].lower() for path in pipeline]
    return [
        name if plain.count(name) == 1 else f"{name}-{plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    ]


def texts_within(value: Any) -> Iterator[str]:
    """Yield each text in a parameter's value, at any depth of lists and tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_within(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from texts_within(part)


def is_path(text: str) -> bool:
    """Say whether a text is an import path of a class, where an estimator may stand."""
    return "." in text


def parameters(path: str) -> Mapping[str, Alternatives]:
    """Return the parameters of a supported class, each with the values that it accepts."""
    listed: Mapping[str, Alternatives] = _signatures()["parameters"].get(path, {})
    return listed


def required_parameters(path: str) -> Sequence[str]:
    """Return the parameters without which a class cannot be constructed or fitted."""
    listed: Sequence[str] = _signatures()["required"].get(path, ())
    return listed


@cache
def _signatures() -> Mapping[str, Any]:
    listed: Mapping[str, Any] = json.loads(PARAMETERS_FILE.read_text())
    return listed
