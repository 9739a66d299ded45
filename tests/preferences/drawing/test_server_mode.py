"""Sessions whose pictures are drawn by a generation service: Generation mode and Server URL."""

import io
import socket
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from generation.backends import exchange
from generation.encoders import Siglip
from generation.errors import ServerUnavailable
from generation.manager import ModelManager
from preferences import tasks
from preferences.models import Descriptor, Embedding, Job, Session
from preferences.sessions.forms import ControlsForm
from tests import factories, hostile
from tests.drawing import draw_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def knows_token(generation_server) -> ModelManager:
    """A worker that was told the service's token."""
    return ModelManager({generation_server.url: generation_server.token})


def seen_by(session: Session) -> np.ndarray:
    """What the encoder saw in its pictures [n, 96]."""
    rows = Embedding.objects.filter(picture__candidate__batch__session=session, encoder="pocket-siglip")
    return np.array(list(rows.order_by("picture__candidate__slot").values_list("vector", flat=True)))


def drawn(session: Session, manager: ModelManager) -> np.ndarray:
    """The pictures of the first batch [n, H, W, 3]."""
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE, batch.job.error
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(one.picture.image.read()))) for one in batch.candidates.order_by("slot")]
    )


def test_a_server_draws_and_sees_what_this_machine_would(user, manager, knows_token, generation_server, monkeypatch):
    def start(**fields) -> Session:
        session = factories.SessionFactory(owner=user, **fields)
        Session.objects.filter(pk=session.pk).update(seed=5)
        session.refresh_from_db()
        return session

    here = drawn(start(), manager)
    monkeypatch.setattr(Siglip, "load", lambda *_: pytest.fail("The worker needs no encoder of its own."))
    there = drawn(start(generation_mode="server", server_url=generation_server.url), knows_token)
    assert np.array_equal(here, there)
    assert knows_token.loaded == ""  # nor a model
    seen_here, seen_there = (seen_by(session) for session in Session.objects.order_by("created_at"))
    assert seen_there.shape == (len(there), 96)
    np.testing.assert_allclose(seen_here, seen_there, atol=1e-4)


def missing(kind: str, content: bytes) -> hostile.Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(hostile.head(kind, status="404 Not Found") + content)

    return behave


def silent(connection: socket.socket, asked: bytes) -> None:
    threading.Event().wait(60)


WITHOUT_EYES = {
    "of an older version": (missing("application/json", b'{"detail": "Not Found"}'), "cannot look at pictures: update"),
    "behind a proxy": (missing("text/html", b"<html>"), "cannot look at pictures: update it"),
    "without weights": (hostile.ndjson({"detail": "No weights.", "status": 409}), "says: No weights."),
    "that fails": (hostile.ndjson({"detail": "Its log says more.", "status": 500}), "says: Its log says more."),
    "that never answers": (silent, "broke off"),
    "with other numbers": (hostile.ndjson({"vectors": ""}), "does not answer as one of IPO does"),
}


@pytest.mark.parametrize("kind", WITHOUT_EYES)
def test_a_server_that_cannot_look_costs_only_the_choosing(client, user, manager, generation_server, kind, monkeypatch):
    monkeypatch.setattr(exchange, "SILENCE", 5.0)
    instead, said = WITHOUT_EYES[kind]
    looked: list[bytes] = []

    def look(connection: socket.socket, asked: bytes) -> None:
        looked.append(asked)
        instead(connection, asked)

    behave = hostile.passing_on(generation_server.url, "/embed", look)
    with hostile.server(behave) as url:
        session = factories.SessionFactory(owner=user, generation_mode="server", server_url=url)
        assert len(drawn(session, ModelManager({url: generation_server.token}))) == 4
    assert len(looked) == 1  # not once a picture: to wait in vain takes long
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count(f"The pictures were not looked at, only measured. The generation server at {url}") == 1
    assert said in page
    assert len(seen_by(session)) == 0
    assert Descriptor.objects.filter(name="detail").count() == 4


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
    assert not tasks.model_manager.__wrapped__().tokens  # nor the default one, whatever listens there
