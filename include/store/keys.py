"""Names as keys of a bucket, and keys as names; and buckets with keys that no client would make.

A disk holds names that a bucket does not: bytes that are not UTF-8, control characters, a
backslash, which some servers take for a slash. Such a name is written `%%` and its bytes, those in
question as `%XX`; where that is too long, by a digest and the name's end. Every other name is its
own key. A name that looks like one that is written so is written so itself, hence every key stands
for one name and every name for one key.
"""

import hashlib
import re
from typing import Any
from urllib.parse import quote, unquote_to_bytes

_MARK = "%%"
_LONGEST_PART = 255
"""Of a key between two slashes, in bytes: what servers that keep objects on a disk take."""
_TAIL = 60
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffe\uffff]")
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "").replace("\\", "") + " "


def key_part(name: str) -> str:
    """Return a name as what stands between two slashes of a key."""
    if not _UNUSABLE.search(name) and name_of(name) == name:
        return name
    data = name.encode(errors="surrogateescape" if _is_bytes(name) else "surrogatepass")
    written = _MARK + quote(data, safe=_PLAIN)
    if len(written) <= _LONGEST_PART:
        return written
    tail = re.sub(r"[^A-Za-z0-9._-]", "_", name[-_TAIL:])
    return f"%{hashlib.sha256(data).hexdigest()[:16]}-{tail}"


def name_of(part: str) -> str:
    """Return the name that stands between two slashes of a key."""
    if not part.startswith(_MARK):
        return part
    name = unquote_to_bytes(part.removeprefix(_MARK)).decode(errors="surrogateescape")
    needed = _UNUSABLE.search(name) or (name.startswith(_MARK) and name_of(name) != name)
    return name if needed and key_part(name) == part else part


def listed_by_boto(s3: Any, bucket: str, prefix: str, delimiter: str) -> dict[str, Any]:
    """List what is under a prefix as obstore would if it took every key.

    `unnamed` are keys that it has no way to ask for: they are no objects here.
    """
    import boto3

    stated = s3.config
    client = boto3.client(
        "s3",
        endpoint_url=stated.get("endpoint"),
        aws_access_key_id=stated.get("access_key_id"),
        aws_secret_access_key=stated.get("secret_access_key"),
        aws_session_token=stated.get("session_token"),
        region_name=stated.get("region"),
    )
    found: dict[str, Any] = {"objects": [], "common_prefixes": [], "unnamed": []}
    within = f"{prefix}/" if prefix else ""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=within, Delimiter=delimiter
    )
    for page in pages:
        found["common_prefixes"] += [
            one["Prefix"].removesuffix("/") for one in page.get("CommonPrefixes", ())
        ]
        for one in page.get("Contents", ()):
            meta = {
                "path": one["Key"],
                "size": one["Size"],
                "last_modified": one["LastModified"],
                "e_tag": one.get("ETag"),
            }
            if _is_usable(one["Key"]):
                found["objects"].append(meta)
            elif one["Key"] != within:
                found["unnamed"].append(one["Key"])
    return found


def _is_usable(key: str) -> bool:
    parts = key.split("/")
    return not any(part in {"", ".", ".."} or _UNUSABLE.search(part) for part in parts)


def _is_bytes(name: str) -> bool:
    """Return whether the surrogates in a name stand for bytes that Python could not decode."""
    try:
        name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
