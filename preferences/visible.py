"""Rows that belong to somebody: every read for a page begins with `visible_to`."""

from typing import ClassVar, Self, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

Row = TypeVar("Row", bound=models.Model)


class Visible(models.QuerySet[Row]):
    owner_path: ClassVar[str] = "owner"

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(**{self.owner_path: user.pk})


class OfSession(Visible[Row]):
    owner_path = "session__owner"


class OfBatch(Visible[Row]):
    owner_path = "batch__session__owner"
