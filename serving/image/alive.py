"""`python -I -S serving/image/alive.py`: exit 0 when the server on this host is live, else 1.

The image's health check. It runs every few seconds beside the server, on the server's cores, so it
imports next to nothing: an HTTP client alone would cost several times as much as the whole script.
"""

import os
import socket
import sys

_SECONDS = 2.0


def main() -> int:
    """Ask /v2/health/live once."""
    # Both names are always there in the image; an address of all interfaces reaches this host.
    address = (os.environ["SERVING_HOST"], int(os.environ["SERVING_PORT"]))
    try:
        with socket.create_connection(address, _SECONDS) as asking:
            asking.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
            return 0 if asking.recv(64).split(b" ")[1:2] == [b"200"] else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
