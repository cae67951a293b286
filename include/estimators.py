"""The estimators and transformers that a spec may name: classes only, and this is the only list.

A path that stands here is imported and made; any other is never imported. Reading a spec asks no
learning library, so the parameters of each stand beside it in a file that
`python -m include.trusted_names` writes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

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
"""What the Gaussian process takes as its `kernel`."""
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
"""The parameters that may be an estimator, or a list with estimators in it."""
WITHHELD = frozenset({"callbacks", "memory"})
"""Parameters that no spec has: objects of a program, and a folder to write and unpickle in."""
_PACKAGES = ("sklearn.", "xgboost.", "serving.")


def paths(*groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the import paths of these groups, or of all that is supported, in order."""
    return sorted(
        f"{module}.{name}"
        for group in groups or (CLASSIFIERS, KERNELS, TRANSFORMERS)
        for module, names in group.items()
        for name in names
    )


def resolve(path: str) -> type:
    """Import a supported class, or raise ValueError with the nearest one; imports nothing else."""
    if path not in paths():
        raise ValueError(unsupported(path))
    module, _, name = path.rpartition(".")
    found: type = getattr(import_module(module), name)
    return found


def unsupported(path: str) -> str:
    """Return the sentence for a path that is not supported."""
    listed = paths()
    same_class = [one for one in listed if one.rpartition(".")[2] == path.rpartition(".")[2]]
    nearest = (same_class or get_close_matches(path, listed, n=1, cutoff=0))[0]
    return f"{path} is not supported; did you mean {nearest}?"


def step_names(pipeline: Sequence[str]) -> list[str]:
    """Return what `make_pipeline` calls the steps of these classes."""
    plain = [path.rpartition(".")[2].lower() for path in pipeline]
    return [
        name if plain.count(name) == 1 else f"{name}-{plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    ]


def named(value: Any) -> Iterator[str]:
    """Yield each text in the value of a parameter, however deep in lists and tables it stands."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from named(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from named(part)


def is_path(text: str) -> bool:
    """Say whether a text where an estimator may stand names a class."""
    return "." in text


def problems(pipeline: Sequence[str], given: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yield a sentence for each name in a family that is not supported.

    `given` are the values that each parameter may get.
    """
    wrong = [path for path in pipeline if path not in paths()]
    yield from map(unsupported, wrong)
    if wrong:
        return
    # A kernel goes where a parameter takes one.
    if pipeline[-1] not in paths(CLASSIFIERS):
        yield f"{pipeline[-1]} is no classifier, as the last of a pipeline is"
    yield from (
        f"{path} is no step of a pipeline" for path in pipeline[:-1] if path in paths(KERNELS)
    )
    steps = dict(zip(step_names(pipeline), pipeline, strict=True))
    for name, values in given.items():
        texts = [text for value in values for text in named(value)]
        yield from _misplaced(name, texts)
        yield from _unknown(name, steps, given)


def _misplaced(name: str, texts: Sequence[str]) -> Iterator[str]:
    takes_estimators = name.rpartition("__")[2] in ESTIMATOR_VALUED or "__" not in name
    for text in texts:
        if takes_estimators and is_path(text) and text not in paths():
            yield f"{name}: {unsupported(text)}"
        elif not takes_estimators and text.startswith(_PACKAGES):
            yield f"{name}: {text} is a class, and this parameter takes none"


def _unknown(
    name: str, steps: Mapping[str, str], given: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    """Yield a sentence when a step or one of its classes has no such parameter.

    What is inside a class that a list names is left to the class itself.
    """
    owner, _, parameter = name.rpartition("__")
    first = name.partition("__")[0]
    if first not in steps:
        yield f"{name}: there is no step {first!r}, but {', '.join(map(repr, steps))}"
        return
    classes = [text for value in given.get(owner, ()) for text in named(value)]
    classes += [steps[owner]] if owner in steps else []
    known = {known for path in classes for known in _parameters().get(path, ())}
    if classes and parameter not in known:
        close = get_close_matches(parameter, sorted(known), n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        yield f"{name}: {classes[-1]} has no parameter {parameter!r}{meant}"


@cache
def _parameters() -> dict[str, list[str]]:
    listed: dict[str, list[str]] = json.loads(PARAMETERS_FILE.read_text())
    return listed
