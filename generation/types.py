"""Plain data that crosses the border of this package: no torch, no ORM."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]  # [height, width, 3]
SpaceKey = Literal["latent", "pooled_embed", "prompt_embed"]


@dataclass(frozen=True)
class ModelSpec:
    """What the registry knows of a model. A folder, or a Hugging Face id, that diffusers can load.

    Sizes are pixels; `dtype` is the name of a torch dtype; `delta_scale`, `start_radius`, `max_dist` and
    `step_size` are the model's own defaults of the controls of the same name, by space where they differ.
    """

    key: str
    label: str
    source: str
    family: Literal["stable_diffusion", "flux"]
    dtype: str
    width: int
    height: int
    steps: int
    guidance: float
    hidden_size: int
    example_prompt: str
    prompt_tokens: int = 77  # of the prompt that the model reads, and hidden_size numbers for each
    pooled_size: int = 0  # of the embedding of the prompt as a whole, where the model has one
    scheduler: Literal["own", "lcm"] = "own"
    sampler: str = ""  # its usual name, for the texts in a PNG
    quantization: Literal["", "nf4"] = ""  # of the large parts, once, and then kept; by bitsandbytes
    # All parts in one file, as Forge and ComfyUI have it: a path, or owner/name/file of a Hugging Face repository.
    # Configurations, tokenizers and scheduler are then taken from `source`.
    single_file: str = ""
    # Where some of those are another model's: a JSON file that says, for each file, which of its settings differ.
    changes: str = ""
    latent_channels: int = 4
    latent_downsampling: int = 8
    largest_side: int = 1024
    encoder: str = ""  # what reads its pictures for the learner: a key of registry.ENCODERS; empty = no encoder does
    draws_per_picture: int = 1
    delta_scale: float = 10.0
    inference_batch: int = 0  # pictures in a pass; 0 finds out what is fastest
    curation_size: int = 8
    needs_cuda: bool = False
    memory_gb: float = 0.0  # of the GPU, or of the machine where it needs none, to draw one picture; 0 = not known
    download_gb: float = 0.0  # what is fetched for it; 0 = not known
    kept_gb: float = 0.0  # what is kept beside that, quantised or converted
    preview_vae: str = ""  # a tiny autoencoder (folder, or Hugging Face id) that shows what is being drawn
    variant: str = ""  # of the weights' files, where there are several, as "fp16"
    is_gated: bool = False  # its licence must be accepted before the weights can be downloaded
    spaces: tuple[SpaceKey, ...] = ("latent", "pooled_embed", "prompt_embed")

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


@dataclass(frozen=True)
class Hardware:
    """What draws: its name, and its memory in GB (10^9 bytes)."""

    name: str
    gigabytes: float
    is_gpu: bool
