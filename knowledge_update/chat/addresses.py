"""Where a server listens."""

import socket

from knowledge_update.errors import ConfigError


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: The address.
        port: 0 for any that is free.

    Raises:
        ConfigError: When somebody else listens there, or nobody may.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror}; --port names another") from error
    return bound


def shown(host: str, port: int) -> str:
    """The address as it stands in a link; who listens everywhere is found here."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{near}]' if ':' in near else near}:{port}"


def private(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    return host.startswith("127.") or host in ("::1", "localhost")
