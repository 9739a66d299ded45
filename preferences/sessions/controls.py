"""The controls: what a person can set, as typed columns, in three groups.

A session holds the present ones; each batch a copy of those by which it is drawn and learned for.
"""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models

from generation import wire
from generation.types import bounds
from preferences.feedback.kinds import GoodBad, ways_of_asking
from preferences.sessions.control_fields import Controls, control, number, whole

PROMPT_LIMIT = 2000
DEFAULT_SERVER = "http://127.0.0.1:8580"


class ValueModel(models.TextChoices):
    BAYESIAN = "bayesian", "Bayesian"
    GAUSSIAN = "gaussian", "Gaussian"
    RIDGE = "ridge", "Ridge"
    XGBOOST = "xgboost", "XGBoost"


# The value models whose utility an optimiser climbs.
CLIMBED = (ValueModel.BAYESIAN, ValueModel.RIDGE, ValueModel.XGBOOST)


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


class DrawingControls(Controls):
    """Abstract: how many pictures are drawn, how, and where.

    What a model's entry has a default for has its bounds there.
    """

    # These say where pictures are drawn and how many at once, and change nothing in them.
    WHERE: ClassVar[tuple[str, ...]] = ("inference_batch", "generation_mode", "server_url")

    curation_size = whole("Curation Size", 8, "Pictures in a batch.", bounds=bounds("curation_size"))
    inference_batch = whole(
        "Inference Batch",
        0,
        "Pictures drawn at once; 0 finds out what is fastest.",
        bounds=bounds("inference_batch"),
    )
    delta_scale = number(
        "Delta Scale",
        10.0,
        "How strongly PooledEmbed and PromptEmbed pull at the prompt's embedding.",
        bounds=bounds("delta_scale"),
    )
    diff_steps = whole("Diff Steps", 10, "Denoising steps a picture.", bounds=bounds("steps"))
    guidance = number("Guidance", 1.0, "Classifier-free guidance; 1 or less is off.", bounds=bounds("guidance"))
    noise_seed = whole("Noise Seed", 42, "One fixed noise, so that only the steering differs.", bounds=(0, 2**32 - 1))
    generation_mode = control(
        models.CharField(
            "Generation mode",
            max_length=10,
            choices=GenerationMode.choices,
            default=GenerationMode.LOCAL,
            help_text="Server: another machine draws (manage.py generation_server).",
        )
    )
    server_url = control(
        models.CharField(
            "Server URL", max_length=200, default=DEFAULT_SERVER, blank=True, validators=[validate_server]
        ),
        only_for=[GenerationMode.SERVER],
    )

    class Meta:
        abstract = True

    @property
    def server(self) -> str:
        """The URL of the generation service that draws; empty where the worker itself does."""
        return self.server_url if self.generation_mode == GenerationMode.SERVER else ""


class LearningControls(Controls):
    """Abstract: the learner's, each a field of LearningConfig of the same name.

    Lengths are degrees in Latent (noise is moved by rotation) and plain lengths among embeddings.
    """

    value_model = control(
        models.CharField("Value model", max_length=20, choices=ValueModel.choices, default=ValueModel.BAYESIAN)
    )
    # The predecessor starts at Random. Around the average of the good pictures both value models follow the ratings
    # about twice as well (simulated users, docs/adr/0001); the first batch is Random either way.
    start = control(models.CharField("Start", max_length=20, choices=Start.choices, default=Start.AVG_GOOD))
    start_radius = number(
        "Start Radius",
        90.0,
        "How far Random strays: degrees in Latent, a length among embeddings.",
        bounds=(0, 1000),
    )
    max_dist = number(
        "Max Dist",
        45.0,
        "How far the learner may go from its start, in the same unit; 0 = no limit.",
        bounds=(0, 1000),
    )
    draws_per_picture = whole(
        "Draws per Picture",
        1,
        "So many are drawn for each that you see, and the one whose looks suit you best is kept: slower, and better.",
        bounds=bounds("draws_per_picture"),
        only_for=[ValueModel.BAYESIAN],
    )
    temperature = number(
        "Temperature",
        1.0,
        "How much the pictures of a batch differ.",
        bounds=(0, 100),
        only_for=[ValueModel.BAYESIAN, ValueModel.GAUSSIAN],
    )
    ridge_alpha = number(
        "Ridge Alpha",
        1000.0,
        "More is shyer; 0 chooses by leave-one-out.",
        bounds=(0, 1e9),
        only_for=[ValueModel.RIDGE, ValueModel.XGBOOST],
    )
    xgboost_trees = whole("Trees", 50, bounds=(1, 1000), only_for=[ValueModel.XGBOOST])
    xgboost_depth = whole("Depth", 8, bounds=(1, 32), only_for=[ValueModel.XGBOOST])
    xgboost_learning_rate = number("Learning Rate", 0.1, bounds=(0.001, 1), only_for=[ValueModel.XGBOOST])
    xgboost_subsample = number(
        "Row Share", 1.0, "Of the ratings, drawn anew for each tree.", bounds=(0.1, 1), only_for=[ValueModel.XGBOOST]
    )
    xgboost_colsample_bytree = number(
        "Column Share",
        1.0,
        "Of a vector's numbers, drawn anew for each tree.",
        bounds=(0.001, 1),
        only_for=[ValueModel.XGBOOST],
    )
    xgboost_min_child_weight = number(
        "Min Child Weight",
        1.0,
        "More keeps a tree from splitting off single pictures.",
        bounds=(0, 100),
        only_for=[ValueModel.XGBOOST],
    )
    xgboost_gamma = number(
        "Gamma", 0.0, "What a split must gain at least.", bounds=(0, 100), only_for=[ValueModel.XGBOOST]
    )
    xgboost_reg_lambda = number(
        "Lambda", 1.0, "L2 penalty on the leaves; more is shyer.", bounds=(0, 1000), only_for=[ValueModel.XGBOOST]
    )
    optimiser = control(
        models.CharField(
            "Optimiser",
            max_length=10,
            choices=Optimiser.choices,
            default=Optimiser.OWN,
            blank=True,
            help_text="How candidates are moved to where the value model predicts more.",
        ),
        only_for=CLIMBED,
    )
    optim_steps = whole("Optim Steps", 100, "Steps of the ascent.", bounds=(1, 1000), only_for=CLIMBED)
    step_size = number(
        "Step Size", 1.0, "Length of a step, in the unit of Max Dist.", bounds=(1e-4, 1000), only_for=CLIMBED
    )
    momentum = number(
        "Momentum",
        0.9,
        "How much of its last direction a step keeps.",
        bounds=(0, 0.999),
        only_for=[Optimiser.SPSA],
    )

    class Meta:
        abstract = True


class PageControls(Controls):
    """Abstract: how a session's page asks and looks. Nothing that is drawn depends on them, so no batch has a copy."""

    asking = control(
        models.CharField(
            "You say",
            max_length=20,
            choices=ways_of_asking,
            default=GoodBad.name,
            help_text="Change it whenever you like: nothing that you said is lost.",
        )
    )
    images_per_row = whole("Imgs/Row", -1, "-1 fits them to the window.", bounds=(-1, 16))
    form_submit = control(
        models.BooleanField(
            "Form Submit",
            default=True,
            help_text="Rate as many as you like, then submit the batch. Off: each vote redraws its picture at once.",
        )
    )
    unrated_is_bad = control(
        models.BooleanField(
            "Unrated is bad", default=False, help_text="On submit, pictures without a rating count as bad."
        )
    )
    regenerate_all = control(
        models.BooleanField(
            "Regen All", default=False, help_text="With Form Submit off: a vote redraws every unrated picture."
        )
    )

    class Meta:
        abstract = True
