"""The classes of scikit-learn, and of this project, that a spec may name."""

from collections.abc import Mapping
from typing import Any

from include.learners.estimator_lists import EstimatorLists

_CLASSIFIERS = {
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
}
_KERNELS = {
    "sklearn.gaussian_process.kernels": ("DotProduct", "Matern", "RBF", "RationalQuadratic"),
}
_TRANSFORMERS = {
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
_TRANSFORM_TOO = frozenset(
    {
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.ensemble.StackingClassifier",
        "sklearn.ensemble.VotingClassifier",
    }
)
_WITHOUT_PROBABILITIES = frozenset(
    {
        "sklearn.linear_model.PassiveAggressiveClassifier",
        "sklearn.linear_model.Perceptron",
        "sklearn.linear_model.RidgeClassifier",
        "sklearn.linear_model.RidgeClassifierCV",
        "sklearn.multiclass.OneVsOneClassifier",
        "sklearn.svm.LinearSVC",
    }
)
_PROBABILITIES_BY: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "sklearn.ensemble.VotingClassifier": ("voting", ("soft",)),
    "sklearn.linear_model.SGDClassifier": ("loss", ("log_loss", "modified_huber")),
    "sklearn.svm.NuSVC": ("probability", (True,)),
    "sklearn.svm.SVC": ("probability", (True,)),
}
ESTIMATORS = EstimatorLists(
    _CLASSIFIERS, _TRANSFORMERS, _KERNELS, _TRANSFORM_TOO, _WITHOUT_PROBABILITIES, _PROBABILITIES_BY
)
