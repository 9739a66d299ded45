"""The full-size architectures with random weights: speed does not depend on the values.

So a machine without the weights, or without a network, can measure the models, honestly labelled. The configurations
are those that the models' own repositories publish. NARROW ones, of the same classes, rehearse a measurement where the
full ones would take hours.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from generation.pipelines.quantization import written_once
from generation.types import ModelSpec

AUTOENCODER: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}
SD_TURBO: dict[str, dict[str, Any]] = {
    "unet": {
        "sample_size": 64,
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
    },
    "vae": {**AUTOENCODER, "sample_size": 768},
    "text_encoder": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 23,
        "num_attention_heads": 16,
    },
}
FLUX: dict[str, dict[str, Any]] = {
    "transformer": {},  # its defaults are those of FLUX.1
    "vae": {
        **AUTOENCODER,
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "sample_size": 1024,
    },
    "text_encoder": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "text_encoder_2": {
        "d_model": 4096,
        "d_ff": 10240,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    },
}
_THIN: dict[str, Any] = {"block_out_channels": (32,) * 4, "layers_per_block": 1, "norm_num_groups": 8}
_ONE_LAYER = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
NARROW: dict[str, dict[str, dict[str, Any]]] = {  # by family: what differs from the full size
    "stable_diffusion": {
        "unet": {**_THIN, "attention_head_dim": 4, "cross_attention_dim": 64},
        "vae": _THIN,
        "text_encoder": _ONE_LAYER,
    },
    "flux": {
        "transformer": {
            "num_layers": 1,
            "num_single_layers": 1,
            "num_attention_heads": 1,
            "attention_head_dim": 32,
            "joint_attention_dim": 64,
            "pooled_projection_dim": 64,
            "axes_dims_rope": (8, 12, 12),
        },
        "vae": _THIN,
        "text_encoder": _ONE_LAYER,
        "text_encoder_2": {"d_model": 64, "d_ff": 64, "num_layers": 1, "num_heads": 2},
    },
}
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
CLIP_WORDS = 49408


def narrowed(spec: ModelSpec) -> ModelSpec:
    """The spec of a NARROW model of its family, at 64 px, which any machine can draw."""
    pooled = 64 if spec.family == "flux" else 0
    changes: dict[str, Any] = {"dtype": "float32", "quantization": "", "needs_cuda": False, "hidden_size": 64}
    return replace(spec, **changes, width=64, height=64, pooled_size=pooled)


def written(spec: ModelSpec, folder: Path, *, is_narrow: bool = False) -> ModelSpec:
    """The spec of the same architecture in `folder`, written there if it is not yet. Its label says what it is."""
    if is_narrow:
        spec = narrowed(spec)
    parts = _parts(spec.family, is_narrow)
    with written_once(folder) as draft:
        if draft is not None:
            dtype = torch.get_default_dtype()
            torch.set_default_dtype(getattr(torch, spec.dtype))
            try:
                with torch.random.fork_rng(), torch.device("cuda" if torch.cuda.is_available() else "cpu"):
                    torch.manual_seed(0)
                    pipe = build(spec, parts)
            finally:
                torch.set_default_dtype(dtype)
            pipe.save_pretrained(draft, safe_serialization=True)
    label = f"{spec.label}, random weights"
    return replace(spec, source=str(folder), single_file="", variant="", label=label, encoder="")


def build(spec: ModelSpec, parts: Mapping[str, dict[str, Any]]) -> DiffusionPipeline:
    """On the default device and of the default dtype; `parts` is the configuration of each."""
    if spec.family == "flux":
        return FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=AutoencoderKL(**parts["vae"]),
            text_encoder=_clip(parts["text_encoder"]),
            tokenizer=clip_tokenizer(CLIP_WORDS),
            text_encoder_2=T5EncoderModel(T5Config(vocab_size=32128, d_kv=64, **parts["text_encoder_2"])),
            tokenizer_2=t5_tokenizer(),
            transformer=FluxTransformer2DModel(**parts["transformer"], guidance_embeds=spec.guidance > 0),
        )
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(**parts["unet"]),
        vae=AutoencoderKL(**parts["vae"]),
        text_encoder=_clip(parts["text_encoder"]),
        tokenizer=clip_tokenizer(CLIP_WORDS),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="trailing",
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tiny_autoencoder(spec: ModelSpec, folder: Path) -> str:
    """A folder with the architecture of TAESD, which shows what is being drawn, and random weights."""
    with written_once(folder) as draft:
        if draft is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                AutoencoderTiny(latent_channels=spec.latent_channels).save_pretrained(draft)
    return str(folder)


def _parts(family: str, is_narrow: bool) -> dict[str, dict[str, Any]]:
    full = FLUX if family == "flux" else SD_TURBO
    less = NARROW[family] if is_narrow else {}
    return {name: {**config, **less.get(name, {})} for name, config in full.items()}


def _clip(config: dict[str, Any]) -> CLIPTextModel:
    ends = {"bos_token_id": CLIP_WORDS - 2, "eos_token_id": CLIP_WORDS - 1, "pad_token_id": CLIP_WORDS - 1}
    return CLIPTextModel(CLIPTextConfig(vocab_size=CLIP_WORDS, **ends, **config))


def clip_tokenizer(size: int) -> CLIPTokenizer:
    """Reads letters; the ids of its ends are the last two of `size`, as in the real one."""
    words = {word: number for number, word in enumerate([*LETTERS, *(letter + "</w>" for letter in LETTERS)])}
    words |= {"<|startoftext|>": size - 2, "<|endoftext|>": size - 1}
    return CLIPTokenizer(vocab=words, merges=[], model_max_length=77)


def t5_tokenizer() -> T5Tokenizer:
    """Reads letters, with 30 ids."""
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)] + [(one, -3.0) for one in LETTERS]
    return T5Tokenizer(vocab=words, extra_ids=0)
