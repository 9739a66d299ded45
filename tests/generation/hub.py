"""The far side: a hub of models as huggingface_hub speaks with one, over HTTP, for repositories that are folders."""

import hashlib
import json
import socket
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0" * 39 + "1"


@dataclass
class Hub:
    """Where it answers, and the files (owner/name/path) that it gave out, in their order."""

    address: str = ""
    sent: list[str] = field(default_factory=list)


@contextmanager
def serving(name: str, folder: Path, gated: bool = False, cut: bool = False) -> Iterator[str]:
    """The address of a hub that has the repository `name`.

    If it is gated, nobody may have its files; if it cuts, large ones end in the middle.
    """
    with serving_all({name: folder}, gated=[name] if gated else [], cut=cut) as hub:
        yield hub.address


@contextmanager
def serving_all(
    repositories: Mapping[str, Path], gated: Container[str] = (), token: str = "", cut: bool = False
) -> Iterator[Hub]:
    """A hub of these repositories; files of those that are gated are for who has the token, if there is one."""
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0].removeprefix("/api/models/").removeprefix("/")
            name = "/".join(path.split("/")[:2])
            rest = path.removeprefix(f"{name}/")
            folder = repositories.get(name)
            if folder is None:
                return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            if self.path.startswith("/api/models/"):  # anybody may know what is in a gated repository
                files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
                paths = {str(file.relative_to(folder)): file.stat().st_size for file in files}
                about: object = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in paths]}
                if rest.startswith("tree/"):
                    about = [{"type": "file", "path": one, "size": size, "oid": one} for one, size in paths.items()]
                return self.answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
            if name in gated and not (token and self.headers.get("Authorization") == f"Bearer {token}"):
                return self.answer(403 if "Authorization" in self.headers else 401, b"", {"X-Error-Code": "GatedRepo"})
            file = folder / rest.removeprefix("resolve/").partition("/")[2]
            if not file.is_file():
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            content = file.read_bytes()
            if self.command == "GET":
                found.sent.append(f"{name}/{file.relative_to(folder)}")
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
