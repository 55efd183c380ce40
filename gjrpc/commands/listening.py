"""The socket of a server: the one that systemd passes, or one for `--bind`.

Owns the choice between the two, and a Unix socket's file until the server ends. It knows no application.
"""

from gjrpc.commands.settings import Settings
from gjrpc.process import systemd
from gjrpc.server import addresses
from gjrpc.server.addresses import Address, Endpoint, SocketFile


class Listening:
    """The server's socket. systemd's listens already; the other one is bound only by `listen`.

    Args:
        chosen: the options.

    Attributes:
        address: where the server listens.
        socket: the socket.

    Raises:
        SettingsError: the address or the group of `--socket-group` can't be used, or systemd passed something else than one
            listening socket.
    """

    def __init__(self, chosen: Settings) -> None:
        self._endpoint: Endpoint | None = None
        self._file: SocketFile | None = None
        inherited = systemd.inherited()
        if inherited is not None:
            name = inherited.getsockname()
            self.socket = inherited
            self.address = Address(*name[:2]) if isinstance(name, tuple) else Address(path=name)
            return
        address = addresses.parse(chosen.bind)
        self._endpoint = Endpoint(address, chosen.backlog, mode=chosen.socket_mode, group=chosen.socket_group)
        self.socket = self._endpoint.socket
        self.address = self._endpoint.address

    def listen(self) -> None:
        """Bind the socket, unless systemd did.

        Raises:
            SettingsError: the address is in use, not this machine's, or not allowed.
        """
        if self._endpoint is None:
            return
        self._endpoint.listen()
        if self.address.path is not None:
            self._file = SocketFile(self.address.path)

    def close(self) -> None:
        """Close the socket, which the server may have done before; remove the file of a Unix socket that was made here."""
        self.socket.close()
        if self._file is not None:
            self._file.remove()
