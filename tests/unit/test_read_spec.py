import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import SpecError
from include.settings import PROJECT
from include.spec.data_spec import Data
from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec, read_specs

OLD = '[[slices]]\nname = "old"\ncolumn = "age"\n'
SANTANDER = PROJECT / "include" / "specs" / "santander.toml"


def test_the_first_spec_is_valid_and_names_its_families() -> None:
    """The six families that its users asked for race, and three that competitors used."""
    spec = read_spec(SANTANDER)
    assert (spec.name, spec.model, spec.selection.folds) == ("santander", "xgboost-model", 5)
    assert {family.name for family in spec.families} == {
        "ada_boost",
        "calibrated_naive_bayes",
        "k_nearest_neighbours",
        "logistic_regression",
        "naive_bayes",
        "quantile_naive_bayes",
        "random_forest",
        "value_frequency",
        "xgboost",
    }


def test_features_follow_patterns_in_the_order_of_the_header() -> None:
    """Target, id and excluded columns are no features, whatever the patterns say."""
    data = Data(target="y", id="code", features=("v_*", "code", "y"), exclude=("v_9",))
    assert data.feature_columns(("v_2", "code", "V_3", "v_9", "y", "v_1")) == ("v_2", "v_1")


def test_a_family_is_found_by_its_name() -> None:
    """A name that no family has is a KeyError."""
    spec = read_spec(SANTANDER)
    assert spec.family("xgboost").pipeline == ("xgboost.XGBClassifier",)
    with pytest.raises(KeyError):
        spec.family("oracle")


@pytest.mark.parametrize(
    ("text", "written", "sentence"),
    [
        ('title = "Pulsars"', "", "title: Field required"),
        ('title = "Pulsars"', 'title = "P"\ncolour = 1', "colour: Extra inputs"),
        ('title = "Pulsars"', 'title = "P"\nlandng = "x"', "landng: .*did you mean landing\\?"),
        ('title = "Pulsars"', 'title = "P"\nfolds = 3', "did you mean selection.folds\\?"),
        ("screened_rows = 100", "screend_rows = 1", "selection.screend_rows: .*screened_rows\\?"),
        ('pipeline = ["sklearn.naive', 'pipelin = ["sklearn.naive', "did you mean pipeline\\?"),
        ('model = "pulsar-model"', 'model = "Pulsar model"', "model: String should match"),
        ('target = "class"', "", "data.target: Field required"),
        ('target = "class"', 'target = "c"\npositive = 0', "data: positive and negative are both"),
        ("screened_rows = 100", "folds = 1", "selection.folds: Input should be greater"),
        ("screened_rows = 100", "seed = -1", "selection.seed: Input should be greater"),
        (
            "sklearn.naive_bayes.GaussianNB",
            "os.abort",
            "families.0: os.abort is not supported.*\\?$",
        ),
        (
            "sklearn.naive_bayes.GaussianNB",
            "sklearn.preprocessing.StandardScaler",
            "StandardScaler is no classifier",
        ),
        (
            "sklearn.naive_bayes.GaussianNB",
            'sklearn.gaussian_process.kernels.RBF", "sklearn.naive_bayes.GaussianNB',
            "RBF is no step of a pipeline",
        ),
        ("[0.01]", str([1] * 10_001), "the grid has 10001 combinations, more than 10000"),
        ("[0.01]", "[]", "families.1.grid.logisticregression__C: .*at least 1 item"),
        ('"logistic_regression"', '"naive_bayes"', "two families have the same name"),
        ("[selection]", '[schedule]\ntimezone = "Mars"\n[selection]', "'Mars' is not a time zone"),
        ("[selection]", '[schedule]\ncron = "at 2"\n[selection]', "'at 2' is not a cron line"),
        ("[selection]", '[schedule]\ncron = "0 0 31 2 *"\n[selection]', "ever comes"),
        ("[selection]", '[schedule]\ncron = "0 0 2 * * *"\n[selection]', "ever comes"),
        ('title = "Pulsars"', 'title = "P"\nname = "p"', "name: a spec is named by its file"),
        (
            "[selection]",
            f"{OLD}\n{OLD}below = 9\n[selection]",
            "slices.0: .*name either values, or",
        ),
        ("[selection]", f'{OLD}values = ["a"]\nbelow = 9\n[selection]', "name either values, or"),
        ("[selection]", f"{OLD}at_least = 9\nbelow = 9\n[selection]", "at least 9 and below 9"),
        ("[selection]", f"{OLD}below = 9\n{OLD}below = 8\n[selection]", "two slices have the same"),
        (
            "[selection]",
            '[[slices]]\nname = "s"\ncolumn = "class"\nbelow = 9\n[selection]',
            "slice 's': column 'class' is no feature",
        ),
        ("[selection]", "[selection", "cannot be read as TOML"),
    ],
)
def test_a_spec_that_cannot_be_used_says_where_and_why(
    spec_file: Path, text: str, written: str, sentence: str
) -> None:
    """The message names the file, the field and what is wrong with it."""
    spec_file.write_text(spec_file.read_text().replace(text, written))
    with pytest.raises(SpecError, match=f"pulsars.toml.*{sentence}"):
        read_spec(spec_file)


def test_a_spec_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A path that leads nowhere is a SpecError like any other."""
    with pytest.raises(SpecError, match=r"gone\.toml cannot be read"):
        read_spec(tmp_path / "gone.toml")


def test_the_order_of_files_says_nothing_of_whose_a_model_is(spec_file: Path) -> None:
    """A copy that sorts earlier is read, and so is what it was copied from."""
    twin = spec_file.with_name("a.toml")
    twin.write_text(spec_file.read_text())
    read = read_specs(spec_file.parent)
    assert isinstance(read[spec_file], Spec)
    assert isinstance(read[twin], Spec)


FAMILY = """
[[families]]
name = "odd"
pipeline = {pipeline}
params = {{{params}}}
grid = {{{grid}}}
"""
VOTE = 'votingclassifier__estimators = [["one", "{}"], ["two", "sklearn.naive_bayes.GaussianNB"]]'
INNER = 'calibratedclassifiercv__estimator = "sklearn.svm.SVC"'
UNSUPPORTED = {
    "a mistyped class": (
        '["sklearn.linear_model.LogisticRegresion"]',
        "",
        r"LogisticRegresion is not supported; did you mean sklearn.*LogisticRegression\?",
    ),
    "a class in another module": (
        '["sklearn.trees.DecisionTreeClassifier"]',
        "",
        r"did you mean sklearn.tree.DecisionTreeClassifier\?",
    ),
    "a function": ('["sklearn.datasets.clear_data_home"]', "", "is not supported"),
    "a function as an estimator": (
        '["sklearn.ensemble.AdaBoostClassifier"]',
        'adaboostclassifier__estimator = "sklearn.datasets.fetch_openml"',
        "adaboostclassifier__estimator: sklearn.datasets.fetch_openml is not supported",
    ),
    "another package": (
        '["sklearn.ensemble.AdaBoostClassifier"]',
        'adaboostclassifier__estimator = "os.abort"',
        "os.abort is not supported",
    ),
    "a function in a vote": (
        '["sklearn.ensemble.VotingClassifier"]',
        VOTE.format("sklearn.datasets.fetch_openml"),
        "fetch_openml is not supported",
    ),
    "a function in the place of a step": (
        '["sklearn.preprocessing.StandardScaler", "xgboost.XGBClassifier"]',
        'standardscaler = "sklearn.utils.shuffle"',
        "sklearn.utils.shuffle is not supported",
    ),
    "a class where a number goes": (
        '["sklearn.naive_bayes.GaussianNB"]',
        'gaussiannb__var_smoothing = "sklearn.naive_bayes.GaussianNB"',
        "is a class, and this parameter takes none",
    ),
    "a function in a table": (
        '["sklearn.neighbors.KNeighborsClassifier"]',
        'kneighborsclassifier__metric_params = {func = "sklearn.datasets.fetch_openml"}',
        "takes none",
    ),
    "a parameter that is not there": (
        '["sklearn.svm.SVC"]',
        "svc__probabilty = true",
        r"has no parameter 'probabilty'; did you mean probability\?",
    ),
    "a parameter of an inner class": (
        '["sklearn.calibration.CalibratedClassifierCV"]',
        f"{INNER}\ncalibratedclassifiercv__estimator__D = 1",
        "sklearn.svm.SVC has no parameter 'D'",
    ),
    "a step that is not there": (
        '["sklearn.svm.SVC"]',
        "svm__C = 1",
        "there is no step 'svm', but 'svc'",
    ),
    "a folder to unpickle from": ('["sklearn.svm.SVC"]', 'memory = "/tmp"', "no step 'memory'"),
    "callbacks": ('["xgboost.XGBClassifier"]', 'xgbclassifier__callbacks = ["x"]', "no parameter"),
}


@pytest.mark.parametrize("where", ["params", "grid"])
@pytest.mark.parametrize("case", UNSUPPORTED)
def test_a_family_names_supported_classes_and_their_parameters(
    spec_file: Path, case: str, where: str
) -> None:
    """Everything else breaks the spec when it is read, and nothing is imported or called."""
    pipeline, setting, sentence = UNSUPPORTED[case]
    *shared, last = setting.split("\n")
    name, _, value = last.partition(" = ")
    params = ", ".join(filter(None, shared if where == "grid" else [*shared, last]))
    grid = f"{name} = [{value}]" if where == "grid" and name else ""
    text = FAMILY.format(pipeline=pipeline, params=params, grid=grid)
    spec_file.write_text(spec_file.read_text() + text)
    with pytest.raises(SpecError, match=f"pulsars.toml.*{sentence}"):
        read_spec(spec_file)


def test_reading_a_spec_imports_no_learning_library() -> None:
    """The Dag processor reads every spec every few seconds."""
    code = (
        "import sys; from pathlib import Path; from include.spec.spec_files import read_spec;"
        f"read_spec(Path({str(SANTANDER)!r}));"
        "sys.exit(int(bool({'sklearn', 'xgboost', 'numpy'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
