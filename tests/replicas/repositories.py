"""The repositories of the hub that IPO reads, by name: `write` makes the replica of one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from generation import registry
from generation.types import ModelSpec
from tests.replicas import one_file, parts, vocabularies

SIDE = 64  # pixels: of the registry's entries only the size differs, and that they need no GPU where there is none
# What is gigabytes on the hub, and nothing here has a use for: whoever fetches it fails the walk.
UNWANTED = b"This file is gigabytes on the hub, and must not be fetched."
DEV_V1 = "lllyasviel/flux1-dev-bnb-nf4/flux1-dev-bnb-nf4.safetensors"


def sd_turbo(folder: Path) -> None:
    """Weights in two precisions; no safety checker, no feature extractor; a scheduler that IPO replaces."""
    _index(
        folder,
        "StableDiffusionPipeline",
        "0.24.0.dev0",
        feature_extractor=[None, None],
        image_encoder=[None, None],
        requires_safety_checker=True,
        safety_checker=[None, None],
        scheduler=["diffusers", "EulerDiscreteScheduler"],
        text_encoder=["transformers", "CLIPTextModel"],
        tokenizer=["transformers", "CLIPTokenizer"],
        unet=["diffusers", "UNet2DConditionModel"],
        vae=["diffusers", "AutoencoderKL"],
    )
    _json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "EulerDiscreteScheduler",
            "_diffusers_version": "0.24.0.dev0",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "interpolation_type": "linear",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "timestep_spacing": "trailing",
            "timestep_type": "discrete",
            "trained_betas": None,
            "use_karras_sigmas": False,
        },
    )
    vocabularies.clip(folder / "tokenizer", pad="!")
    text = parts.CLIP | {"hidden_act": "gelu", "hidden_size": 1024, "num_attention_heads": 16, "projection_dim": 512}
    parts.write(folder / "text_encoder", text | {"torch_dtype": "float32"}, "float32", half=True)
    parts.write(folder / "unet", parts.UNET, "float32", half=True)
    parts.write(folder / "vae", parts.SD_VAE, "float32", half=True)
    (folder / "sd_turbo.safetensors").write_bytes(UNWANTED)
    (folder / "README.md").write_text("---\npipeline_tag: text-to-image\n---\n")


def _flux(folder: Path, transformer: dict[str, Any], scheduler: dict[str, Any]) -> None:
    _index(
        folder,
        "FluxPipeline",
        "0.30.0.dev0",
        scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"],
        text_encoder=["transformers", "CLIPTextModel"],
        text_encoder_2=["transformers", "T5EncoderModel"],
        tokenizer=["transformers", "CLIPTokenizer"],
        tokenizer_2=["transformers", "T5TokenizerFast"],
        transformer=["diffusers", "FluxTransformer2DModel"],
        vae=["diffusers", "AutoencoderKL"],
    )
    _json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "_diffusers_version": "0.30.0.dev0",
            "base_image_seq_len": 256,
            "base_shift": 0.5,
            "max_image_seq_len": 4096,
            "max_shift": 1.15,
            "num_train_timesteps": 1000,
            **scheduler,
        },
    )
    vocabularies.clip(folder / "tokenizer", pad="<|endoftext|>")
    vocabularies.t5(folder / "tokenizer_2")
    parts.write(folder / "text_encoder", parts.CLIP, "bfloat16")
    parts.write(folder / "text_encoder_2", parts.T5, "bfloat16", shards=2)
    parts.write(folder / "transformer", transformer, "bfloat16", shards=3)
    parts.write(folder / "vae", parts.FLUX_VAE, "bfloat16")
    (folder / "ae.safetensors").write_bytes(UNWANTED)
    (folder / "README.md").write_text("---\npipeline_tag: text-to-image\n---\n")


DISTILLED = {"guidance_embeds": False}
STILL, SHIFTED = ({"shift": 1.0, "use_dynamic_shifting": False}, {"shift": 3.0, "use_dynamic_shifting": True})


def flux_schnell(folder: Path) -> None:
    """Reads no guidance, and its steps are not shifted."""
    _flux(folder, parts.TRANSFORMER | DISTILLED, STILL)
    (folder / "flux1-schnell.safetensors").write_bytes(UNWANTED)


def flux_dev(folder: Path) -> None:
    """Reads guidance; how its steps are shifted depends on the size."""
    _flux(folder, parts.TRANSFORMER, SHIFTED)
    (folder / "flux1-dev.safetensors").write_bytes(UNWANTED)


def flux_dev_4bit(folder: Path) -> None:
    """The base of the single files: only its small files are wanted. It says itself that it is in four bits."""
    _flux(folder, parts.TRANSFORMER, SHIFTED)
    (folder / "ae.safetensors").unlink()
    four = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    for part in ("transformer", "text_encoder_2"):
        config = json.loads((folder / part / "config.json").read_text())
        _json(folder / part / "config.json", config | {"quantization_config": four})
    for weights in folder.rglob("*.safetensors"):
        weights.write_bytes(UNWANTED)


def _one_file(file: Path, transformer: dict[str, Any], *, nested: bool) -> None:
    configs = {
        "transformer": transformer,
        "vae": parts.FLUX_VAE,
        "text_encoder": parts.CLIP,
        "text_encoder_2": parts.T5,
    }
    built = {part: parts.built(config, seed=1) for part, config in configs.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        one_file.write(SimpleNamespace(**built), file, nested=nested, everything=True)


def dev_files(folder: Path) -> None:
    """Two versions; the scales of the first are quantised as well."""
    _one_file(folder / "flux1-dev-bnb-nf4.safetensors", parts.TRANSFORMER, nested=True)
    _one_file(folder / "flux1-dev-bnb-nf4-v2.safetensors", parts.TRANSFORMER, nested=False)


def schnell_file(folder: Path) -> None:
    """One, whose name the registry leaves open."""
    _one_file(folder / "flux1-schnell-nf4-v2.safetensors", parts.TRANSFORMER | DISTILLED, nested=False)


def _siglip(folder: Path, words: int, resample: int) -> None:
    parts.write(folder, parts.siglip(words), "float32")
    _json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "SiglipProcessor",
            "resample": resample,
            "rescale_factor": 1 / 255,
            "size": {"height": 224, "width": 224},
        },
    )


def siglip(folder: Path) -> None:
    """Its tokenizer is spiece.model alone."""
    _siglip(folder, vocabularies.SIGLIP_SIZE, resample=3)
    vocabularies.siglip(folder)


def siglip2(folder: Path) -> None:
    """Of a fixed resolution: SigLIP's classes, with the tokenizer of Gemma."""
    _siglip(folder, vocabularies.GEMMA_SIZE, resample=2)
    vocabularies.gemma(folder)


def tiny_vae(channels: int, **settings: Any) -> Callable[[Path], None]:
    """Of previews; beside it the same in the layout of its author."""

    def write(folder: Path) -> None:
        parts.write(folder, parts.TINY_VAE | {"latent_channels": channels, **settings}, "float32")

    return write


REPOSITORIES: dict[str, Callable[[Path], None]] = {
    "stabilityai/sd-turbo": sd_turbo,
    "black-forest-labs/FLUX.1-schnell": flux_schnell,
    "black-forest-labs/FLUX.1-dev": flux_dev,
    "diffusers/FLUX.1-dev-bnb-4bit": flux_dev_4bit,
    "lllyasviel/flux1-dev-bnb-nf4": dev_files,
    "duuuuuuuden/flux1-schnell-nf4-v2": schnell_file,
    "google/siglip-base-patch16-224": siglip,
    "google/siglip2-base-patch16-224": siglip2,
    "madebyollin/taesd": tiny_vae(4),
    "madebyollin/taef1": tiny_vae(16),
}


def write(name: str, folder: Path) -> Path:
    """Write the replica of a repository into `folder`, unless it is there. Returns the folder."""
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.draft")
        draft.mkdir(parents=True)
        REPOSITORIES[name](draft)
        draft.rename(folder)
    return folder


def needed(spec: ModelSpec) -> Iterator[str]:
    """The repositories that a model of the registry comes from, its encoder and previews included."""
    encoder = registry.ENCODERS.get(spec.encoder)
    places = [spec.source, spec.preview_vae, encoder.source if encoder else ""]
    if spec.single_file:
        places.append(spec.single_file_parts[0])
    yield from (place for place in places if place and not Path(place).is_dir())


def models() -> dict[str, ModelSpec]:
    """What there are replicas of: every model of the registry that comes from a hub, and the first file of dev."""
    specs = {key: spec for key, spec in registry.BUILTIN.items() if list(needed(spec))}
    first = replace(specs["flux-dev-nf4"], key="flux-dev-nf4-v1", single_file=DEV_V1, spaces=("latent",))
    specs[first.key] = first
    cuda = torch.cuda.is_available()
    tiny = {"width": SIDE, "height": SIDE, "needs_cuda": cuda, "download_gb": 0.0, "kept_gb": 0.0}
    return {key: replace(spec, **tiny) for key, spec in specs.items()}


def local(spec: ModelSpec, folder: Path) -> ModelSpec:
    """The spec of the replica as folders on this machine, written below `folder`; its encoder stays as it is."""
    places = {name: write(name, folder / name) for name in needed(spec)}
    file = spec.single_file
    if file:
        repository, pattern = spec.single_file_parts
        (path,) = places[repository].glob(pattern)
        file = str(path)
    source, preview = (str(places.get(place, place)) for place in (spec.source, spec.preview_vae))
    return replace(spec, source=source, preview_vae=preview if spec.preview_vae else "", single_file=file)


def _index(folder: Path, kind: str, version: str, **entries: Any) -> None:
    _json(folder / "model_index.json", {"_class_name": kind, "_diffusers_version": version, **entries})


def _json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))
