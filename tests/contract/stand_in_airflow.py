"""An Airflow that answers whether Dags are paused, and nothing else."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def airflow_with(dags: Mapping[str, object]) -> Iterator[str]:
    """Yield the address of one with these Dags; of others it says that it wants an account."""

    class Dags(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the Dag of the path."""
            dag = dags.get(self.path.removeprefix("/api/v2/dags/"))
            body = json.dumps(dag).encode()
            self.send_response(200 if dag else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Dags) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
