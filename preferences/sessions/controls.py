"""The controls: what a person can set, as typed columns. A session holds the present ones, each batch a copy."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import BaseConstraint, CheckConstraint, Q

from generation import wire
from generation.types import bounds
from preferences.feedback.kinds import GoodBad, ways_of_asking

PROMPT_LIMIT = 2000
DEFAULT_SERVER = "http://127.0.0.1:8580"

# Smallest and largest value of each number; the form, the model's validation and the database all use these.
# What a model's entry gives a default for has its bounds there.
RANGES: dict[str, tuple[float, float]] = {
    "curation_size": bounds("curation_size"),
    "draws_per_picture": bounds("draws_per_picture"),
    "inference_batch": bounds("inference_batch"),
    "images_per_row": (-1, 16),
    "delta_scale": bounds("delta_scale"),
    "noise_seed": (0, 2**32 - 1),
    "diff_steps": bounds("steps"),
    "guidance": bounds("guidance"),
    "start_radius": (0, 1000),
    "max_dist": (0, 1000),
    "temperature": (0, 100),
    "ridge_alpha": (0, 1e9),
    "optim_steps": (1, 1000),
    "step_size": (1e-4, 1000),
    "xgboost_trees": (1, 1000),
    "xgboost_depth": (1, 32),
    "xgboost_learning_rate": (0.001, 1),
    "xgboost_subsample": (0.1, 1),
    "xgboost_colsample_bytree": (0.001, 1),
    "xgboost_min_child_weight": (0, 100),
    "xgboost_gamma": (0, 100),
    "xgboost_reg_lambda": (0, 1000),
    "momentum": (0, 0.999),
}


class ValueModel(models.TextChoices):
    BAYESIAN = "bayesian", "Bayesian"
    GAUSSIAN = "gaussian", "Gaussian"
    RIDGE = "ridge", "Ridge"
    XGBOOST = "xgboost", "XGBoost"


class Optimiser(models.TextChoices):
    OWN = "", "The value model's own"
    HILL = "hill", "Hill"
    LINE = "line", "Line"
    SPSA = "spsa", "Grad (SPSA)"


class Start(models.TextChoices):
    RANDOM = "random", "Random"
    PROMPT = "prompt", "Prompt"
    AVG_GOOD = "avg_good", "AvgGood"
    PROMPT_AVG_GOOD = "prompt_avg_good", "Prompt+AvgGood"
    GOOD_DIST = "good_dist", "GoodDist"


class GenerationMode(models.TextChoices):
    LOCAL = "local", "Local"
    SERVER = "server", "Server"


def validate_server(text: str) -> None:
    """Raises ValidationError. Django's own validator refuses the plain names that machines have at home."""
    if not wire.is_address(text):
        raise ValidationError(f"This is not the address of a server: it looks like {DEFAULT_SERVER}.")


def _validators(name: str) -> list[Any]:
    low, high = RANGES[name]
    return [MinValueValidator(low), MaxValueValidator(high)]


def _whole(name: str, label: str, default: int, help_text: str = "") -> "models.BigIntegerField[Any, Any]":
    return models.BigIntegerField(label, default=default, help_text=help_text, validators=_validators(name))


def _number(name: str, label: str, default: float, help_text: str = "") -> "models.FloatField[Any, Any]":
    return models.FloatField(label, default=default, help_text=help_text, validators=_validators(name))


_CONSTRAINTS: list[BaseConstraint] = [
    *(
        CheckConstraint(name="%(class)s_" + name + "_range", condition=Q(**{f"{name}__range": (low, high)}))
        for name, (low, high) in RANGES.items()
    ),
    CheckConstraint(name="%(class)s_value_model", condition=Q(value_model__in=ValueModel.values)),
    CheckConstraint(name="%(class)s_optimiser", condition=Q(optimiser__in=Optimiser.values)),
    CheckConstraint(name="%(class)s_start", condition=Q(start__in=Start.values)),
]


class Controls(models.Model):
    """Abstract. Lengths are degrees in Latent (noise is moved by rotation) and plain lengths among embeddings."""

    # The order in which the form shows them; the second group stays under "Advanced".
    COMMON: ClassVar[tuple[str, ...]] = ("asking", "value_model", "start", "curation_size", "inference_batch")
    ADVANCED: ClassVar[tuple[str, ...]] = (
        "delta_scale",
        "diff_steps",
        "guidance",
        "noise_seed",
        "start_radius",
        "max_dist",
        "draws_per_picture",
        "temperature",
        "ridge_alpha",
        "xgboost_trees",
        "xgboost_depth",
        "xgboost_learning_rate",
        "xgboost_subsample",
        "xgboost_colsample_bytree",
        "xgboost_min_child_weight",
        "xgboost_gamma",
        "xgboost_reg_lambda",
        "optimiser",
        "optim_steps",
        "step_size",
        "momentum",
        "images_per_row",
        "form_submit",
        "unrated_is_bad",
        "regenerate_all",
        "generation_mode",
        "server_url",
    )
    # These say where pictures are drawn and how many at once, and change nothing in them.
    WHERE: ClassVar[tuple[str, ...]] = ("inference_batch", "generation_mode", "server_url")
    # Controls that only some choices of another one listen to; the form hides them while none of these is chosen.
    ONLY_FOR: ClassVar[dict[str, tuple[str, ...]]] = {
        "draws_per_picture": ("bayesian",),
        "temperature": ("bayesian", "gaussian"),
        "ridge_alpha": ("ridge", "xgboost"),
        "xgboost_trees": ("xgboost",),
        "xgboost_depth": ("xgboost",),
        "xgboost_learning_rate": ("xgboost",),
        "xgboost_subsample": ("xgboost",),
        "xgboost_colsample_bytree": ("xgboost",),
        "xgboost_min_child_weight": ("xgboost",),
        "xgboost_gamma": ("xgboost",),
        "xgboost_reg_lambda": ("xgboost",),
        "optimiser": ("bayesian", "ridge", "xgboost"),
        "optim_steps": ("bayesian", "ridge", "xgboost"),
        "step_size": ("bayesian", "ridge", "xgboost"),
        "momentum": ("spsa",),
        "server_url": ("server",),
    }

    asking = models.CharField(
        "You say",
        max_length=10,
        choices=ways_of_asking,
        default=GoodBad.name,
        help_text="Change it whenever you like: nothing that you said is lost.",
    )
    value_model = models.CharField(
        "Value model", max_length=20, choices=ValueModel.choices, default=ValueModel.BAYESIAN
    )
    optimiser = models.CharField(
        "Optimiser",
        max_length=10,
        choices=Optimiser.choices,
        default=Optimiser.OWN,
        blank=True,
        help_text="How candidates are moved to where the value model predicts more.",
    )
    # The predecessor starts at Random. Around the average of the good pictures both value models follow the ratings
    # about twice as well (simulated users, docs/adr/0001); the first batch is Random either way.
    start = models.CharField("Start", max_length=20, choices=Start.choices, default=Start.AVG_GOOD)
    curation_size = _whole("curation_size", "Curation Size", 8, "Pictures in a batch.")
    inference_batch = _whole(
        "inference_batch", "Inference Batch", 0, "Pictures drawn at once; 0 finds out what is fastest."
    )
    draws_per_picture = _whole(
        "draws_per_picture",
        "Draws per Picture",
        1,
        "So many are drawn for each that you see, and the one whose looks suit you best is kept: slower, and better.",
    )
    images_per_row = _whole("images_per_row", "Imgs/Row", -1, "-1 fits them to the window.")
    delta_scale = _number(
        "delta_scale", "Delta Scale", 10.0, "How strongly PooledEmbed and PromptEmbed pull at the prompt's embedding."
    )
    noise_seed = _whole("noise_seed", "Noise Seed", 42, "One fixed noise, so that only the steering differs.")
    diff_steps = _whole("diff_steps", "Diff Steps", 10, "Denoising steps a picture.")
    guidance = _number("guidance", "Guidance", 1.0, "Classifier-free guidance; 1 or less is off.")
    start_radius = _number(
        "start_radius",
        "Start Radius",
        90.0,
        "How far Random strays: degrees in Latent, a length among embeddings.",
    )
    max_dist = _number(
        "max_dist",
        "Max Dist",
        45.0,
        "How far the learner may go from its start, in the same unit; 0 = no limit.",
    )
    temperature = _number("temperature", "Temperature", 1.0, "How much the pictures of a batch differ.")
    ridge_alpha = _number("ridge_alpha", "Ridge Alpha", 1000.0, "More is shyer; 0 chooses by leave-one-out.")
    optim_steps = _whole("optim_steps", "Optim Steps", 100, "Steps of the ascent.")
    step_size = _number("step_size", "Step Size", 1.0, "Length of a step, in the unit of Max Dist.")
    momentum = _number("momentum", "Momentum", 0.9, "How much of its last direction a step keeps.")
    form_submit = models.BooleanField(
        "Form Submit",
        default=True,
        help_text="Rate as many as you like, then submit the batch. Off: each vote redraws its picture at once.",
    )
    unrated_is_bad = models.BooleanField(
        "Unrated is bad", default=False, help_text="On submit, pictures without a rating count as bad."
    )
    regenerate_all = models.BooleanField(
        "Regen All", default=False, help_text="With Form Submit off: a vote redraws every unrated picture."
    )
    generation_mode = models.CharField(
        "Generation mode",
        max_length=10,
        choices=GenerationMode.choices,
        default=GenerationMode.LOCAL,
        help_text="Server: another machine draws (manage.py generation_server).",
    )
    server_url = models.CharField(
        "Server URL", max_length=200, default=DEFAULT_SERVER, blank=True, validators=[validate_server]
    )
    xgboost_trees = _whole("xgboost_trees", "Trees", 50)
    xgboost_depth = _whole("xgboost_depth", "Depth", 8)
    xgboost_learning_rate = _number("xgboost_learning_rate", "Learning Rate", 0.1)
    xgboost_subsample = _number("xgboost_subsample", "Row Share", 1.0, "Of the ratings, drawn anew for each tree.")
    xgboost_colsample_bytree = _number(
        "xgboost_colsample_bytree", "Column Share", 1.0, "Of a vector's numbers, drawn anew for each tree."
    )
    xgboost_min_child_weight = _number(
        "xgboost_min_child_weight", "Min Child Weight", 1.0, "More keeps a tree from splitting off single pictures."
    )
    xgboost_gamma = _number("xgboost_gamma", "Gamma", 0.0, "What a split must gain at least.")
    xgboost_reg_lambda = _number("xgboost_reg_lambda", "Lambda", 1.0, "L2 penalty on the leaves; more is shyer.")

    class Meta:
        abstract = True
        constraints = _CONSTRAINTS

    @classmethod
    def control_names(cls) -> tuple[str, ...]:
        return cls.COMMON + cls.ADVANCED

    @property
    def server(self) -> str:
        """The URL of the generation service that draws; empty where the worker itself does."""
        return self.server_url if self.generation_mode == GenerationMode.SERVER else ""

    def controls(self) -> dict[str, Any]:
        """Every control's value by name."""
        return {name: getattr(self, name) for name in self.control_names()}
