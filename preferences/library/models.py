"""Tables of pictures, whoever made them."""

from django.db import models
from django.db.models import UniqueConstraint
from pgvector.django import VectorField


class Embedding(models.Model):
    """What an image encoder sees in a candidate (SigLIP base: 768 numbers), or one of its visual descriptors."""

    candidate = models.ForeignKey("preferences.Candidate", models.CASCADE, related_name="embeddings")
    encoder = models.CharField(max_length=100, help_text="Or the name of the descriptor.")
    vector = VectorField()

    class Meta:
        constraints = [UniqueConstraint(name="embedding_once", fields=["candidate", "encoder"])]

    def __str__(self) -> str:
        return f"{self.encoder} of {self.candidate_id}"
