"""Our HTTP servers' connections: each ends by itself if its client does not do its part.

uvicorn waits without an end for a client that stops in the middle of its request, and for one that
does not take its answer, and each holds a descriptor as long (https://github.com/Kludex/uvicorn,
issue 157). An application cannot help: it learns of a request when its header is there.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedConnection(H11Protocol):
    """One connection, whose client has a bounded time for each part of a request and for taking the
    answer; the answer itself may take as long as it wants.

    To be given to uvicorn as `http`.
    """

    header_s = 10.0  # loopback takes milliseconds
    body_s = 60.0  # longer than an application waits, which can say so
    taking_s = 60.0  # what was answered and not taken yet, see pause_writing
    most = 100  # connections; a process may have 256 descriptors on macOS

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self._awaited: Any = None  # the part of a request that is awaited, as h11 names states
        self._since = 0.0
        self._receiving: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for a header; among too many, the connection that waited longest for one goes."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # every byte that is not taken counts
        self._follow()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """The time runs from a part's first moment: single bytes do not make it longer."""
        super().data_received(data)
        self._follow()

    def pause_writing(self) -> None:
        """Called when something that was answered cannot be sent, because nobody takes it."""
        super().pause_writing()
        self._taking = self.loop.call_later(self.taking_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Called when all that was answered is sent, and at the end."""
        super().resume_writing()
        _cancel(self._taking)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called at the end, whoever ended it."""
        super().connection_lost(exc)
        _cancel(self._receiving)
        _cancel(self._taking)

    def _follow(self) -> None:
        """Begins a new wait if another part of the request is awaited than before."""
        if self.transport.get_protocol() is not self:  # a WebSocket now, whose request never ends
            _cancel(self._receiving)
            return
        if self.conn.their_state is self._awaited:
            return
        self._awaited = self.conn.their_state
        self._since = self.loop.time()
        _cancel(self._receiving)
        patience_s = {h11.IDLE: self.header_s, h11.SEND_BODY: self.body_s}.get(self._awaited)
        if patience_s is not None:
            self._receiving = self.loop.call_later(patience_s, self.transport.abort)

    def _make_room(self) -> None:
        """Ends the connection that waited longest for a header, if there are too many: this new one
        if all others are being answered.
        """
        every = [one for one in self.connections if isinstance(one, BoundedConnection)]
        still_open = [one for one in every if not one.transport.is_closing()]
        if len(still_open) > self.most:
            waiting = [one for one in still_open if one.conn.their_state is h11.IDLE]
            min(waiting, key=lambda one: one._since).transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
