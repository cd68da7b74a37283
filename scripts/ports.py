"""A port for a server that is told its port before it starts, because its address has it in it."""

import socket


def free_port() -> int:
    """A port of this machine that nobody is given by chance for the next minute.

    A connection to it is made and closed from its own side: the kernel waits for stragglers of
    that one, and meanwhile gives the port to nobody who asks for any. A server that asks for just
    this one, and reuses addresses as ours do, gets it; a client finds that nobody listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)
    return port
