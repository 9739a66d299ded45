"""The models that IPO knows. A new model is one entry here, or one in the setting IPO_EXTRA_MODELS
(extra_models.py)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generation.errors import UnknownModel
from generation.types import EncoderSpec, ModelSpec

WEIGHTS = Path(__file__).parent / "bundled" / "weights"
SCHNELL = Path(__file__).parent / "bundled" / "flux-schnell.json"
# FLUX in diffusers' layout that anybody may read: Black Forest Labs' own repositories are gated, both of them.
OPEN_FLUX = "diffusers/FLUX.1-dev-bnb-4bit"

ENCODERS: dict[str, EncoderSpec] = {
    "pocket-siglip": EncoderSpec("pocket-siglip", str(WEIGHTS / "pocket-siglip"), dimension=96),
    "siglip-base": EncoderSpec("siglip-base", "google/siglip-base-patch16-224", dimension=768),
    "siglip2-base": EncoderSpec("siglip2-base", "google/siglip2-base-patch16-224", dimension=768),
}

# What the two FLUX models have in common.
FLUX: dict[str, Any] = {
    "family": "flux",
    "sampler": "Euler",
    "dtype": "bfloat16",
    "quantization": "nf4",
    "width": 512,
    "height": 512,
    "hidden_size": 4096,
    "pooled_size": 768,
    "prompt_tokens": 256,
    "latent_channels": 16,
    "example_prompt": "a calm landscape at sunset",
    "encoder": "siglip-base",
    "preview_vae": "madebyollin/taef1",
    "needs_cuda": True,
    "kept_gb": 11.5,
    "memory_gb": 9.0,  # while it draws: the transformer 6.7, encoder and others 1.2, activations; see pipelines/flux.py
}

BUILTIN: dict[str, ModelSpec] = {
    "pocket-landscapes": ModelSpec(
        key="pocket-landscapes",
        label="Pocket Landscapes (bundled, 128 px)",
        source=str(WEIGHTS / "pocket-landscapes"),
        family="stable_diffusion",
        sampler="DDIM",
        dtype="float32",
        width=128,
        height=128,
        steps=4,
        guidance=1.0,
        hidden_size=128,
        prompt_tokens=32,
        example_prompt="a calm landscape at sunset",
        largest_side=256,
        delta_scale=12.0,
        inference_batch=8,
        memory_gb=1.0,
        encoder="pocket-siglip",
        draws_per_picture=3,
    ),
    "sd-turbo": ModelSpec(
        key="sd-turbo",
        label="SD-Turbo (512 px, needs CUDA)",
        source="stabilityai/sd-turbo",
        family="stable_diffusion",
        dtype="float16",
        width=512,
        height=512,
        steps=4,  # with LCM fewer leave artifacts, more blur
        guidance=0.0,
        hidden_size=1024,
        example_prompt="a calm landscape at sunset",
        scheduler="lcm",
        sampler="LCM",
        variant="fp16",
        preview_vae="madebyollin/taesd",
        memory_gb=4.0,
        download_gb=2.6,
        encoder="siglip-base",
        draws_per_picture=3,
        needs_cuda=True,
    ),
    "flux-schnell": ModelSpec(
        key="flux-schnell",
        label="FLUX.1 schnell (512 px, needs CUDA and a licence)",
        source="black-forest-labs/FLUX.1-schnell",
        is_gated=True,
        download_gb=33.8,
        steps=4,
        guidance=0.0,
        **FLUX,
    ),
    "flux-dev": ModelSpec(
        key="flux-dev",
        label="FLUX.1 dev (512 px, needs CUDA and a licence)",
        source="black-forest-labs/FLUX.1-dev",
        is_gated=True,
        download_gb=33.8,
        steps=20,
        guidance=3.5,
        **FLUX,
    ),
    # In four bits already, as one file each: a third of the download, and no licence to accept before it.
    "flux-schnell-nf4": ModelSpec(
        key="flux-schnell-nf4",
        label="FLUX.1 schnell, one file in NF4 (512 px, needs CUDA)",
        single_file="duuuuuuuden/flux1-schnell-nf4-v2/*.safetensors",
        source=OPEN_FLUX,  # schnell has dev's tokenizers, text encoders and autoencoder
        changes=str(SCHNELL),
        download_gb=12.1,
        steps=4,
        guidance=0.0,
        **FLUX,
    ),
    "flux-dev-nf4": ModelSpec(
        key="flux-dev-nf4",
        label="FLUX.1 dev, one file in NF4 (512 px, needs CUDA)",
        single_file="lllyasviel/flux1-dev-bnb-nf4/flux1-dev-bnb-nf4-v2.safetensors",
        source=OPEN_FLUX,
        download_gb=12.1,
        steps=20,
        guidance=3.5,
        **FLUX,
    ),
}


# Ways to draw faster, by name; pipelines.speedups has them.
SPEEDUPS = ("channels_last", "fused_projections", "compiled")


def speedups(names: str) -> tuple[str, ...]:
    """Those of a list with commas. Raises ValueError, one sentence, for a name that is none."""
    found = tuple(filter(None, names.replace(" ", "").split(",")))
    for name in found:
        if name not in SPEEDUPS:
            raise ValueError(f"there is no “{name}”: choose among {', '.join(SPEEDUPS)}.")
    return found


def get(models: Mapping[str, ModelSpec], key: str) -> ModelSpec:
    """The spec of a key, or UnknownModel with the keys that there are."""
    try:
        return models[key]
    except KeyError:
        known = ", ".join(models)
        raise UnknownModel(f"There is no model “{key}”. Choose one of: {known}.") from None


def encoder(key: str) -> EncoderSpec:
    """The spec of a key, or UnknownModel with the keys that there are."""
    try:
        return ENCODERS[key]
    except KeyError:
        raise UnknownModel(f"There is no image encoder “{key}”. Choose one of: {', '.join(ENCODERS)}.") from None


def named(models: Mapping[str, ModelSpec], name: str) -> ModelSpec | None:
    """The spec of a key, or of an id at Hugging Face if that is one model's alone; None where there is no such model.

    A model of a single file goes by the repository of that file, not by the one of its configurations.
    """
    if name in models:
        return models[name]
    own = [one for one in models.values() if name == (one.single_file_parts[0] if one.single_file else one.source)]
    return own[0] if len(own) == 1 else None
