"""Hands what an application's model is asked and answers to mantlet's tap, from inside the application.

An ASGI middleware (FastAPI, Starlette, any other) of the standard library alone:

    app.add_middleware(MantletTap, tap="http://127.0.0.1:8480", key=os.environ["MANTLET_KEY"], paths=["/predict"])

Nobody waits for it: exchanges go into a bounded queue, one thread sends them, and what does not fit or cannot be sent is
counted in `MantletTap.lost`. Bodies beyond `most` bytes are left out. `caller` tells who asks, from the ASGI scope.
"""

import collections
import json
import threading
import time
import urllib.request


class MantletTap:
    def __init__(self, app, tap, key, paths=None, caller=None, most=1 << 20, room=1000):
        self.app = app
        self.address = tap.rstrip("/") + "/mantlet/v1/exchanges"
        self.key = key
        self.paths = None if paths is None else set(paths)
        self.caller = caller or by_address
        self.most = most
        self.room = room
        self.lost = 0
        self.waiting = collections.deque()
        self.sending = False
        self.wake = threading.Condition()
        threading.Thread(target=self._send, daemon=True).start()

    async def __call__(self, scope, receive, send):
        looked_at = scope["type"] == "http" and (self.paths is None or scope["path"] in self.paths)
        if not looked_at:
            await self.app(scope, receive, send)
            return
        asked, answered = Kept(self.most), Kept(self.most)
        status = 0
        began = time.time()

        async def hear():
            message = await receive()
            if message["type"] == "http.request":
                asked.add(message.get("body", b""))
            return message

        async def say(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                answered.add(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, hear, say)
        finally:
            query = scope.get("query_string", b"").decode("latin-1")
            exchange = {
                "at": began,
                "caller": self.caller(scope),
                "method": scope["method"],
                "path": scope["path"] + ("?" + query if query else ""),
                "status": status or 500,
                "request": asked.text(),
                "reply": answered.text(),
            }
            self._queue(json.dumps({name: value for name, value in exchange.items() if value is not None}))

    def _queue(self, line):
        with self.wake:
            if len(self.waiting) >= self.room:
                self.lost += 1
                return
            self.waiting.append(line)
            self.wake.notify_all()

    def _send(self):
        while True:
            with self.wake:
                while not self.waiting:
                    self.wake.wait()
                lines = [self.waiting.popleft() for _ in range(min(len(self.waiting), 100))]
                self.sending = True
            request = urllib.request.Request(
                self.address,
                data="\n".join(lines).encode(),
                headers={"Authorization": "Bearer " + self.key, "Content-Type": "application/jsonl"},
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    self.lost += json.load(answer).get("left_out", 0)
            except Exception:  # the application goes on whatever becomes of its tap
                self.lost += len(lines)
            with self.wake:
                self.sending = False
                self.wake.notify_all()

    def flush(self, seconds=5):
        """Waits until nothing is left to send, as at shutdown; says whether that came about."""
        with self.wake:
            return self.wake.wait_for(lambda: not self.waiting and not self.sending, seconds)


class Kept:
    """A body as long as it is not too long, and then not at all."""

    def __init__(self, most):
        self.most = most
        self.body = bytearray()

    def add(self, part):
        if self.body is not None:
            self.body += part
            if len(self.body) > self.most:
                self.body = None

    def text(self):
        return None if self.body is None else self.body.decode("utf-8", "replace")


def by_address(scope):
    client = scope.get("client")
    return "from-" + client[0] if client else "unknown"
