"""How a service is reached, and what it allows."""

from __future__ import annotations

import ipaddress
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pictor.library.errors import ConfigError

#: A token that people choose has at least so many characters: 128 bits in hex.
LEAST_TOKEN_CHARS = 32
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class ServiceOptions:
    """How a service is reached, and what it allows.

    Attributes:
        host: the address it listens on; port: 0 takes a free one.
        token: what requests must carry.
        allowed_hosts: names beside those of loopback that a `Host` header may have, each with a
            port or without.
        is_read_only: nothing in the library is changed.
        has_page: a page for browsers is at "/".

    Raises:
        ConfigError: an address other than loopback without a name in `allowed_hosts` or with a
            token that is too short.
    """

    host: str = "127.0.0.1"
    port: int = 8760
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    is_read_only: bool = False
    has_page: bool = True

    def __post_init__(self) -> None:
        if len(self.token) < LEAST_TOKEN_CHARS or not self.token.isascii():
            raise ConfigError(f"a token has at least {LEAST_TOKEN_CHARS} ASCII characters")
        if not self.is_loopback and not self.allowed_hosts:
            raise ConfigError(
                f"{self.host!r} can be reached from other machines: name the host that they use "
                "with --allow-host NAME"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def admits(self, host: str, port: int) -> bool:
        """Whether a `Host` header names this service, which listens on `port`."""
        wanted = host.lower()
        own = LOOPBACK_NAMES | {name.lower() for name in self.allowed_hosts if not _port_of(name)}
        exact = {name.lower() for name in self.allowed_hosts if _port_of(name)}
        if wanted in exact or wanted in {f"{name}:{port}" for name in own}:
            return True
        return wanted in own and port == 80  # the port that a browser leaves out


def read_token(path: Path) -> str:
    """The token in a file; a new one is written where there is none.

    Raises:
        ConfigError: others may read the file, or it holds no token.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(
            f"the token file {str(path)!r} cannot be made: {error.strerror}"
        ) from error
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or (os.name == "posix" and mode & 0o077):
                raise ConfigError(
                    f"the token file {str(path)!r} may be read by others: chmod 600 it"
                )
            return file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {str(path)!r} cannot be read") from error


def _port_of(name: str) -> str:
    return name.rpartition("]")[2].partition(":")[2]
