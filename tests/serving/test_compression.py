"""Compressed bodies: read, expanded no further than allowed, or refused by what is wrong."""

import gzip
import json
import struct
import time
import tracemalloc
import zlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.models.holder import LoadedVersion
from serving.protocol.codecs import HEADER_LENGTH
from serving.protocol.compression import expand_body
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import tensor

INFER = "/v2/models/boxes/infer"
BODY = json.dumps({"inputs": [tensor([1, 2, 3], [1, 3])]}).encode()
MIB = 2**20


def _bare(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


READ = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "in capitals": ("GZIP", gzip.compress(BODY)),
    "its old name": ("x-gzip", gzip.compress(BODY)),
    "two members": ("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
    "deflate": ("deflate", zlib.compress(BODY)),
    "deflate without its header": ("deflate", _bare(BODY)),
    "hardly compressed": ("deflate", zlib.compress(BODY, 0)),
    "beside identity": ("identity, gzip", gzip.compress(BODY)),
    "identity": ("identity", BODY),
    "nothing": ("", BODY),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("coding", "body"), READ.values(), ids=READ.keys())
async def test_a_compressed_body_is_read(
    client: httpx.AsyncClient, boxes: LoadedVersion, coding: str, body: bytes
) -> None:
    """In each form in which clients write it."""
    del boxes
    answer = await client.post(INFER, content=body, headers={"content-encoding": coding})
    assert answer.status_code == 200, answer.text


@pytest.mark.asyncio
async def test_the_header_of_packed_tensors_counts_what_is_expanded(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """As Triton's client writes it: the JSON's length before it compressed the whole body."""
    del boxes
    told = {
        "name": "x",
        "shape": [1, 3],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 12},
    }
    head = json.dumps({"inputs": [told]}).encode()
    headers = {HEADER_LENGTH: str(len(head)), "content-encoding": "gzip"}
    body = gzip.compress(head + struct.pack("<3f", 1, 2, 3))
    answer = await client.post(INFER, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


NOT_READ = ["br", "zstd", "gzip, gzip", "deflate, gzip", "gzip;q=1", "nonsense" * 1000]


@pytest.mark.asyncio
@pytest.mark.parametrize("coding", NOT_READ)
async def test_another_compression_is_refused(
    client: httpx.AsyncClient, boxes: LoadedVersion, coding: str
) -> None:
    """With 415, a bounded sentence that names the header, and what is read instead."""
    del boxes
    answer = await client.post(INFER, content=b"x", headers={"content-encoding": coding})
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["error"]
    assert len(answer.json()["error"]) < 300
    assert answer.headers["accept-encoding"] == "gzip, deflate"


BROKEN = {
    "plain": ("gzip", BODY, "cannot be expanded"),
    "empty": ("gzip", b"", "ends too early"),
    "cut": ("gzip", gzip.compress(BODY)[:-9], "ends too early"),
    "without its check": ("gzip", gzip.compress(BODY)[:-8], "ends too early"),
    "with a wrong check": ("gzip", gzip.compress(BODY)[:-8] + bytes(8), "cannot be expanded"),
    "with more behind": ("gzip", gzip.compress(BODY) + b"more", "cannot be expanded"),
    "of too many members": ("gzip", gzip.compress(b" ") * 100, "more than 16 members"),
    "plain as deflate": ("deflate", BODY, "cannot be expanded"),
    "gzip as deflate": ("deflate", gzip.compress(BODY), "cannot be expanded"),
    "deflate with more behind": ("deflate", zlib.compress(BODY) + b"more", "4 bytes follow"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("coding", "body", "says"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_body_is_refused(
    client: httpx.AsyncClient, boxes: LoadedVersion, coding: str, body: bytes, says: str
) -> None:
    """With 400 and what is wrong with it."""
    del boxes
    answer = await client.post(INFER, content=body, headers={"content-encoding": coding})
    assert answer.status_code == 400
    assert f"Content-Encoding {coding} says: " in answer.json()["error"]
    assert says in answer.json()["error"]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/repository/models/boxes/unload"])
async def test_calls_of_the_repository_are_read_too(
    client: httpx.AsyncClient, boxes: LoadedVersion, path: str
) -> None:
    """Every body is, but a webhook's delivery, which is signed as it came."""
    del boxes
    headers = {"content-encoding": "gzip"}
    answer = await client.post(path, content=gzip.compress(b"{}"), headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_expanded_no_further_than_a_body_may_be(coding: str) -> None:
    """However much it holds: 2 GiB that came as 2 MiB cost what 4 MiB cost, and 413."""
    bomb = _bomb(coding)
    assert len(bomb) < 3 * MIB
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(RequestRefusedError) as refused:
        expand_body(bomb, coding, 4 * MIB)
    assert time.monotonic() - started < 10
    assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    tracemalloc.stop()
    assert refused.value.status == 413


def _bomb(coding: str) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    piece = stream.compress(bytes(16 * MIB)) + stream.flush(zlib.Z_FULL_FLUSH)
    start = gzip.compress(b"")[:10] if coding == "gzip" else zlib.compress(b"")[:2]
    return start + piece * 128


def test_members_are_bounded_together() -> None:
    """Each of them is within the limit, and all of them are not."""
    body = gzip.compress(bytes(MIB)) * 5
    with pytest.raises(RequestRefusedError) as refused:
        expand_body(body, "gzip", 4 * MIB)
    assert refused.value.status == 413
    assert expand_body(body, "gzip", 5 * MIB) == bytes(5 * MIB)


@given(body=st.binary(max_size=100), coding=st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_expanded_or_refused(body: bytes, coding: str) -> None:
    """Whatever came, with 400; what was compressed comes out as it went in."""
    try:
        expand_body(body, coding, MIB)
    except RequestRefusedError as refused:
        assert refused.status == 400  # noqa: PT017 - most of what is drawn is refused
    for packed in (gzip.compress(body), gzip.compress(body, 0)):
        assert expand_body(packed, "gzip", MIB) == body
    for packed in (zlib.compress(body), _bare(body)):
        assert expand_body(packed, "deflate", MIB) == body
