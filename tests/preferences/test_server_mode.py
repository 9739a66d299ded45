"""Sessions whose pictures are drawn by a generation service: Generation mode and Server URL."""

import io
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from generation.errors import ServerUnavailable
from generation.manager import ModelManager
from preferences import tasks
from preferences.models import Job, Session
from preferences.sessions.forms import ControlsForm
from tests import factories, hostile
from tests.drawing import draw_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def knows_token(generation_server) -> ModelManager:
    """A worker that was told the service's token."""
    return ModelManager({generation_server.url: generation_server.token})


def drawn(session: Session, manager: ModelManager) -> np.ndarray:
    """The pictures of the first batch [n, H, W, 3]."""
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE, batch.job.error
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(one.picture.image.read()))) for one in batch.candidates.order_by("slot")]
    )


def test_a_server_draws_what_this_machine_would(user, manager, knows_token, generation_server):
    def start(**fields) -> Session:
        session = factories.SessionFactory(owner=user, **fields)
        Session.objects.filter(pk=session.pk).update(seed=5)
        session.refresh_from_db()
        return session

    here = drawn(start(), manager)
    there = drawn(start(generation_mode="server", server_url=generation_server.url), knows_token)
    assert np.array_equal(here, there)
    assert knows_token._local._resident is None  # only the encoder, which looks at the pictures, is loaded here


def test_a_server_that_is_away_fails_the_batch_with_a_remedy_and_the_controls_change_it(client, user, manager):
    session = factories.SessionFactory(owner=user, generation_mode="server", server_url="http://127.0.0.1:1")
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@a")
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "No generation server answers at http://127.0.0.1:1: start it there" in page
    assert "drawn by http://127.0.0.1:1" in page
    client.post(f"/s/{session.pk}/1/retry")
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.FAILED
    form = {"value_model": "bayesian", "start": "random", "noise_seed": 5, "temperature": 1, "optim_steps": 1}
    form |= {name: getattr(session, name) for name in ControlsForm.base_fields} | form | {"generation_mode": "local"}
    assert client.post(f"/s/{session.pk}/controls", form).status_code == 302
    client.post(f"/s/{session.pk}/1/retry")
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert (batch.job.state, batch.noise_seed) == (Job.State.DONE, session.noise_seed)  # all else is as it was


def test_the_form_takes_a_server_and_brings_the_installations_own(client, settings, tiny_model):
    settings.IPO_GENERATION_SERVER = "http://gpu-box:8580"
    page = client.get("/").content.decode()
    assert "http://gpu-box:8580" in page
    assert '<option value="server" selected>' in page
    client.post("/", factories.start_form(generation_mode="server", server_url="https://10.0.0.7:9000/"))
    assert Session.objects.get().server == "https://10.0.0.7:9000"
    client.post("/", factories.start_form(generation_mode="server", server_url=""))
    client.post("/", factories.start_form())
    servers = [session.server for session in Session.objects.order_by("created_at")]
    assert servers[1:] == ["http://gpu-box:8580"] * 2


def test_left_out_the_mode_is_local_and_the_address_stays(client, tiny_model):
    client.post("/", factories.start_form())
    session = Session.objects.get()
    assert session.server == ""
    assert urlsplit(session.server_url).port == 8580


@pytest.mark.parametrize(
    "address", ["ftp://box", "box:8580", "http://", "http://a b", "http://me:pw@box", "http://[::1"]
)
def test_what_is_no_address_is_refused(client, address):
    answer = client.post("/", factories.start_form(generation_mode="server", server_url=address))
    assert answer.status_code == 400
    assert "This is not the address of a server" in answer.content.decode()


def test_only_the_servers_own_address_gets_to_know_the_token(settings, tiny_model):
    heard: list[bytes] = []

    def listen(connection, asked: bytes) -> None:
        heard.append(asked.lower())
        connection.sendall(hostile.head("text/html"))

    settings.IPO_GENERATION_TOKEN = "s3cret"
    with hostile.server(listen) as own, hostile.server(listen) as other:
        for settings.IPO_GENERATION_SERVER, url in ((own, own), (own, other), ("", own)):
            with pytest.raises(ServerUnavailable):
                tasks.model_manager.__wrapped__().ensure_ready(settings.IPO_MODELS["tiny"], url)
    assert [b"authorization: bearer s3cret" in asked for asked in heard] == [True, False, False]
    settings.IPO_GENERATION_SERVER = ""
    assert not tasks.model_manager.__wrapped__()._tokens  # nor the default one, whatever listens there
