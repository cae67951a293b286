"""The calls on one connection, from their header fields to the last byte of their answers.

Guarantees that a call which shows no key is over before anything of its message is kept, that no
more of a message comes than its memory was granted for, and that a call which is given up ends
alone.
"""

import asyncio
import logging

from serving.grpc import frames
from serving.grpc.call import Headers, ReceivedMessage
from serving.grpc.frames import ConnectionFault
from serving.grpc.message import IncomingMessage
from serving.grpc.shared import SharedParts, answer_beginning, answer_ending, no_grpc, refusal
from serving.grpc.stream import Stream, StreamConnection, seconds_in
from serving.observing.logs import request_id
from serving.refusals import RequestRefusedError
from serving.service import FAILED
from serving.traffic.memory_budget import Reservation

_MOST_PADDING = 256
"""Of a frame, with the byte that says how much it is."""
_PADDED_FRAMES = 64
"""For so many at a time there is room."""
MOST_STREAMS = 256
log = logging.getLogger("serving.grpc")


class Streams:
    """The calls on one connection."""

    def __init__(self, shared: SharedParts, link: StreamConnection) -> None:
        """Begin with none."""
        self._shared = shared
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Stream] = {}
        self._window = frames.FIRST_WINDOW
        self._first_window = frames.FIRST_WINDOW
        self.last = 0
        """The highest number of a call that was looked at."""
        self.is_leaving = False
        """Whether no new calls are taken."""

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def begin(self, number: int, fields: Headers, *, is_ended: bool, size: int) -> None:
        """Take the header fields of a call, of `size` bytes unpacked; raises ConnectionFault."""
        stream = self._open.get(number)
        if stream is not None:  # fields after the message: they say nothing here
            self._link.bear(size)
            self._end(stream)
            return
        # Its call is over: what its caller sends on was on its way already.
        if number <= self.last:
            self._link.bear(size)
            return
        if number % 2 == 0:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a stream of a caller has an even number")
        # REFUSED_STREAM says that nothing of the call was looked at: the caller may send it once
        # more.
        if self.is_leaving or len(self._open) >= MOST_STREAMS:
            self._link.bear(size)
            self._link.write(frames.reset_frame(number, frames.REFUSED_STREAM))
            return
        self.last = number
        self._find(number, fields, is_ended=is_ended, size=size)

    def take(self, number: int, piece: bytes, size: int, *, is_ended: bool) -> None:
        """Take a piece of a message; `size` is the frame's, with its padding."""
        stream = self._open.get(number)
        if stream is None or stream.is_ended:
            if number > self.last:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "a message came before its call")
            if stream is not None and is_ended and stream.allowed:
                stream.allowed = 0  # the message of a call that needs none costs nothing, once
            else:
                self._link.bear(0)
            return
        stream.allowed -= size
        if stream.allowed < 0:
            self._link.write(frames.reset_frame(number, frames.FLOW_CONTROL_ERROR))
            self._close(stream)
            return
        try:
            stream.incoming.take(piece)
        except RequestRefusedError as refused:
            self._refuse_unread(stream, refused)
            return
        # Padding takes of what is allowed, also that of the frame to come.
        missing, padding = stream.incoming.missing, _MOST_PADDING * (size > len(piece))
        if missing and stream.allowed < missing + padding:
            more = missing + padding * _PADDED_FRAMES - stream.allowed
            stream.allowed += more
            self._link.write(frames.more_window(number, more))
        if is_ended:
            self._end(stream)

    def give_up(self, number: int) -> None:
        """End a call whose caller wants no answer."""
        stream = self._open.get(number)
        if stream is not None:
            self._close(stream)
        elif number > self.last:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a call was given up before it came")

    def give_up_all(self) -> None:
        """Cancel every call without a response, because the connection is gone."""
        for stream in list(self._open.values()):
            self._close(stream)

    def widen(self, number: int, size: int) -> None:
        """Enlarge a call's send window by `size` bytes; number 0 means the connection's window."""
        if size == 0:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a window was widened by nothing")
        if number == 0:
            self._window = _widened(self._window, size)
            self.push_all()
            return
        stream = self._open.get(number)
        if stream is not None:
            stream.window = _widened(stream.window, size)
            self._push(stream)

    def first_window(self, size: int) -> None:
        """Let each call begin with such a window, and those there are as if they had."""
        if size > frames.MOST_WINDOW:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a first window is too large")
        change, self._first_window = size - self._first_window, size
        for stream in self._open.values():
            stream.window = _widened(stream.window, change)
        self.push_all()

    def push_all(self) -> None:
        """Send what waits and may be sent now."""
        for stream in list(self._open.values()):
            self._push(stream)

    def look(self, now: float) -> None:
        """End calls whose message or whose caller's reading takes too long."""
        late = [
            stream
            for stream in self._open.values()
            if (not stream.is_ended or stream.pending is not None)
            and now - stream.since > self._shared.limits.body_seconds
        ]
        for stream in late:
            if stream.pending is None:
                late_message = RequestRefusedError(408, "the message did not come in time")
                self._refuse_unread(stream, late_message)
            else:
                self._link.write(frames.reset_frame(stream.number, frames.CANCEL))
                self._close(stream)

    def _find(self, number: int, fields: Headers, *, is_ended: bool, size: int) -> None:
        sent = dict(fields)
        if not sent.get(b"content-type", b"").startswith(b"application/grpc"):
            self._link.bear(size)
            self._link.write(no_grpc(number) + _hush(number, is_ended=is_ended))
            return
        try:
            call = self._shared.calls.find(sent.get(b":path", b""), fields)
        except RequestRefusedError as refused:
            self._link.bear(size)
            answer = refusal(number, request_id(fields), refused)
            self._link.write(answer + _hush(number, is_ended=is_ended))
            return
        stream = Stream(
            number, call, fields, IncomingMessage(call.most_bytes, Reservation(self._shared.memory))
        )
        stream.since = self._loop.time()
        stream.window = self._first_window
        self._open[number] = stream
        self._link.work()
        seconds = seconds_in(sent.get(b"grpc-timeout", b""))
        if seconds is not None:
            stream.timer = self._loop.call_later(seconds, self._is_due, stream)
        if call.is_open:
            # Nothing is kept of those who show no key: what such a call says is always the same.
            stream.is_ended = True
            self._start(stream)
            return
        self._link.prove()
        if is_ended:
            self._end(stream)

    def _is_due(self, stream: Stream) -> None:
        if stream.pending is None:
            self._refuse(stream, RequestRefusedError(504, "the caller's deadline is over"))

    def _end(self, stream: Stream) -> None:
        """Answer: the caller has sent all."""
        if stream.is_ended:
            return
        stream.is_ended = True
        if stream.incoming.is_whole:
            self._start(stream)
        else:
            self._refuse_unread(
                stream, RequestRefusedError(400, "the call ended before its message did")
            )

    def _start(self, stream: Stream) -> None:
        # The stream keeps the task: the loop itself holds it weakly, and it could vanish
        # unfinished.
        stream.task = self._loop.create_task(self._answer(stream))

    async def _answer(self, stream: Stream) -> None:
        try:
            sent = await self._sent(stream)
        except RequestRefusedError as refused:
            self._refuse_unread(stream, refused)
            return
        try:
            answer = await stream.call.answer(sent)
        except RequestRefusedError as refused:
            self._refuse(stream, refused)
        except Exception:
            log.exception("a call failed", extra={"request_id": stream.request_id})
            self._refuse(stream, RequestRefusedError(500, FAILED))
        else:
            self._send(stream, answer)

    async def _sent(self, stream: Stream) -> ReceivedMessage:
        incoming, headers = stream.incoming, stream.headers
        encoding = dict(headers).get(b"grpc-encoding", b"identity") if incoming.is_packed else b""
        message = await incoming.unpacked(encoding)
        return ReceivedMessage(message, headers, stream.request_id, incoming.reservation)

    def _send(self, stream: Stream, answer: bytes) -> None:
        if stream.number not in self._open:
            return
        stream.since = self._loop.time()
        message = b"\0" + len(answer).to_bytes(4) + answer
        size = len(message)
        if size <= min(stream.window, self._window, frames.MOST_FRAME_BYTES):
            self._window -= size
            self._link.write(
                answer_beginning(stream.number)
                + frames.frame(frames.DATA, 0, stream.number, message)
                + answer_ending(stream.number, stream.request_id)
            )
            self._close(stream)
            return
        self._link.write(answer_beginning(stream.number))
        stream.pending = memoryview(message)
        self._push(stream)

    def _push(self, stream: Stream) -> None:
        while stream.pending is not None and not self._link.is_blocked:
            size = min(len(stream.pending), stream.window, self._window, frames.MOST_FRAME_BYTES)
            if size <= 0:
                return
            piece = bytes(stream.pending[:size])
            stream.window -= size
            self._window -= size
            self._link.write(frames.frame(frames.DATA, 0, stream.number, piece))
            stream.pending = stream.pending[size:] if size < len(stream.pending) else None
            if stream.pending is None:
                self._link.write(answer_ending(stream.number, stream.request_id))
                self._close(stream)

    def _refuse_unread(self, stream: Stream, refused: RequestRefusedError) -> None:
        if stream.number in self._open:
            self._shared.calls.note_refused(stream.request_id, refused)
            self._refuse(stream, refused)

    def _refuse(self, stream: Stream, refused: RequestRefusedError) -> None:
        if stream.number not in self._open:
            return
        answer = refusal(stream.number, stream.request_id, refused)
        self._link.write(answer + _hush(stream.number, is_ended=stream.is_ended))
        self._close(stream)

    def _close(self, stream: Stream) -> None:
        del self._open[stream.number]
        if stream.timer is not None:
            stream.timer.cancel()
        task = stream.task
        if task is not None and not task.done() and task is not asyncio.current_task():
            task.cancel()
        stream.incoming.reservation.release()
        if not self._open:
            self._link.rest()


def _hush(number: int, *, is_ended: bool) -> bytes:
    """Return what keeps a caller from sending the rest of a message that was answered."""
    return b"" if is_ended else frames.reset_frame(number, frames.NO_ERROR)


def _widened(window: int, size: int) -> int:
    if window + size > frames.MOST_WINDOW:
        raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window was widened too far")
    return window + size
