"""Following logs: every whole line once, also across a cut."""

from itertools import islice
from pathlib import Path

from stack.follow import FollowedLog, follow


def test_lines_are_told_once_and_whole(tmp_path: Path) -> None:
    """A line that is still being written waits for its end."""
    path = tmp_path / "one.log"
    path.write_text("first\nsec")
    log = FollowedLog(path)
    assert log.lines() == ["first"]
    with path.open("a") as writer:
        writer.write("ond\n")
    assert log.lines() == ["second"]
    assert log.lines() == []


def test_a_cut_log_is_read_from_its_start(tmp_path: Path) -> None:
    """What follows a rotation is not skipped."""
    path = tmp_path / "one.log"
    path.write_text("a long line before the cut\n")
    log = FollowedLog(path)
    log.lines()
    path.write_text("after\n")
    assert log.lines() == ["after"]


def test_a_long_log_begins_near_its_end_at_a_whole_line(tmp_path: Path) -> None:
    """Old lines are left out, and the first one shown is not half a line."""
    path = tmp_path / "one.log"
    path.write_text("".join(f"line {number:04d}\n" for number in range(1000)))
    lines = FollowedLog(path).lines()
    assert lines[-1] == "line 0999"
    assert 0 < len(lines) < 1000
    assert all(len(line) == len("line 0000") for line in lines)


def test_every_line_names_its_component(tmp_path: Path) -> None:
    """Logs of one folder come as one stream."""
    (tmp_path / "mlflow.log").write_text("a\n")
    (tmp_path / "serving.log").write_text("b\n")
    assert list(islice(follow(tmp_path), 2)) == [("mlflow", "a"), ("serving", "b")]
