"""What a person may send of a session, and what is said when it does not fit."""

import unicodedata
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from django import forms
from django.conf import settings
from django.forms.models import model_to_dict

from generation import spaces
from generation.types import ModelSpec
from preferences.sessions.controls import (
    PROMPT_LIMIT,
    DrawingControls,
    GenerationMode,
    LearningControls,
    Optimiser,
    PageControls,
)
from preferences.sessions.models import Session
from preferences.sessions.text import is_visible

SMALLEST_SIDE = 64
# Left empty, these take the default of the chosen model or space.
FROM_MODEL = {
    "width": "width",
    "height": "height",
    "diff_steps": "steps",
    "guidance": "guidance",
    "delta_scale": "delta_scale",
    "curation_size": "curation_size",
    "inference_batch": "inference_batch",
    "draws_per_picture": "draws_per_picture",
}
FROM_SPACE = ("start_radius", "max_dist", "step_size", "ridge_alpha")
# Shown at once; the other controls stay under "Advanced", each in its group.
IN_FRONT = ("asking", "value_model", "start", "curation_size", "inference_batch")
GROUPS = {
    title: [name for name in group.control_fields() if name not in IN_FRONT]
    for title, group in (("Drawing", DrawingControls), ("Learning", LearningControls), ("Page", PageControls))
}
CONTROLS = (*IN_FRONT, *chain(*GROUPS.values()))
ONLY_FOR = {name: control.only_for for name, control in Session.control_fields().items() if control.only_for}
# With the classes that tie it to the choices that listen to it.
ShownField = tuple[forms.BoundField, str]


def _without_control_characters(text: str) -> str:
    if any(unicodedata.category(char) == "Cc" and char not in "\n\r\t" for char in text):
        raise forms.ValidationError("This text has control characters in it: please remove them.")
    return text


class LearningForm(forms.ModelForm[Session]):
    """What starting a session and changing its controls have in common."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*ONLY_FOR, "asking", "generation_mode"):
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self._fill({name: getattr(self.instance, name) for name in ONLY_FOR})
        for name in ("asking", "generation_mode", "server_url"):
            if name not in self.errors:
                data[name] = data.get(name) or self.initial.get(name) or getattr(self.instance, name)
        if data.get("value_model") not in ONLY_FOR["optimiser"]:
            data["optimiser"] = Optimiser.OWN  # this value model has no choice, and the form shows none
        return data

    def clean_server_url(self) -> str:
        return str(self.cleaned_data["server_url"]).rstrip("/")

    def _fill(self, defaults: Mapping[str, Any]) -> None:
        """Let what was left empty have its default."""
        for name, value in defaults.items():
            if self.cleaned_data.get(name) is None and name not in self.errors:
                self.cleaned_data[name] = value

    def groups(self) -> list[tuple[str, list[ShownField]]]:
        """The controls that are not in front, under the title of their group."""
        return [(title, self._fields(names)) for title, names in GROUPS.items()]

    def _fields(self, names: Iterable[str]) -> list[ShownField]:
        return [(self[name], " ".join(f"for-{key}" for key in ONLY_FOR.get(name, ()))) for name in names]


class SessionForm(LearningForm):
    """Starts a session. Fields that depend on the model may stay empty and then take its defaults."""

    id = forms.UUIDField(widget=forms.HiddenInput)
    model = forms.ChoiceField(label="Model")

    class Meta:
        model = Session
        fields = (
            "prompt",
            "negative_prompt",
            "slot",
            "model",
            "space",
            "width",
            "height",
            *CONTROLS,
        )
        widgets = {
            "prompt": forms.Textarea({"rows": 2, "autofocus": True}),
            "negative_prompt": forms.TextInput,
        }
        error_messages = {
            "prompt": {
                "max_length": f"The prompt is too long: at most {PROMPT_LIMIT} characters, yours has %(show_value)s.",
                "required": "Please write a prompt: what should be in the picture?",
            },
        }

    def __init__(self, *args: Any, copied: Session | None = None, **kwargs: Any) -> None:
        """`copied` fills the boxes, with all of its own that another model has too where its model is gone."""
        super().__init__(*args, **kwargs)
        specs: dict[str, ModelSpec] = settings.IPO_MODELS
        model = self.fields["model"]
        assert isinstance(model, forms.ChoiceField)
        model.choices = [(key, spec.label) for key, spec in specs.items()]
        model.error_messages["invalid_choice"] = "There is no model “%(value)s”: choose one from the list."
        model.initial = settings.IPO_DEFAULT_MODEL
        shown = specs[settings.IPO_DEFAULT_MODEL]
        for name, attribute in FROM_MODEL.items():
            self._optional(name, getattr(shown, attribute))
        for name in FROM_SPACE:
            self._optional(name, getattr(spaces.LATENT, name))
        self.fields["prompt"].widget.attrs["placeholder"] = shown.example_prompt
        if settings.IPO_GENERATION_SERVER:
            self.initial.update(generation_mode=GenerationMode.SERVER, server_url=settings.IPO_GENERATION_SERVER)
        if copied is not None:
            left_out = () if copied.is_model_known else ("model", *FROM_MODEL)
            self.initial.update(model_to_dict(copied, [name for name in self.Meta.fields if name not in left_out]))

    def _optional(self, name: str, default: float) -> None:
        field = self.fields[name]
        field.required = False
        field.initial = None
        self.initial.pop(name, None)
        field.widget.attrs["placeholder"] = f"{default:g}"

    def clean_prompt(self) -> str:
        prompt = _without_control_characters(self.cleaned_data["prompt"])
        if not is_visible(prompt):
            raise forms.ValidationError("Please write a prompt: nothing of this one can be seen.")
        return prompt

    def clean_negative_prompt(self) -> str:
        return _without_control_characters(self.cleaned_data["negative_prompt"])

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        spec: ModelSpec | None = settings.IPO_MODELS.get(data.get("model", ""))
        space = spaces.SPACES.get(data.get("space", ""))
        if spec is not None and space is not None:
            if space.key not in spec.spaces:
                self.add_error("space", f"{spec.label} cannot be steered in {space.label}: choose another space.")
            self._fill({name: getattr(spec, attribute) for name, attribute in FROM_MODEL.items()})
            self._fill({name: getattr(space, name) for name in FROM_SPACE})
            for name in ("width", "height"):
                self._check_side(name, data.get(name), spec)
            if data.get("negative_prompt") and not spec.reads_negative_prompt:
                self.add_error("negative_prompt", f"{spec.label} reads no negative prompt: leave it empty.")
        return super().clean()

    def _check_side(self, name: str, pixels: int | None, spec: ModelSpec) -> None:
        if pixels is None:
            return
        label = self.fields[name].label
        if pixels % spec.side_step:
            nearest = max(SMALLEST_SIDE, round(pixels / spec.side_step) * spec.side_step)
            self.add_error(name, f"{label} must be a multiple of {spec.side_step}: try {nearest}.")
        elif not SMALLEST_SIDE <= pixels <= spec.largest_side:
            self.add_error(name, f"{label} must be from {SMALLEST_SIDE} to {spec.largest_side} pixels with this model.")

    def common(self) -> list[ShownField]:
        return self._fields(("model", "space", *IN_FRONT))

    def advanced(self) -> list[ShownField]:
        """What a session has besides its controls."""
        return self._fields(("negative_prompt", "slot", "width", "height"))


class ControlsForm(LearningForm):
    """Changes what the next batch will use."""

    class Meta:
        model = Session
        fields = CONTROLS

    def common(self) -> list[ShownField]:
        return self._fields(IN_FRONT)
