"""The far side: a hub of models as huggingface_hub speaks with one, over HTTP, for repositories that are folders."""

import hashlib
import json
import socket
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0" * 39 + "1"


def listing(name: str, folder: Path, with_sizes: bool) -> object:
    """What the hub's API says of a repository: its names, or a row of each file with its size in bytes."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in files}
    if with_sizes:
        return [{"type": "file", "path": path, "size": size, "oid": path} for path, size in sizes.items()]
    return {"id": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in sizes]}


class Hub(ThreadingHTTPServer):
    """What it has and has given out; it ends when it is left.

    repositories: folders by name. Files of those that are gated are for who has the token, if there is one. If it cuts,
    large files end in the middle. sent: the files (owner/name/path) that it gave out, in their order. resumed: those
    that somebody wanted from a byte on that is not the first, with the number of that byte.
    """

    def __init__(self, repositories: Mapping[str, Path], gated: Container[str], token: str, cut: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.gated, self.token, self.cut = repositories, gated, token, cut
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.sent: list[str] = []
        self.resumed: list[tuple[str, int]] = []


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0].removeprefix("/api/models/").removeprefix("/")
        name = "/".join(path.split("/")[:2])
        rest = path.removeprefix(f"{name}/")
        folder = self.server.repositories.get(name)
        if folder is None:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        if self.path.startswith("/api/models/"):  # anybody may know what is in a gated repository
            about = listing(name, folder, with_sizes=rest.startswith("tree/"))
            return self.answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
        if name in self.server.gated and not self.has_token():
            return self.answer(403 if "Authorization" in self.headers else 401, b"", {"X-Error-Code": "GatedRepo"})
        file = folder / rest.removeprefix("resolve/").partition("/")[2]
        if not file.is_file():
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        size = file.stat().st_size
        # Of what is larger than any test could send (a sparse file) nobody will see the content.
        content = file.read_bytes() if size < 1e9 else b""
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if self.command == "GET":
            self.server.sent.append(f"{name}/{file.relative_to(folder)}")
            if first:
                self.server.resumed.append((f"{name}/{file.relative_to(folder)}", first))
        etag = f'"{hashlib.sha256(content or str(file).encode()).hexdigest()}"'
        headers = {"ETag": etag, "X-Repo-Commit": COMMIT}
        return self.answer(206 if first else 200, content[first:], headers, size - first)

    def has_token(self) -> bool:
        token = self.server.token
        return bool(token) and self.headers.get("Authorization") == f"Bearer {token}"

    def answer(self, status: int, content: bytes, headers: dict[str, str], size: int | None = None) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content) if size is None else size))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:20_000] if self.server.cut else content)
            if self.server.cut and len(content) > 20_000:
                self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(name: str, folder: Path) -> Iterator[str]:
    """The address of a hub that has the repository `name`."""
    with serving_all({name: folder}) as hub:
        yield hub.address


@contextmanager
def serving_all(
    repositories: Mapping[str, Path], gated: Container[str] = (), token: str = "", cut: bool = False
) -> Iterator[Hub]:
    """A hub of these repositories.

    Files of those that are gated are for who has the token, if there is one; if it cuts, large ones end in the middle.
    """
    with Hub(repositories, gated, token, cut) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
