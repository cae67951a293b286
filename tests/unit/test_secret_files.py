"""What `make secrets` draws, and what it leaves as it is."""

import json
import stat
from pathlib import Path

from deploy.secret_files import draw


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_drawing_again_changes_nothing(tmp_path: Path) -> None:
    """A second run keeps every password, so that a stack with data still opens them."""
    folder = tmp_path / "secrets"
    assert draw(folder)
    first = _texts(folder)
    assert draw(folder) == []
    assert _texts(folder) == first


def test_two_deployments_share_no_secret(tmp_path: Path) -> None:
    """Nothing is a default: two draws have no password in common."""
    for name in ("one", "two"):
        draw(tmp_path / name)
    drawn = [json.loads((tmp_path / name / "drawn.json").read_text()) for name in ("one", "two")]
    assert not set(drawn[0].values()) & set(drawn[1].values())
    assert min(map(len, drawn[0].values())) >= 32


def test_nobody_else_enters_the_folder(tmp_path: Path) -> None:
    """Only the owner gets past the folder, also where it was there before with other rights."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)
    draw(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_forgotten_secret_is_drawn_anew_everywhere(tmp_path: Path) -> None:
    """Deleting one line changes that secret in every file that tells it, and no other."""
    draw(tmp_path)
    before, known = _texts(tmp_path), json.loads((tmp_path / "drawn.json").read_text())
    old = known.pop("mlflow serving")
    (tmp_path / "drawn.json").write_text(json.dumps(known))
    draw(tmp_path)
    after = _texts(tmp_path)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"drawn.json", "mlflow-accounts.env", "serving.env"}
    assert not [name for name, text in after.items() if old in text]


def test_keys_that_an_operator_added_stay(tmp_path: Path) -> None:
    """The file of the callers' keys is the operator's own once it is there."""
    draw(tmp_path)
    with (tmp_path / "api-keys").open("a") as file:
        file.write("of-a-new-team\n")
    draw(tmp_path)
    assert (tmp_path / "api-keys").read_text().endswith("of-a-new-team\n")


def test_a_worker_is_told_nothing_of_airflows_database(tmp_path: Path) -> None:
    """What a worker's files say opens neither Airflow's database nor anybody's account in it."""
    draw(tmp_path)
    known = json.loads((tmp_path / "drawn.json").read_text())
    files = ("airflow-queue.env", "pipeline.env", "pipeline-objects.env")
    told = "".join((tmp_path / name).read_text() for name in files)
    shared = {name for name, secret in known.items() if secret in told}
    assert shared == {
        "redis",
        "celery database",
        "mlflow pipeline",
        "api key of the pipeline",
        "objects pipeline",
    }
