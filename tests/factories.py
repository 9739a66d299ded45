"""Rows for tests."""

import uuid
from typing import Any

import factory

from ipo_site.middleware import local_user
from preferences import services
from preferences.models import Session

__all__ = ["SessionFactory", "local_user", "start_form"]


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
        return services.start_session(kwargs.pop("owner"), kwargs.pop("id"), kwargs)


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
