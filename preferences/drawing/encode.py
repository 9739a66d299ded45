"""What a drawing worker does with chosen pictures: encode them beside the next forward pass, and save them."""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np
import numpy.typing as npt
from django.conf import settings

from generation import images, png_text
from generation.types import Picture, Pixels
from preferences.drawing import keep
from preferences.jobs.leases import Lease
from preferences.library.files import Files
from preferences.library.services import Features
from preferences.sessions.models import Batch, Candidate

log = logging.getLogger(__name__)


class Saver:
    """Encodes in threads of its own, and writes to the database in the thread that draws, between two steps."""

    def __init__(self, batch: Batch, lease: Lease) -> None:
        self._batch = batch
        self._lease = lease
        self._threads = ThreadPoolExecutor(images.THREADS, "encode")
        self._under_way: dict[int, Future[keep.Drawn]] = {}
        self._previews: dict[int, Future[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What was drawn is saved, also where drawing failed or the batch is not wanted any longer."""
        try:
            self.save(wait=True)
        finally:
            self._threads.shutdown()

    def __contains__(self, candidate: Candidate) -> bool:
        """Whether it is drawn, but not saved yet."""
        return candidate.pk in self._under_way

    def add(
        self,
        candidate: Candidate,
        picture: Picture,
        vector: npt.NDArray[np.float32],
        features: Features,
    ) -> None:
        """Begin to encode a candidate's picture, drawn from a vector [d]."""
        about = texts(self._batch, candidate, picture.revision) if settings.IPO_EMBED_SETTINGS else None
        self._under_way[candidate.pk] = self._threads.submit(_encoded, candidate, picture, vector, about, features)

    def preview(self, owners: Sequence[Candidate], first: int, pictures: Sequence[Pixels]) -> None:
        """Show how candidates look by now. `owners` are those of all pictures, `pictures` begin with number `first`.

        Of several that are drawn for a candidate at once, the first is shown.
        """
        for owner, pixels in reversed(list(zip(owners[first:], pictures, strict=False))):
            self._previews[owner.pk] = self._threads.submit(images.to_thumbnail, pixels)

    def save(self, *, wait: bool = False) -> bool:
        """Save what is encoded; all, if one waits for it. False when the lease was lost."""
        self._save_previews()
        done = [future for future in self._under_way.values() if wait or future.done()]
        if not done:
            return True
        drawn = [future.result() for future in done]
        if not keep.finish(self._lease, self._batch, drawn):
            return False
        for item in drawn:  # not before it is saved: a database that was away is asked once more at the end
            del self._under_way[item.candidate.pk]
        return True

    def _save_previews(self) -> None:
        shown = {pk: future for pk, future in self._previews.items() if future.done()}
        self._previews = {pk: future for pk, future in self._previews.items() if pk not in shown}
        files = {pk: future.result() for pk, future in shown.items() if future.exception() is None}
        if files:
            keep.preview(self._lease, files)


def _encoded(
    candidate: Candidate,
    picture: Picture,
    vector: npt.NDArray[np.float32],
    about: Mapping[str, str] | None,
    features: Features,
) -> keep.Drawn:
    if picture.pixels is None:
        return keep.Drawn(candidate, error=picture.error)
    try:
        files = images.encode(picture.pixels, about)
    except (OSError, ValueError):
        log.exception("A picture could not be encoded.")
        return keep.Drawn(candidate, error="This picture could not be encoded: see the worker's log, and try again.")
    return keep.Drawn(candidate, vector, Files(files.png, files.thumbnail), "", features, picture.revision)


def texts(batch: Batch, candidate: Candidate, revision: str) -> dict[str, str]:
    """What a PNG says of how it was drawn: as other tools read it, and all of it as JSON.

    revision: of the model's weights.
    """
    session = batch.session
    spec = settings.IPO_MODELS.get(session.model)
    values = {
        "Steps": batch.diff_steps,
        "Sampler": "" if spec is None else spec.sampler,
        "CFG scale": batch.guidance,
        "Seed": batch.noise_seed,
        "Size": f"{session.width}x{session.height}",
        "Model": session.model,
    }
    about = {
        "prompt": session.prompt,
        "negative_prompt": session.negative_prompt,
        "model": session.model,
        "model_revision": revision,
        "space": session.space,
        "steps": batch.diff_steps,
        "guidance": batch.guidance,
        "delta_scale": batch.delta_scale,
        "noise_seed": batch.noise_seed,
        "session": str(session.pk),
        "batch": batch.number,
        "candidate": candidate.slot,
        "attempt": candidate.attempt,
    }
    return {
        "parameters": png_text.parameters(session.prompt, session.negative_prompt, values),
        "ipo": json.dumps(about, ensure_ascii=False),
    }
