"""A service on a socket, until it is told to end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn

from pictor.api import Library
from pictor.library.errors import ConfigError
from pictor.service.app import make_app
from pictor.service.guard import MAX_HEADER_BYTES
from pictor.service.options import ServiceOptions

#: Requests in flight have so long once the service is told to end.
END_S = 4


def serve(library: Library, options: ServiceOptions, on_ready: Callable[[int], None]) -> None:
    """Serve a library until SIGINT or SIGTERM.

    Args:
        on_ready: called with the port once requests are answered.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = _listener(options)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        make_app(library, options),
        log_level="warning",
        access_log=False,  # it would have what is searched for
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=END_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        http="h11",
        ws="none",
        lifespan="on",
    )
    server = _Server(config, lambda: on_ready(port))
    with listener:
        asyncio.run(server.serve(sockets=[listener]))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _listener(options: ServiceOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        place = f"{options.host}:{options.port}"
        raise ConfigError(f"cannot listen on {place}: {error.strerror or error}") from error
    return listener
