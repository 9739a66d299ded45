"""Tables of pictures, whoever made them, and of what is seen in them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint
from pgvector.django import VectorField

from preferences.visible import Visible

Vector = npt.NDArray[np.float32]


class Float32Field(models.BinaryField[Any, Any]):
    """A vector: a numpy array [d] of float32 in, the same out (read-only); four bytes a number, little-endian."""

    def from_db_value(self, value: Any, *_: object) -> Vector | None:
        return None if value is None else np.frombuffer(bytes(value), "<f4")

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        raw = None if value is None else np.ascontiguousarray(value, "<f4").tobytes()
        return super().get_db_prep_value(raw, connection, prepared)


class Picture(models.Model):
    """A picture, with what drew it. It exists without a session: it may be uploaded or imported."""

    class Source(models.TextChoices):
        DRAWN = "drawn", "Drawn"
        UPLOADED = "uploaded", "Uploaded"
        IMPORTED = "imported", "Imported"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="pictures", db_index=False)
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.DRAWN)
    image = models.FileField(max_length=255)
    thumbnail = models.FileField(max_length=255)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the image's file, in hexadecimal digits.")
    width = models.PositiveIntegerField(help_text="In pixels.")
    height = models.PositiveIntegerField(help_text="In pixels.")
    starred = models.BooleanField(default=False)
    prompt = models.TextField(blank=True)
    negative_prompt = models.TextField(blank=True)
    model = models.CharField(max_length=100, blank=True)
    model_revision = models.CharField(max_length=100, blank=True, help_text="Of the model's weights.")
    space = models.CharField(max_length=20, blank=True)
    steps = models.BigIntegerField(null=True, blank=True)
    guidance = models.FloatField(null=True, blank=True)
    delta_scale = models.FloatField(null=True, blank=True)
    noise_seed = models.BigIntegerField(null=True, blank=True)
    vector = Float32Field(null=True, help_text="The steering vector, if one steered it.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Visible.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["owner", "-id"], name="picture_newest_of_owner")]
        constraints = [
            CheckConstraint(name="picture_source", condition=Q(source__in=["drawn", "uploaded", "imported"])),
            CheckConstraint(name="picture_has_files", condition=~Q(image="") & ~Q(thumbnail="")),
        ]

    def __str__(self) -> str:
        return f"picture {self.pk}"


class Embedding(models.Model):
    """What an image-text encoder sees in a picture (SigLIP base: 768 numbers), for each encoder with an index."""

    picture = models.ForeignKey(Picture, models.CASCADE, related_name="embeddings", db_index=False)
    encoder = models.CharField(max_length=100)
    revision = models.CharField(max_length=100, help_text="Of its weights: only vectors of the same can be compared.")
    vector = VectorField()

    class Meta:
        constraints = [UniqueConstraint(name="embedding_once", fields=["picture", "encoder"])]

    def __str__(self) -> str:
        return f"{self.encoder} of {self.picture_id}"


class Descriptor(models.Model):
    """What is measured in a picture without an encoder: its colours, balance, detail, highlights."""

    picture = models.ForeignKey(Picture, models.CASCADE, related_name="descriptors", db_index=False)
    name = models.CharField(max_length=100)
    vector = Float32Field()

    class Meta:
        constraints = [UniqueConstraint(name="descriptor_once", fields=["picture", "name"])]

    def __str__(self) -> str:
        return f"{self.name} of {self.picture_id}"
