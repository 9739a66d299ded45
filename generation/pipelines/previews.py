"""What becomes of a picture, shown while it is drawn: the latents of a step, decoded roughly and fast."""

import logging
import time
from collections.abc import Callable
from typing import Any, cast

import httpx2
import torch
from diffusers import AutoencoderTiny

from generation.types import GenerationRequest, ModelSpec, Pixels

log = logging.getLogger(__name__)
SECONDS = 1.0  # between two previews at least: what is drawn faster needs none

Look = Callable[[torch.Tensor], list[Pixels]]


def load(spec: ModelSpec, device: str) -> Look | None:
    """By the spec's tiny autoencoder (TAESD, Bohan 2023): latents [n, channels, h, w] -> n pictures uint8 [H, W, 3].

    None where it has none, or where that cannot be loaded: pictures are drawn all the same.
    """
    if not spec.preview_vae:
        return None
    dtype = getattr(torch, spec.dtype)
    try:
        vae = AutoencoderTiny.from_pretrained(spec.preview_vae, dtype=dtype).to(device)
    except (OSError, ValueError, httpx2.HTTPError) as error:
        log.warning("No previews: %s could not be loaded (%s).", spec.preview_vae, str(error).splitlines()[0])
        return None

    def look(latents: torch.Tensor) -> list[Pixels]:
        images = vae.decode(latents.to(dtype) / vae.config.scaling_factor, return_dict=False)[0]
        shown = (images * 0.5 + 0.5).nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8)
        return [cast(Any, image.permute(1, 2, 0).cpu().numpy()) for image in shown]

    return look


class Show:
    """Calls a request's `on_preview` from step to step, as often as makes sense."""

    def __init__(self, request: GenerationRequest, look: Look | None) -> None:
        self._request = request
        self._look = look
        self._last = time.monotonic()

    def step(self, done: int, latents: torch.Tensor) -> None:
        """After `done` steps; the last one is followed by the picture itself."""
        if self._request.on_preview is None or self._look is None or done >= self._request.steps:
            return
        if time.monotonic() - self._last >= SECONDS:
            self._request.on_preview(0, self._look(latents))
            self._last = time.monotonic()
