"""All buckets as one stream, against a real S3 server that others write to meanwhile."""

import io
import itertools
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from deploy.copy_buckets import copy_in, copy_out, count
from deploy.prepare_buckets import BUCKETS
from tests.seaweed import Seaweed

LOG = "pulsars/rows/_delta_log"
LARGE = bytes(range(256)) * 80_000
OBJECTS = {
    "landing/pulsars/first.csv": b"a,b\n1,2\n",
    "landing/pulsars/über 100%+ & 'x'?#.csv": b"name",
    f"landing/pulsars/{'long' * 50}.csv": b"long",
    "landing/empty": b"",
    f"lake/{LOG}/00000000000000000000.json": b"commit",
    f"lake/{LOG}/_last_checkpoint": b"pointer",
    "lake/pulsars/rows/part-0.parquet": LARGE,
    "mlflow/1/run/artifacts/model": b"model",
}


@pytest.fixture
def s3(s3_server: Seaweed) -> Iterator[Any]:
    """Return a client of a server whose three buckets are empty."""
    options = s3_server.options
    client = boto3.client(
        "s3",
        config=Config(proxies={}),
        endpoint_url=options["AWS_ENDPOINT_URL"],
        region_name=options["AWS_REGION"],
        aws_access_key_id=options["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=options["AWS_SECRET_ACCESS_KEY"],
    )
    copy_in(client, io.BytesIO(archived({})))
    yield client
    client.close()


def archived(objects: dict[str, bytes]) -> bytes:
    """Return an archive of objects."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, content in objects.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def unpacked(s3: Any) -> dict[str, bytes]:
    """Return what a copy of the buckets holds, in its order."""
    target = io.BytesIO()
    copy_out(s3, target)
    target.seek(0)
    found = {}
    with tarfile.open(fileobj=target) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            assert member.name not in found
            found[member.name] = content.read()
    return found


def test_everything_comes_back(s3: Any) -> None:
    """Any name, no bytes and many bytes; what a bucket had beside them is gone."""
    s3.put_object(Bucket="lake", Key="of another time", Body=b"x")
    copy_in(s3, io.BytesIO(archived(OBJECTS)))
    assert count(s3) == {"landing": 4, "lake": 3, "mlflow": 1}
    copied = unpacked(s3)
    assert copied == OBJECTS
    assert [name for name in copied if name.startswith("lake/")] == [
        f"lake/{LOG}/_last_checkpoint",
        f"lake/{LOG}/00000000000000000000.json",
        "lake/pulsars/rows/part-0.parquet",
    ]


def test_buckets_that_are_not_there_are_empty(s3: Any) -> None:
    """A copy of a server that is new holds nothing, and copying in makes the buckets."""
    for bucket in BUCKETS:
        s3.delete_bucket(Bucket=bucket)
    assert count(s3) == {"landing": 0, "lake": 0, "mlflow": 0}
    assert unpacked(s3) == {}
    copy_in(s3, io.BytesIO(archived(OBJECTS)))
    assert sum(count(s3).values()) == len(OBJECTS)


def test_more_than_one_page_of_objects(s3: Any) -> None:
    """Listings come in pages of a thousand, and so do deletions."""
    many = {f"landing/{number:04}": b"" for number in range(1001)}
    copy_in(s3, io.BytesIO(archived(many)))
    assert unpacked(s3) == many
    copy_in(s3, io.BytesIO(archived({})))
    assert count(s3) == {"landing": 0, "lake": 0, "mlflow": 0}


class Busy:
    """A client beside which somebody else acts just before an object is read."""

    def __init__(self, s3: Any, act: Callable[[str], None]) -> None:
        """`act` is told the key that is to be read."""
        self._s3, self._act = s3, act

    def __getattr__(self, name: str) -> Any:
        """Return what the client has."""
        return getattr(self._s3, name)

    def get_object(self, **asked: str) -> Any:
        """Let the other act, then read."""
        self._act(asked["Key"])
        return self._s3.get_object(**asked)


def test_a_delivery_that_moves_meanwhile_is_copied(
    s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Claimed between the look and the copy, it is found under the name that it has then."""
    s3.put_object(Bucket="landing", Key="pulsars/one.csv", Body=b"1")

    def claim(key: str) -> None:
        if key == "pulsars/one.csv":
            s3.put_object(Bucket="landing", Key=".claimed/one.csv", Body=b"1")
            s3.delete_object(Bucket="landing", Key=key)

    assert unpacked(Busy(s3, claim)) == {"landing/.claimed/one.csv": b"1"}
    assert "landing/pulsars/one.csv went away" in capsys.readouterr().err


def test_a_delivery_that_goes_into_the_lake_meanwhile_is_copied(s3: Any) -> None:
    """What leaves landing while landing is copied is in the lake when that is copied."""
    for key in ("pulsars/one.csv", "pulsars/two.csv"):
        s3.put_object(Bucket="landing", Key=key, Body=key.encode())

    def keep(key: str) -> None:
        if key == "pulsars/two.csv":
            s3.put_object(Bucket="lake", Key="archive/two.csv", Body=b"pulsars/two.csv")
            s3.delete_object(Bucket="landing", Key=key)

    copied = unpacked(Busy(s3, keep))
    assert set(copied) == {"landing/pulsars/one.csv", "lake/archive/two.csv"}


def test_each_commit_in_the_copy_has_its_files(s3: Any) -> None:
    """While a table grows faster than it is copied, no commit is copied without its file."""
    numbers = itertools.count()

    def commit(_key: str) -> None:
        number = next(numbers)
        s3.put_object(Bucket="lake", Key=f"pulsars/rows/part-{number}.parquet", Body=b"")
        s3.put_object(Bucket="lake", Key=f"{LOG}/{number:020}.json", Body=b"")

    commit("")
    copied = unpacked(Busy(s3, commit))
    commits = [int(name[-25:-5]) for name in copied if name.endswith(".json")]
    assert commits == list(range(len(commits)))
    assert len(commits) > 1
    assert {f"lake/pulsars/rows/part-{number}.parquet" for number in commits} <= set(copied)
    assert next(numbers) > len(commits)


def test_what_is_of_no_bucket_is_refused(s3: Any) -> None:
    """An archive of something else is not put anywhere."""
    with pytest.raises(SystemExit, match="elsewhere/x is not an object of one of landing"):
        copy_in(s3, io.BytesIO(archived({"elsewhere/x": b""})))
