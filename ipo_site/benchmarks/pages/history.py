"""A long history, made by a few statements of SQL."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import F, Max, Model
from django.utils import timezone

from generation import images
from ipo_site.middleware import local_user
from preferences.models import (
    Batch,
    Candidate,
    Descriptor,
    Embedding,
    Job,
    OptimizerState,
    Picture,
    Rating,
    Search,
    Session,
    Worker,
)
from preferences.sessions import counts, rating
from preferences.sessions import services as session_services
from preferences.tuning.services import start_search

DIMENSION = 64
# The id of a copied rating is its candidate's and so much, so that two statements know of each other.
FAR = 1_000_000_000
PLACES = 1000  # ids that the pictures of a batch have room in
ONE_SESSION = "One session"
REDRAWN = "A batch that was drawn anew with every vote"


@dataclass(frozen=True)
class Size:
    """So many sessions of so many batches; and one with a single batch, every slot of which was drawn anew often."""

    sessions: int = 60
    batches: int = 200
    pictures: int = 8
    attempts: int = 200


SMALL = Size(sessions=1, batches=2, attempts=2)
LARGE = Size()


def fill(size: Size) -> None:
    """Play one batch of one session as people and worker do, and copy it until there is this much."""
    write_files(size.pictures)
    original = _play(size.pictures)
    batch = original.batches.get()
    with connection.cursor() as cursor:
        _copy_session(cursor, original, batch, size)
        _copy_pictures(cursor, batch, size.pictures)
        _redrawn(cursor, str(original.pk), batch.pk, size.attempts)
        _copy_ratings(cursor)
        _copy_what_was_learned(cursor, batch)
        _copy_searches(cursor, original)
        last = Rating.objects.aggregate(last=Max("pk"))["last"]
        cursor.execute("SELECT setval(pg_get_serial_sequence('preferences_rating', 'id'), %s)", [last])
        cursor.execute("VACUUM ANALYZE")  # as Postgres does by itself after a while
    if size.batches > 1:  # not before it is copied: that of the other session is the newest there
        Batch.objects.filter(pk=batch.pk).update(submitted_at=F("created_at"))
    for pk in Session.objects.values_list("pk", flat=True):
        counts.recount(pk)


def _copy_session(cursor: Any, original: Session, batch: Batch, size: Size) -> None:
    """Sessions, and batches with the jobs that drew them."""
    session = str(original.pk)
    _copy(
        cursor,
        Session,
        f"generate_series(2, {size.sessions}) n WHERE t.id = '{session}'",
        id="gen_random_uuid()",
        prompt="t.prompt || ' ' || n",
        created_at="t.created_at - n * interval '1 hour'",
    )
    cursor.execute(
        "CREATE TEMP TABLE planned AS SELECT s.id AS session, s.created_at + n * interval '9 s' AS moment, n,"
        f" {FAR} + row_number() OVER () AS job FROM preferences_session s, generate_series(1, {size.batches}) n"
        f" WHERE NOT (n = 1 AND s.id = '{session}')"
    )
    _copy(
        cursor,
        Job,
        f"planned p WHERE t.id = {batch.job_id}",
        id="p.job",
        subject="p.session::text",
        created_at="p.moment",
        finished_at="p.moment",
    )
    _copy(
        cursor,
        Batch,
        f"planned p WHERE t.id = {batch.pk}",
        session_id="p.session",
        job_id="p.job",
        number="p.n",
        created_at="p.moment",
        submitted_at=f"CASE WHEN p.n < {size.batches} THEN p.moment END",
    )


def _copy_pictures(cursor: Any, batch: Batch, pictures: int) -> None:
    """With their candidates."""
    _copy(
        cursor,
        Picture,
        f"preferences_batch b, generate_series(1, {pictures}) n"
        f" WHERE t.id = (SELECT min(id) FROM preferences_picture) AND b.id <> {batch.pk}",
        id=f"{FAR} + {PLACES} * b.id + n",
        image="n || '.png'",
        thumbnail="n || '.webp'",
    )
    _copy(
        cursor,
        Candidate,
        f"preferences_batch b WHERE t.batch_id = {batch.pk} AND b.id <> t.batch_id",
        batch_id="b.id",
        picture_id=f"{FAR} + {PLACES} * b.id + t.slot",
        drawn_at="b.created_at",
    )


def _copy_ratings(cursor: Any) -> None:
    """One of each picture that has none."""
    unrated = (
        "FROM preferences_candidate c JOIN preferences_batch b ON b.id = c.batch_id"
        " WHERE NOT EXISTS (SELECT 1 FROM preferences_ratedpicture r WHERE r.picture_id = c.picture_id)"
    )
    _copy(
        cursor,
        Rating,
        f"(SELECT c.id, b.session_id {unrated}) c WHERE t.id = (SELECT min(id) FROM preferences_rating)",
        id=f"{FAR} + c.id",
        session_id="c.session_id",
        kind="CASE WHEN c.id % 9 = 0 THEN 'stars' ELSE 'good_bad' END",
        form_token="gen_random_uuid()",
    )
    cursor.execute(
        "INSERT INTO preferences_ratedpicture (rating_id, picture_id, value)"
        f" SELECT {FAR} + c.id, c.picture_id, CASE WHEN c.slot % 3 = 0 THEN -1 ELSE 1 END {unrated}"
    )


def _copy_what_was_learned(cursor: Any, batch: Batch) -> None:
    """The state of each batch, and the features of each picture."""
    _copy(
        cursor,
        OptimizerState,
        f"preferences_batch b WHERE t.batch_id = {batch.pk} AND b.id <> t.batch_id",
        batch_id="b.id",
    )
    for model in (Embedding, Descriptor):
        name = model._meta.db_table
        _copy(
            cursor,
            model,
            f"preferences_picture p WHERE t.picture_id = (SELECT min(picture_id) FROM {name})"
            f" AND NOT EXISTS (SELECT 1 FROM {name} e WHERE e.picture_id = p.id)",
            picture_id="p.id",
        )


def _copy_searches(cursor: Any, original: Session) -> None:
    """One of each session, with its job."""
    _copy(
        cursor,
        Job,
        f"(SELECT s.id, row_number() OVER () AS n FROM preferences_session s WHERE s.id <> '{original.pk}') s"
        " WHERE t.kind = 'preferences.tasks.make_trial'",
        id=f"{2 * FAR} + s.n",
        subject="s.id::text",
    )
    _copy(
        cursor,
        Search,
        f"preferences_job j JOIN preferences_session s ON s.id::text = j.subject WHERE j.id > {2 * FAR}",
        session_id="s.id",
        job_id="j.id",
    )


def write_files(pictures: int) -> None:
    """The files of a batch; all batches have the same."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoded = images.encode(noise)
    for slot in range(1, pictures + 1):
        default_storage.save(f"{slot}.png", ContentFile(encoded.png))
        default_storage.save(f"{slot}.webp", ContentFile(encoded.thumbnail))


def _play(pictures: int) -> Session:
    """A session with one batch that is drawn, rated and searched; its files are tiny."""
    rng = np.random.default_rng(0)
    fields = {"prompt": ONE_SESSION, "model": settings.IPO_DEFAULT_MODEL, "width": 64, "height": 64}
    session = session_services.start_session(local_user(), uuid.uuid4(), fields | {"curation_size": pictures})
    batch = session.batches.get()
    now = timezone.now() - timedelta(days=1)
    for candidate in batch.candidates.all():
        candidate.picture = Picture.objects.create(
            owner=session.owner,
            image=f"{candidate.slot}.png",
            thumbnail=f"{candidate.slot}.webp",
            width=64,
            height=64,
            vector=rng.normal(size=DIMENSION),
        )
        candidate.state, candidate.score, candidate.distance, candidate.drawn_at = "ready", 0.5, 40.0, now
        candidate.save()
        vector = rng.normal(size=DIMENSION)
        Embedding.objects.create(picture=candidate.picture, encoder="siglip", revision="1", vector=vector)
        Descriptor.objects.create(picture=candidate.picture, name="colours", vector=vector)
        rating.rate(candidate, "good" if candidate.slot % 3 else "bad", uuid.uuid4())
    Job.objects.filter(pk=batch.job_id).update(state=Job.State.DONE, finished_at=now)
    OptimizerState.objects.create(
        batch=batch,
        value_model=session.value_model,
        metrics={"held_out_accuracy": 0.7},
        note="Learned from what was said.",
        parameters=rng.bytes(20_000),
    )
    trial = {"settings": {"xgboost_trees": 50, "xgboost_depth": 8, "xgboost_learning_rate": 0.1}, "loss": 0.6}
    search = start_search(session)
    Search.objects.filter(pk=search.pk).update(trials=[trial] * 100)
    Job.objects.filter(pk=search.job_id).update(state=Job.State.DONE, done=100, finished_at=now)
    Worker.objects.create(name="gpu@here", state=Worker.State.READY, model=session.model, seen_at=timezone.now())
    return session


def _redrawn(cursor: Any, session: str, batch: int, attempts: int) -> None:
    pk = uuid.uuid4()
    _copy(
        cursor,
        Session,
        f"(SELECT) one WHERE t.id = '{session}'",
        id=f"'{pk}'",
        prompt=f"'{REDRAWN}'",
        form_submit="false",
    )
    job = f"{FAR - 1}"
    _copy(cursor, Job, f"preferences_batch b WHERE b.id = {batch} AND t.id = b.job_id", id=job, subject=f"'{pk}'")
    _copy(
        cursor,
        Batch,
        f"(SELECT) one WHERE t.id = {batch}",
        session_id=f"'{pk}'",
        job_id=job,
        number="1",
    )
    of_slot = f"{2 * FAR} + c.slot * {PLACES} + n"
    _copy(
        cursor,
        Picture,
        f"preferences_candidate c, generate_series(1, {attempts}) n WHERE c.batch_id = {batch} AND t.id = c.picture_id",
        id=of_slot,
    )
    _copy(
        cursor,
        Candidate,
        f"preferences_batch b, preferences_candidate c, generate_series(1, {attempts}) n"
        f" WHERE t.batch_id = {batch} AND b.session_id = '{pk}' AND c.id = t.id",
        batch_id="b.id",
        attempt="n",
        picture_id=of_slot,
    )


def _copy(cursor: Any, model: type[Model], source: str, **columns: str) -> None:
    """Insert rows of a table `t` of its own, with some columns changed; those that are added later come along."""
    fields = [str(field.column) for field in model._meta.local_concrete_fields]
    if "id" not in columns:
        fields.remove("id")
    names = ", ".join(f'"{name}"' for name in fields)
    values = ", ".join(columns.get(name, f't."{name}"') for name in fields)
    table = model._meta.db_table
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, {source}")
