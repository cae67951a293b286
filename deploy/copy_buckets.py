"""Copy all buckets as one tar stream: `out` writes it, `in` reads it, `count` counts objects.

While others write: an object of landing may move to another name or into the lake, so landing is
copied first, and each bucket until a look at it finds nothing new. Of a table its log comes before
its files: every commit in the copy has its files, for they are written before it and deleted a day
after they were last named. One piece of an object is in memory at a time.
"""

import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, Protocol

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.prepare_buckets import BUCKETS

_LOG = "/_delta_log/"
_POINTER = f"{_LOG}_last_checkpoint"
_PHASES: tuple[Callable[[str], bool], ...] = (
    # What a pointer names is there already; so it comes before the log that it points into.
    lambda key: key.endswith(_POINTER),
    lambda key: _LOG in key,
    lambda key: _LOG not in key,
)
_LOOKS = 5
"""Rounds over a bucket that never comes to rest; the first of them is a whole copy already."""
_AT_ONCE = 1000


class _Readable(Protocol):
    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""


class _Forward:
    """A member of a stream: it cannot be read again, and must not claim so."""

    def __init__(self, member: _Readable) -> None:
        self._member = member

    def read(self, size: int = -1) -> bytes:
        return self._member.read(size)


def copy_out(s3: Any, target: IO[bytes]) -> None:
    """Write every object of every bucket, named BUCKET/KEY, to a stream."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for bucket in BUCKETS:
            copied: set[str] = set()
            for _ in range(_LOOKS):
                if not _copy_new(archive, s3, bucket, copied):
                    break


def copy_in(s3: Any, source: IO[bytes]) -> None:
    """Make the buckets hold what a stream holds, and nothing else."""
    for bucket in BUCKETS:
        _empty(s3, bucket)
    one_piece = TransferConfig(use_threads=False)
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            bucket, _, key = member.name.partition("/")
            content = archive.extractfile(member)
            if bucket not in BUCKETS or content is None:
                raise SystemExit(f"{member.name} is not an object of one of {', '.join(BUCKETS)}")
            s3.upload_fileobj(_Forward(content), bucket, key, Config=one_piece)
            archive.members = []  # type: ignore[attr-defined] # else each header stays in memory


def count(s3: Any) -> dict[str, int]:
    """Return how many objects each bucket holds."""
    return {bucket: sum(1 for _ in _keys(s3, bucket)) for bucket in BUCKETS}


def _copy_new(archive: tarfile.TarFile, s3: Any, bucket: str, copied: set[str]) -> bool:
    """Copy what has not been copied; say whether there was anything, be it gone by now."""
    any_new = False
    for belongs in _PHASES:
        new = [key for key in _keys(s3, bucket) if belongs(key) and key not in copied]
        copied |= {key for key in new if _add(archive, s3, bucket, key)}
        any_new |= bool(new)
    return any_new


def _keys(s3: Any, bucket: str) -> Iterator[str]:
    """Yield the names of a bucket's objects; none where there is no such bucket."""
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            yield from (one["Key"] for one in page.get("Contents", ()))
    except s3.exceptions.NoSuchBucket:
        return


def _add(archive: tarfile.TarFile, s3: Any, bucket: str, key: str) -> bool:
    """Add an object to the archive; say whether it was still there."""
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        sys.stderr.write(f"{bucket}/{key} went away while it was to be copied\n")
        return False
    member = tarfile.TarInfo(f"{bucket}/{key}")
    member.size = found["ContentLength"]
    member.mtime = found["LastModified"].timestamp()
    with found["Body"] as body:
        archive.addfile(member, body)
    archive.members = []  # type: ignore[attr-defined] # else each header stays in memory
    return True


def _empty(s3: Any, bucket: str) -> None:
    """Delete all of a bucket, making it where it is missing."""
    there = (s3.exceptions.BucketAlreadyExists, s3.exceptions.BucketAlreadyOwnedByYou)
    with suppress(*there):
        s3.create_bucket(Bucket=bucket)
    keys = list(_keys(s3, bucket))
    for start in range(0, len(keys), _AT_ONCE):
        doomed = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})
        if answer.get("Errors"):
            raise SystemExit(f"{bucket} cannot be emptied: {answer['Errors'][0]}")


def main() -> int:
    """Do what the first argument says."""
    s3 = boto3.client("s3", config=Config(proxies={}), region_name=os.environ["AWS_REGION"])
    action = sys.argv[1:]
    try:
        if action == ["out"]:
            copy_out(s3, sys.stdout.buffer)
        elif action == ["in"]:
            copy_in(s3, sys.stdin.buffer)
        elif action == ["count"]:
            sys.stdout.write(f"{json.dumps(count(s3))}\n")
        else:
            sys.stderr.write(f"{' '.join(action) or 'nothing'} is not out, in or count\n")
            return 2
    except (ClientError, OSError, tarfile.TarError) as error:
        sys.stderr.write(
            f"the buckets were not copied: {getattr(error, 'strerror', None) or error}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
