"""Plain data that crosses the border of this package: no torch, no ORM."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self, cast, get_type_hints

import numpy as np
import numpy.typing as npt
from annotated_types import Interval, Len, Predicate

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]  # [height, width, 3]
SpaceKey = Literal["latent", "pooled_embed", "prompt_embed"]
# What is allowed of a model's entry; generation/extra_models.py checks those of the user.
Text = Annotated[str, Len(0, 500), Predicate(str.isprintable)]
Words = Annotated[str, Len(1, 500), Predicate(str.isprintable)]
Side = Annotated[int, Interval(ge=64, le=4096)]
Gigabytes = Annotated[float, Interval(ge=0, le=10_000)]


@dataclass(frozen=True)
class ModelSpec:
    """What the registry knows of a model. A folder, or a Hugging Face id, that diffusers can load.

    Sizes are pixels; `dtype` is the name of a torch dtype; `delta_scale`, `start_radius`, `max_dist` and
    `step_size` are the model's own defaults of the controls of the same name, by space where they differ.
    """

    key: str
    label: Words
    source: Words
    family: Literal["stable_diffusion", "flux"]
    dtype: Literal["float32", "float16", "bfloat16"]
    width: Side
    height: Side
    steps: Annotated[int, Interval(ge=1, le=200)]
    guidance: Annotated[float, Interval(ge=0, le=30)]
    hidden_size: Annotated[int, Interval(ge=1, le=65_536)]
    example_prompt: Words
    prompt_tokens: Annotated[int, Interval(ge=1, le=4096)] = (
        77  # of the prompt that the model reads, and hidden_size numbers for each
    )
    pooled_size: Annotated[int, Interval(ge=0, le=65_536)] = (
        0  # of the embedding of the prompt as a whole, where the model has one
    )
    scheduler: Literal["own", "lcm"] = "own"
    sampler: Text = ""  # its usual name, for the texts in a PNG
    quantization: Literal["", "nf4"] = ""  # of the large parts, once, and then kept; by bitsandbytes
    # All parts in one file, as Forge and ComfyUI have it: a path, or owner/name/file of a Hugging Face repository.
    # Configurations, tokenizers and scheduler are then taken from `source`.
    single_file: Text = ""
    # Where some of those are another model's: a JSON file that says, for each file, which of its settings differ.
    changes: Text = ""
    latent_channels: Annotated[int, Interval(ge=1, le=256)] = 4
    latent_downsampling: Annotated[int, Interval(ge=1, le=64)] = 8
    largest_side: Side = 1024
    encoder: Text = ""  # what reads its pictures for the learner: a key of registry.ENCODERS; empty = no encoder does
    draws_per_picture: Annotated[int, Interval(ge=1, le=8)] = 1
    delta_scale: Annotated[float, Interval(ge=0, le=1000)] = 10.0
    inference_batch: Annotated[int, Interval(ge=0, le=16)] = 0  # pictures in a pass; 0 finds out what is fastest
    curation_size: Annotated[int, Interval(ge=1, le=200)] = 8
    needs_cuda: bool = False
    memory_gb: Gigabytes = 0.0  # of the GPU, or of the machine where it needs none, to draw one picture; 0 = not known
    download_gb: Gigabytes = 0.0  # what is fetched for it; 0 = not known
    kept_gb: Gigabytes = 0.0  # what is kept beside that, quantised or converted
    preview_vae: Text = ""  # a tiny autoencoder (folder, or Hugging Face id) that shows what is being drawn
    variant: Text = ""  # of the weights' files, where there are several, as "fp16"
    is_gated: bool = False  # its licence must be accepted before the weights can be downloaded
    spaces: Annotated[tuple[SpaceKey, ...], Len(1, 3)] = ("latent", "pooled_embed", "prompt_embed")

    @property
    def single_file_parts(self) -> tuple[str, str]:
        """Repository and file of a single file that is named as owner/name/file; the file is empty if it is not."""
        owner, name, file = (*self.single_file.split("/", 2), "", "")[:3]
        return f"{owner}/{name}", file

    @property
    def precision(self) -> str:
        """In words."""
        return "NF4 (4 bits)" if self.quantization == "nf4" else self.dtype

    @property
    def side_step(self) -> int:
        """Width and height are multiples of this, in pixels: FLUX reads latents in patches of 2 x 2."""
        return self.latent_downsampling * (2 if self.family == "flux" else 1)

    @property
    def reads_negative_prompt(self) -> bool:
        """Whether a negative prompt changes anything."""
        return self.family != "flux"


@dataclass(frozen=True)
class EncoderSpec:
    """What the registry knows of an image-text encoder.

    `source` is a folder, or a Hugging Face id, that transformers can load; its vectors have `dimension` numbers.
    """

    key: str
    source: str
    dimension: int


def bounds(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a number in a model's entry."""
    hint = get_type_hints(ModelSpec, include_extras=True)[name]
    (limits,) = (one for one in hint.__metadata__ if isinstance(one, Interval))
    return cast(tuple[float, float], (limits.ge, limits.le))


@dataclass(frozen=True)
class GenerationRequest:
    """One forward pass: n pictures of one prompt that differ in their steering vector.

    `vectors` is float32 [n, dimension of the space]. `noise_seed` fixes the initial noise of the embedding
    spaces; `step_seed` fixes the noise that a scheduler adds between steps. Both are the same for every
    picture of a session, so that only the steering differs.
    """

    prompt: str
    negative_prompt: str
    space: str
    vectors: Vectors
    width: int
    height: int
    steps: int
    guidance: float
    delta_scale: float
    noise_seed: int
    step_seed: int
    # Told the number of the first picture, and how it and those after it look by now.
    on_preview: Callable[[int, list[Pixels]], None] | None = field(default=None, compare=False)
    on_step: Callable[[int, int], None] | None = field(default=None, compare=False)
    should_stop: Callable[[], bool] | None = field(default=None, compare=False)
    # Told the seconds that drawing took, without waiting and loading.
    on_drawn: Callable[[float], None] | None = field(default=None, compare=False)

    @classmethod
    def by_default(cls, spec: ModelSpec, space: str, vectors: Vectors, seed: int) -> Self:
        """Of the model's example prompt, in the model's own size, steps and scales; `seed` is that of both noises."""
        return cls(
            prompt=spec.example_prompt,
            negative_prompt="",
            space=space,
            vectors=vectors,
            width=spec.width,
            height=spec.height,
            steps=spec.steps,
            guidance=spec.guidance,
            delta_scale=spec.delta_scale,
            noise_seed=seed,
            step_seed=seed,
        )

    def part(self, first: int, stop: int) -> "GenerationRequest":
        """The pictures from number `first` to the one before `stop`, as a request of their own."""
        on_preview = self.on_preview
        shifted = None if on_preview is None else lambda number, shown: on_preview(first + number, shown)
        return replace(self, vectors=self.vectors[first:stop], on_preview=shifted)


@dataclass(frozen=True)
class Picture:
    """One drawn picture: uint8 [height, width, 3], or the sentence that says why there is none."""

    pixels: Pixels | None
    error: str = ""
    revision: str = ""  # of the model's weights, where it is known


@dataclass(frozen=True)
class Embedded:
    """What an encoder reads in pictures or texts: unit vectors [n, dimension], and which encoder it was.

    Vectors of two revisions of an encoder are not to be compared.
    """

    vectors: Vectors
    encoder: str  # its key
    revision: str


@dataclass(frozen=True)
class Hardware:
    """What draws: its name, and its memory in GB (10^9 bytes)."""

    name: str
    gigabytes: float
    is_gpu: bool
