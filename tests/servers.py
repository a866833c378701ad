"""What the tests' HTTP servers share: a port of this machine, silence, an end."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeVar


class Handler(BaseHTTPRequestHandler):
    """One connection, which is kept open."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the servers keep their requests."""


class Server(ThreadingHTTPServer):
    """A server on a free port; `address` is where it is."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[Handler]):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


Made = TypeVar("Made", bound=Server)


@contextmanager
def running(server: Made) -> Iterator[Made]:
    """A server that runs until the block ends."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
