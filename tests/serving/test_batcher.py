"""What waits goes together, and nobody pays for whom they went with."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.bundle import Bundle, Layout, Manifest
from serving.models.batcher import Batcher, BatchLimits
from serving.models.holder import LoadedVersion
from serving.refusals import RequestRefusedError

MANIFEST = Manifest("boxes", "constant", Layout(("height",)), 0.5, ("0", "1"), data_version=1)


@dataclass
class Echo:
    """A model whose probability is the row's own value; what is above 1 it cannot score."""

    batches: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Start with the gate open."""
        self.gate.set()

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Answer when the gate is open."""
        assert self.gate.wait(30)
        self.batches.append(len(X))
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def held(model: Echo) -> LoadedVersion:
    """Return a version that answers with this model."""
    return LoadedVersion("boxes", "1", Bundle(MANIFEST, model))


def rows(*values: float) -> NDArray[np.float32]:
    """Return rows of one feature."""
    return np.array(values, dtype=np.float32).reshape(-1, 1)


async def until_busy(batcher: Batcher, version: LoadedVersion) -> "asyncio.Task[Any]":
    """Give the model a first batch that the closed gate holds."""
    first = asyncio.ensure_future(batcher.predict(version, rows(0.5)))
    for _ in range(3):  # queued, taken, handed to the thread
        await asyncio.sleep(0)
    assert not batcher.waiting
    return first


@pytest.mark.asyncio
async def test_requests_of_one_turn_go_together() -> None:
    """An idle model scores what came at once as one batch, and each gets its own rows."""
    model, batcher = Echo(), Batcher()
    version = held(model)
    answers = await asyncio.gather(
        *(batcher.predict(version, rows(value, value / 2)) for value in (0.2, 0.4, 0.6))
    )
    assert model.batches == [6]
    assert [answer.round(3).tolist() for answer in answers] == [[0.2, 0.1], [0.4, 0.2], [0.6, 0.3]]
    batcher.close()


@pytest.mark.asyncio
async def test_what_comes_while_the_model_is_busy_goes_next_and_together() -> None:
    """Two batches for four requests: the first alone, the other three behind it."""
    model, batcher = Echo(), Batcher()
    version = held(model)
    model.gate.clear()
    first = await until_busy(batcher, version)
    others = [asyncio.ensure_future(batcher.predict(version, rows(0.1))) for _ in range(3)]
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(first, *others)
    assert model.batches == [1, 3]
    batcher.close()


@pytest.mark.asyncio
async def test_one_that_cannot_be_scored_fails_alone() -> None:
    """Its batch-mates get their answers, it gets a 400 that names the version."""
    batcher = Batcher()
    version = held(Echo())
    answers = await asyncio.gather(
        *(batcher.predict(version, rows(value)) for value in (0.2, 7.0, 0.6)),
        return_exceptions=True,
    )
    assert [answers[0][0].round(3), answers[2][0].round(3)] == [0.2, 0.6]  # type: ignore[index]
    assert isinstance(answers[1], RequestRefusedError)
    assert answers[1].status == 400
    assert "version 1 of boxes cannot score these rows" in str(answers[1])
    batcher.close()


@pytest.mark.asyncio
async def test_a_cancelled_request_is_not_scored_and_strands_nobody() -> None:
    """The others of its batch are answered; its row never reaches the model."""
    model, batcher = Echo(), Batcher()
    version = held(model)
    model.gate.clear()
    first = await until_busy(batcher, version)
    others = [asyncio.ensure_future(batcher.predict(version, rows(0.1))) for _ in range(4)]
    await asyncio.sleep(0)
    others[1].cancel()
    await asyncio.sleep(0)
    model.gate.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [isinstance(answer, np.ndarray) for answer in answers] == [True, True, False, True, True]
    assert model.batches == [1, 3]
    batcher.close()


@pytest.mark.asyncio
async def test_a_full_queue_refuses_and_a_late_answer_is_told() -> None:
    """429 for who comes when it is full; 504 for who has waited too long; then all goes on."""
    model, batcher = Echo(), Batcher(BatchLimits(queue=2, deadline_seconds=0.2))
    version = held(model)
    model.gate.clear()
    first = await until_busy(batcher, version)
    waiting = [asyncio.ensure_future(batcher.predict(version, rows(0.1))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RequestRefusedError, match="2 requests wait already") as full:
        await batcher.predict(version, rows(0.1))
    assert full.value.status == 429
    late = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [getattr(one, "status", None) for one in late] == [504, 504, 504]
    model.gate.set()
    assert (await batcher.predict(version, rows(0.1))).round(3).tolist() == [0.1]
    assert batcher.waiting == 0
    batcher.close()


@pytest.mark.asyncio
async def test_a_batch_keeps_to_its_limits() -> None:
    """Neither more requests nor more rows than it may hold; many rows go alone."""
    model, batcher = Echo(), Batcher(BatchLimits(batch_size=lambda _name: 3, batch_rows=8))
    version = held(model)
    model.gate.clear()
    first = await until_busy(batcher, version)
    sizes = [1, 1, 1, 1, 4, 4, 100, 1]
    others = [
        asyncio.ensure_future(batcher.predict(version, rows(*[0.1] * size))) for size in sizes
    ]
    await asyncio.sleep(0)
    model.gate.set()
    answers = await asyncio.gather(first, *others)
    assert [len(answer) for answer in answers[1:]] == sizes
    assert model.batches == [1, 3, 5, 4, 100, 1]
    batcher.close()


@given(
    st.lists(
        st.tuples(st.integers(1, 90), st.sampled_from(["", "cancel", "bad"]), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_everybody_gets_their_own(requests: list[tuple[int, str, bool]]) -> None:
    """Whatever comes in whatever turns: own rows, own refusal, nothing left waiting."""

    async def play() -> list[Any]:
        batcher = Batcher(BatchLimits(batch_size=lambda _name: 7, batch_rows=120))
        version = held(Echo())
        tasks = []
        for place, (size, fate, pause) in enumerate(requests):
            value = 7.0 if fate == "bad" else place / 64
            task = asyncio.ensure_future(batcher.predict(version, rows(*[value] * size)))
            tasks.append(task)
            await asyncio.sleep(0)
            if fate == "cancel":
                task.cancel()
            if pause:
                await asyncio.sleep(0.001)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert batcher.waiting == 0
        batcher.close()
        return answers

    for place, (answer, (size, fate, _)) in enumerate(
        zip(asyncio.run(play()), requests, strict=True)
    ):
        if fate == "bad":
            assert isinstance(answer, RequestRefusedError)
        elif isinstance(answer, asyncio.CancelledError):
            assert fate == "cancel"
        else:
            assert answer.tolist() == [np.float32(place / 64)] * size
