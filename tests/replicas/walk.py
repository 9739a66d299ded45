"""The way of every replica, from the hub to pictures that were chosen; see `__main__`, which makes the surroundings."""

import json
import os
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import django
import numpy as np

from generation import registry, spaces
from generation.errors import ModelUnavailable
from generation.manager import ModelManager
from generation.pipelines import previews
from generation.types import GenerationRequest, ModelSpec, Picture
from tests.generation.hub import Hub
from tests.replicas import GATED, guard, repositories

SHOWN, DRAWS = 3, 3  # pictures of a batch, and how many are drawn for each (Draws per Picture)


class Failed(Exception):
    """One sentence: what is otherwise than it must be."""


def expect(holds: object, otherwise: str) -> None:
    """Like assert, which python -O leaves out."""
    if not holds:
        raise Failed(otherwise)


class Walk:
    """`repositories` is what the hub serves, filled here; gated ones give their files for `token` alone."""

    def __init__(self, folder: Path, hub: Hub, served: dict[str, Path], token: str) -> None:
        self.folder, self.hub, self.served, self.token = folder, hub, served, token
        self.failures = 0

    def all(self, keys: list[str]) -> int:
        """Every model, or these, and every image encoder. Returns the exit status."""
        specs = repositories.models()
        if unknown := set(keys) - specs.keys():
            print(
                f"There is no replica of {', '.join(sorted(unknown))}: choose of {', '.join(specs)}.", file=sys.stderr
            )
            return 2
        self.specs = {key: spec for key, spec in specs.items() if not keys or key in keys}
        self.encoders = {key: one.source for key, one in registry.ENCODERS.items() if not Path(one.source).is_dir()}
        for name in {
            *self.encoders.values(),
            *(one for spec in self.specs.values() for one in repositories.needed(spec)),
        }:
            self.served[name] = repositories.write(name, self.folder / "hub" / name)
        fields = {key: {k: v for k, v in asdict(spec).items() if k != "key"} for key, spec in self.specs.items()}
        os.environ["IPO_EXTRA_MODELS"] = json.dumps(fields)
        django.setup()
        self.step("gated repositories: refused before gigabytes come", self.refused)
        os.environ["HF_TOKEN"] = self.token
        manager, drawn = ModelManager(), {}
        for key, spec in self.specs.items():
            self.step(f"{key}: fetched by loading, drawn, embedded, chosen", self.draw, spec, manager, drawn)
        for key in self.encoders:
            self.step(f"{key}: pictures and texts", self.embed, key)
        os.environ["HF_HOME"] = str(self.folder / "fetched")  # of the processes from here on
        self.step("manage.py fetch_models", self.fetch)
        self.step("manage.py doctor", self.doctor)
        self.step("manage.py generation_server: the same pictures", self.draw_by_the_server, manager, drawn)
        return 1 if self.failures else 0

    def step(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """Do it, and say how it went."""
        began = time.monotonic()
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - each failure is told, and the others are looked for
            self.failures += 1
            if not isinstance(error, Failed):
                traceback.print_exc()
            print(f"FAILED  {name}: {error}", flush=True)
        else:
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)

    def refused(self) -> None:
        """Without a token; by loading, and by the command."""
        gated = [spec for spec in self.specs.values() if spec.source in GATED]
        for spec in gated:
            expect(spec.is_gated, f"The entry of {spec.key} does not say that it is gated.")
            try:
                ModelManager().ensure_ready(spec)
            except ModelUnavailable as error:
                expect("Accept the licence at" in str(error), f"It says: {error}")
            else:
                raise Failed(f"{spec.key} came without a token.")
        if gated:
            asked = self.manage("fetch_models", *(spec.key for spec in gated))
            expect(asked.returncode == 1, "fetch_models was content.")
            expect(asked.stderr.count("Accept the licence at") == len(gated), asked.stderr)
        expect(not self.large(), f"These were fetched: {self.large()}")

    def draw(self, spec: ModelSpec, manager: ModelManager, drawn: dict[tuple[str, str], list[Picture]]) -> None:
        """In this process, which has fetched nothing so far."""
        from preferences.drawing import choose

        del self.hub.sent[:]
        manager.ensure_ready(spec)
        self.check_what_was_fetched(spec)
        extractor, liked = choose.Extractor(spec, manager), None
        for space in spec.spaces:
            request = self.request(spec, space)
            pictures = drawn[spec.key, space] = list(manager.generate_all(spec, request, len(request.vectors)))
            expect(len(pictures) == SHOWN * DRAWS, f"{len(pictures)} pictures in {space}.")
            for picture in pictures:
                expect(picture.pixels is not None, f"In {space}: {picture.error}")
            expect(len({picture.pixels.tobytes() for picture in pictures}) > 1, f"All pictures in {space} are alike.")
            for chosen in choose.choose(pictures, [DRAWS] * SHOWN, extractor, liked):
                expect(not extractor.problem, extractor.problem)
                expect(
                    bool(chosen.features.revisions[spec.encoder]), "The encoder does not say of which revision it is."
                )
                seen = chosen.features.vectors[spec.encoder]
                expect(abs(float(np.linalg.norm(seen)) - 1) < 1e-4, f"What the encoder saw has no length of 1: {seen}")
                expect((chosen.score is None) == (liked is None), "The choice has no reason.")
            liked = liked or self.liked(pictures, extractor)
        expect(self.previews(spec, manager), "There was no preview.")

    def check_what_was_fetched(self, spec: ModelSpec) -> None:
        """Of the weights those that are needed, and none that are gigabytes for nothing; small files first."""
        unwanted = [name for name in self.large() if self.path(name).read_bytes() == repositories.UNWANTED]
        expect(not unwanted, f"These were fetched, and are of no use: {unwanted}")
        weights = self.check_order(spec)
        if spec.variant:
            others = [name for name in weights if f".{spec.variant}." not in name]
            expect(not others, f"These are of another variant: {others}")
        if spec.single_file:
            expect(len(weights) == 1, f"Of one file, these came: {weights}")

    def check_order(self, spec: ModelSpec) -> list[str]:
        """Small files before gigabytes, unless other models had fetched them. Returns the weights that came."""
        from generation.pipelines.loading import SMALL_FILES

        own = [name for name in self.hub.sent if name.startswith((spec.source, spec.single_file_parts[0]))]
        weights = [name for name in own if name in self.large()]
        if not weights:
            return []
        small = {str(path) for pattern in SMALL_FILES for path in self.served[spec.source].glob(pattern)}
        late = [name for name in own if str(self.path(name)) in small and own.index(name) > own.index(weights[0])]
        expect(not late, f"These small files came after gigabytes: {late}")
        return weights

    def request(self, spec: ModelSpec, space: str) -> GenerationRequest:
        dimension = spaces.get(spec, space).dimension(spec, spec.width, spec.height)
        vectors = np.random.default_rng(0).standard_normal((SHOWN * DRAWS, dimension), dtype=np.float32)
        return GenerationRequest.by_default(spec, space, vectors, seed=1)

    def liked(self, pictures: list[Picture], extractor: Any) -> Any:
        """What is learned from saying that the brighter half is good."""
        from preferences.drawing import choose
        from preferences.learning.config import LearningConfig
        from preferences.learning.feedback import Label
        from preferences.learning.pictures import PictureModel

        pixels = [picture.pixels for picture in pictures if picture.pixels is not None]
        order = np.argsort([one.mean() for one in pixels])
        labels = tuple(Label(int(row), place >= len(order) // 2, 1) for place, row in enumerate(order))
        config = LearningConfig(step_size=1.0, max_dist=0.0, start_radius=45.0, draws_per_picture=DRAWS)
        model = PictureModel.fit(extractor.features(pixels).vectors, labels, config)
        return choose.Liked(model, np.zeros((0, 0), np.float32))

    def previews(self, spec: ModelSpec, manager: ModelManager) -> list[Any]:
        """What is shown while a picture is drawn."""
        shown: list[Any] = []
        request = replace(
            self.request(spec, "latent").part(0, 1), on_preview=lambda first, pictures: shown.extend(pictures)
        )
        seconds, previews.SECONDS = previews.SECONDS, 0.0
        try:
            manager.generate(spec, request)
        finally:
            previews.SECONDS = seconds
        return shown

    def embed(self, key: str) -> None:
        """An image encoder by itself: pictures and texts, through the manager."""
        pictures = [np.random.default_rng(n).integers(0, 256, (64, 96, 3), np.uint8) for n in range(2)]
        manager = ModelManager()
        found = manager.embed_images(key, pictures)
        seen, read = found.vectors, manager.embed_texts(key, ["A cat", "a cat", "a calm landscape"]).vectors
        expect(len(found.revision) == 40, f"{found.revision} is no commit of the hub.")
        expect(seen.shape == (2, 768) and read.shape == (3, 768), f"{seen.shape} and {read.shape}")
        expect(np.allclose(np.linalg.norm(np.vstack([seen, read]), axis=1), 1, atol=1e-4), "They are no unit vectors.")
        expect(np.array_equal(read[0], read[1]), "It reads capitals in another way, which it was not trained on.")
        expect(not np.allclose(read[0], read[2], atol=1e-3), "It reads all texts alike.")

    def fetch(self) -> None:
        """All models, by the command, into another cache."""
        del self.hub.sent[:]
        fetched = self.manage("fetch_models", *self.specs)
        expect(fetched.returncode == 0, fetched.stderr)
        for spec in self.specs.values():
            expect(f"{spec.key} is here" in fetched.stdout, fetched.stdout)
            self.check_order(spec)
        unwanted = [name for name in self.large() if self.path(name).read_bytes() == repositories.UNWANTED]
        expect(not unwanted, f"These were fetched, and are of no use: {unwanted}")

    def doctor(self) -> None:
        """It has no servers to find here; of the models it says that they are here, with all that belongs to them."""
        del self.hub.sent[:]
        said = self.manage("doctor").stdout
        for spec in self.specs.values():
            (line,) = [line for line in said.splitlines() if f"Model {spec.key}:" in line] or [said]
            expect("installed, " in line and "without" not in line, line)
        expect(not self.hub.sent, "It has downloaded something.")

    def draw_by_the_server(self, manager: ModelManager, drawn: dict[tuple[str, str], list[Picture]]) -> None:
        """The same pictures, from what the command has fetched."""
        del self.hub.sent[:]
        with self.server() as url:
            for (key, space), pictures in drawn.items():
                spec = self.specs[key]
                manager.ensure_ready(spec, url)
                theirs = manager.generate(spec, self.request(spec, space), url)
                for ours, other in zip(pictures, theirs, strict=True):
                    expect(other.pixels is not None, f"{key} in {space}: {other.error}")
                    off = np.abs(ours.pixels.astype(int) - other.pixels).max()
                    expect(off <= 2, f"{key} in {space}: its picture is another one, by up to {off} of 255.")
                one = [pictures[0].pixels]
                ours, other = (manager.embed_images(spec.encoder, one, place) for place in ("", url))
                expect(np.allclose(ours.vectors, other.vectors, atol=1e-4), f"{key}: its encoder sees something else.")
                expect(ours.revision == other.revision, f"{key}: its encoder is another one.")
        expect(len(drawn) == sum(len(spec.spaces) for spec in self.specs.values()), "Not all were drawn here.")
        expect(not self.hub.sent, f"It has downloaded {self.hub.sent}")

    @contextmanager
    def server(self) -> Iterator[str]:
        """The address of the real service, in a process of its own."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "manage.py", "generation_server", "--port", str(port)]
        with subprocess.Popen(command, cwd=guard.ROOT) as process:
            try:
                for _ in range(1200):
                    try:
                        with urllib.request.urlopen(f"{url}/health", timeout=5):
                            break
                    except OSError:
                        expect(process.poll() is None, "The service ended by itself.")
                        time.sleep(0.1)
                else:
                    raise Failed("The service did not answer.")
                yield url
            finally:
                process.terminate()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=guard.ROOT, capture_output=True, text=True, check=False)

    def path(self, name: str) -> Path:
        """Of a file that the hub gave out."""
        return self.folder / "hub" / name

    def large(self) -> list[str]:
        """What the hub gave out of weights."""
        return [name for name in self.hub.sent if name.endswith(".safetensors")]
