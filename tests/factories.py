"""Rows for tests."""

import uuid
from datetime import datetime
from typing import Any

import factory
import numpy as np
from django.utils import timezone

from generation import images
from ipo_site.middleware import local_user
from preferences.library import services as library
from preferences.library.files import Files, write
from preferences.models import Batch, Candidate, Job, Session
from preferences.sessions import services as session_services

GREY = np.full((64, 64, 3), 128, np.uint8)

__all__ = ["SessionFactory", "add_picture", "finish", "local_user", "rating_counts", "start_form"]


class SessionFactory(factory.Factory):
    """A session with its first batch, made by the service that makes them."""

    class Meta:
        model = Session

    owner = factory.LazyFunction(local_user)
    id = factory.LazyFunction(uuid.uuid4)
    prompt = "a landscape at sunset"
    model = "tiny"
    space = "latent"
    width = 64
    height = 64
    curation_size = 4
    inference_batch = 2
    diff_steps = 2

    @classmethod
    def _create(cls, model_class: type[Session], *args: Any, **kwargs: Any) -> Session:
        return session_services.start_session(kwargs.pop("owner"), kwargs.pop("id"), kwargs)


def add_picture(candidate: Candidate, drawn_at: datetime) -> None:
    """As if a worker had drawn it, without a model; its files are small."""
    batch = candidate.batch
    files = Files(images.to_png(GREY), images.to_thumbnail(GREY))
    written = write(f"batches/{batch.pk}/{candidate.slot:03d}-{candidate.attempt}", files)
    about = {"owner_id": batch.session.owner_id, "width": 64, "height": 64, "vector": np.zeros(4, np.float32)}
    candidate.picture = library.add([library.New(written, about, picture=candidate.picture)])[0]
    candidate.state, candidate.drawn_at = "ready", drawn_at
    candidate.save()


def finish(batch: Batch) -> Batch:
    """As if a worker had drawn what is pending in the batch, and closed it."""
    now = timezone.now()
    for candidate in batch.candidates.filter(state="pending"):
        add_picture(candidate, now)
    Job.objects.filter(pk=batch.job_id).update(state=Job.State.DONE, finished_at=now)
    batch.refresh_from_db()
    return batch


def rating_counts(session: Session) -> tuple[int, int]:
    """How many pictures of the session are good, how many bad, by now."""
    return Session.objects.values_list("good_count", "bad_count").get(pk=session.pk)


def start_form(**changes: Any) -> dict[str, Any]:
    """What the browser sends for the start form as it stands, with some boxes filled."""
    fields = {
        "id": str(uuid.uuid4()),
        "prompt": "a landscape at sunset",
        "model": "tiny",
        "space": "latent",
        "value_model": "gaussian",
        "start": "avg_good",
        "noise_seed": "42",
        "temperature": "1",
        "optim_steps": "100",
        "images_per_row": "-1",
        "form_submit": "on",
    }
    return fields | {name: str(value) for name, value in changes.items()}
