"""Make the buckets; those that are there stay as they are. Runs once a start."""

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKETS = ("landing", "lake", "mlflow")
_WAIT_SECONDS = 60.0


def main() -> int:
    """Make each bucket, waiting for a server that is only just starting."""
    direct = Config(proxies={}, retries={"total_max_attempts": 1})
    server = boto3.client("s3", config=direct, region_name=os.environ["AWS_REGION"])
    deadline = time.monotonic() + _WAIT_SECONDS
    for name in BUCKETS:
        while (why := _made(server, name)) and time.monotonic() < deadline:
            time.sleep(0.5)
        if why:
            sys.stderr.write(f"the bucket {name} was not made: {why}\n")
            return 1
    sys.stdout.write(f"buckets: {', '.join(BUCKETS)}\n")
    return 0


def _made(server: "boto3.client", name: str) -> str:
    """Return why a bucket is not there; empty when it is."""
    try:
        known = {one["Name"] for one in server.list_buckets()["Buckets"]}
        if name not in known:
            server.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
