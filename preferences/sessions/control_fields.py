"""A control is a column that a person can set. All that is known of one stands once: at its column."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import CheckConstraint, Q
from django.utils.choices import CallableChoiceIterator

Bounds = tuple[float, float]
Column = TypeVar("Column", bound="models.Field[Any, Any]")


@dataclass(frozen=True)
class Control:
    """What is known of a control besides what Django keeps with a column.

    `bounds`: its smallest and its largest value, None where it is no number. `only_for`: the choices of other controls
    that listen to it, of which one must be chosen for the form to show it; empty = always shown.
    """

    bounds: Bounds | None = None
    only_for: tuple[str, ...] = ()


def control(column: Column, bounds: Bounds | None = None, only_for: Iterable[str] = ()) -> Column:
    """Make a control of a column. Tables that inherit the column have it too; migrations see a plain one."""
    column.control = Control(bounds, tuple(only_for))  # type: ignore[attr-defined]
    return column


def whole(
    label: str, default: int, help_text: str = "", *, bounds: Bounds, only_for: Iterable[str] = ()
) -> "models.BigIntegerField[Any, Any]":
    """A control that is a whole number."""
    column = models.BigIntegerField(label, default=default, help_text=help_text, validators=_limits(bounds))
    return control(column, bounds, only_for)


def number(
    label: str, default: float, help_text: str = "", *, bounds: Bounds, only_for: Iterable[str] = ()
) -> "models.FloatField[Any, Any]":
    """A control that is a number."""
    column = models.FloatField(label, default=default, help_text=help_text, validators=_limits(bounds))
    return control(column, bounds, only_for)


def _limits(bounds: Bounds) -> list[Any]:
    low, high = bounds
    return [MinValueValidator(low), MaxValueValidator(high)]


class Controls(models.Model):
    """Abstract: a group of controls, or a table with such groups."""

    class Meta:
        abstract = True

    @classmethod
    def control_fields(cls) -> dict[str, Control]:
        """Its controls by name, in the order in which pages show them."""
        return {field.name: field.control for field in cls._meta.fields if hasattr(field, "control")}

    @classmethod
    def control_constraints(cls) -> list[CheckConstraint]:
        """For the Meta of a table with this group: the database holds to the bounds and the choices too."""
        columns = {column.name: column for column in cls._meta.fields}
        found = []
        for name, about in cls.control_fields().items():
            choices = columns[name].choices
            if about.bounds is not None:
                within = Q(**{f"{name}__range": about.bounds})
                found.append(CheckConstraint(name=f"%(class)s_{name}_range", condition=within))
            # Choices that are a function may grow without a migration, and are checked by forms alone.
            elif choices and not isinstance(choices, CallableChoiceIterator):
                known = Q(**{f"{name}__in": [key for key, _ in choices]})
                found.append(CheckConstraint(name=f"%(class)s_{name}", condition=known))
        return found

    def controls(self, of: "type[Controls] | None" = None) -> dict[str, Any]:
        """The value of each control by name; only of those that this group or table has, if one is given."""
        return {name: getattr(self, name) for name in (of or type(self)).control_fields()}
