"""The far side: a hub of models as huggingface_hub speaks with one, over HTTP, for one repository that is a folder."""

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0" * 39 + "1"


@contextmanager
def serving(name: str, folder: Path, gated: bool = False, cut: bool = False) -> Iterator[str]:
    """The address of a hub that has the repository `name`.

    If it is gated, nobody may have its files; if it cuts, large ones end in the middle.
    """

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith(f"/api/models/{name}"):
                files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
                paths = {str(file.relative_to(folder)): file.stat().st_size for file in files}
                about: object = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in paths]}
                if "/tree/" in path:
                    about = [{"type": "file", "path": one, "size": size, "oid": one} for one, size in paths.items()]
                return self.answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
            file = folder / path.removeprefix(f"/{name}/resolve/").partition("/")[2]
            if not path.startswith(f"/{name}/resolve/"):
                return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            if gated:
                return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
            if not file.is_file():
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            content = file.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self.answer(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[:20_000] if cut else content)
                if cut and len(content) > 20_000:
                    self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
