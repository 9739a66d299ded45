"""The parts of pipelines: configurations as the hub has them, weights by the names that it has, few of both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, FluxTransformer2DModel, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, PreTrainedModel, SiglipModel, T5EncoderModel

from tests.replicas import vocabularies

FOUR = 4  # levels of an autoencoder or a UNet
CLASSES = {kind.__name__: kind for kind in (AutoencoderKL, AutoencoderTiny, FluxTransformer2DModel)}
CLASSES |= {kind.__name__: kind for kind in (UNet2DConditionModel, CLIPTextModel, SiglipModel, T5EncoderModel)}

UNET = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.24.0.dev0",
    "act_fn": "silu",
    "addition_embed_type": None,
    "attention_head_dim": [1, 1, 1, 1],
    "block_out_channels": [32, 32, 64, 64],  # two in a group where there is one pixel left
    "center_input_sample": False,
    "cross_attention_dim": 1024,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "num_attention_heads": None,
    "only_cross_attention": False,
    "out_channels": 4,
    "resnet_time_scale_shift": "default",
    "sample_size": 64,
    "transformer_layers_per_block": 1,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "upcast_attention": None,
    "use_linear_projection": True,
}
SD_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.24.0.dev0",
    "act_fn": "silu",
    "block_out_channels": [32] * FOUR,
    "down_block_types": ["DownEncoderBlock2D"] * FOUR,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 768,
    "scaling_factor": 0.18215,
    "up_block_types": ["UpDecoderBlock2D"] * FOUR,
}
FLUX_VAE: dict[str, Any] = SD_VAE | {
    "_diffusers_version": "0.30.0.dev0",
    "latent_channels": 16,
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "sample_size": 1024,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_post_quant_conv": False,
    "use_quant_conv": False,
}
TINY_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderTiny",
    "_diffusers_version": "0.20.0.dev0",
    "act_fn": "relu",
    "decoder_block_out_channels": [8] * FOUR,
    "encoder_block_out_channels": [8] * FOUR,
    "force_upcast": False,
    "in_channels": 3,
    "latent_channels": 4,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "num_decoder_blocks": [1] * FOUR,
    "num_encoder_blocks": [1] * FOUR,
    "out_channels": 3,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}
TRANSFORMER: dict[str, Any] = {
    "_class_name": "FluxTransformer2DModel",
    "_diffusers_version": "0.30.0.dev0",
    "attention_head_dim": 128,
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 1,
    "num_layers": 2,
    "num_single_layers": 2,
    "patch_size": 1,
    "pooled_projection_dim": 768,
}
CLIP: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,  # as the hub has it: not the tokenizer's, and CLIP takes the largest id for the end
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 1,
    "pad_token_id": 1,
    "projection_dim": 768,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.3",
    "vocab_size": vocabularies.CLIP_SIZE,
}
T5: dict[str, Any] = {
    "architectures": ["T5EncoderModel"],
    "classifier_dropout": 0.0,
    "d_ff": 64,
    "d_kv": 64,
    "d_model": 4096,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "num_decoder_layers": 1,
    "num_heads": 1,
    "num_layers": 1,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.3",
    "use_cache": True,
    "vocab_size": 192,  # more than the tokenizer has, as in the real one
}


def siglip(words: int) -> dict[str, Any]:
    """The configuration of SigLIP and of SigLIP2 at a fixed resolution: it names what differs from the defaults."""
    few = {"intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 12}
    return {
        "architectures": ["SiglipModel"],
        "initializer_factor": 1.0,
        "model_type": "siglip",
        "text_config": {"model_type": "siglip_text_model", "vocab_size": words, **few},
        "torch_dtype": "float32",
        "transformers_version": "4.37.0.dev0",
        "vision_config": {"model_type": "siglip_vision_model", **few},
    }


def built(config: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """A model of a configuration with random weights: float32, fixed by `seed`."""
    kind: Any = CLASSES[config.get("_class_name") or config["architectures"][0]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if issubclass(kind, PreTrainedModel):
            model = kind(kind.config_class.from_dict(dict(config)))
        else:
            model = kind.from_config(config)
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and name.endswith("weight"):  # so that what is drawn differs from pixel to pixel
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return model.eval()


def named(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights by the names under which the hub has them."""
    tensors = dict(model.named_parameters())
    if isinstance(model, CLIPTextModel):
        tensors = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in tensors.items()}
    tensors.pop("encoder.embed_tokens.weight", None)  # T5's, which it shares
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def write(folder: Path, config: dict[str, Any], dtype: str, *, shards: int = 1, half: bool = False) -> None:
    """Configuration and weights of a part; in several files, or besides as the variant fp16, as the hub has them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    stem = "diffusion_pytorch_model" if "_class_name" in config else "model"
    tensors = named(built(config))
    for variant, kind in (("", dtype), (".fp16", "float16")) if half else (("", dtype),):
        save({name: one.to(getattr(torch, kind)) for name, one in tensors.items()}, folder, f"{stem}{variant}", shards)


def save(tensors: dict[str, torch.Tensor], folder: Path, stem: str, shards: int) -> None:
    """As one file, or as several with an index."""
    if shards == 1:
        save_file(tensors, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        return
    files: dict[str, str] = {}
    for number, names in enumerate(_split(sorted(tensors), shards), 1):
        file = f"{stem}-{number:05d}-of-{shards:05d}.safetensors"
        save_file({name: tensors[name] for name in names}, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(names, file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": files}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _split(names: list[str], shards: int) -> Sequence[list[str]]:
    return [names[number::shards] for number in range(shards)]
