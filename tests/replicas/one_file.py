"""FLUX of one file, as Forge and ComfyUI have it: all parts by Black Forest Labs' own names, mostly in NF4."""

import itertools
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors.torch import save_file

# Black Forest Labs' name of each tensor of the transformer, and diffusers' names of what it is put together from.
DOUBLE = {
    "img_mod.lin": ["norm1.linear"],
    "txt_mod.lin": ["norm1_context.linear"],
    "img_attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
    "txt_attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "img_attn.norm.query_norm": ["attn.norm_q"],
    "img_attn.norm.key_norm": ["attn.norm_k"],
    "txt_attn.norm.query_norm": ["attn.norm_added_q"],
    "txt_attn.norm.key_norm": ["attn.norm_added_k"],
    "img_attn.proj": ["attn.to_out.0"],
    "txt_attn.proj": ["attn.to_add_out"],
    "img_mlp.0": ["ff.net.0.proj"],
    "img_mlp.2": ["ff.net.2"],
    "txt_mlp.0": ["ff_context.net.0.proj"],
    "txt_mlp.2": ["ff_context.net.2"],
}
SINGLE = {
    "modulation.lin": ["norm.linear"],
    "linear1": ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
    "linear2": ["proj_out"],
    "norm.query_norm": ["attn.norm_q"],
    "norm.key_norm": ["attn.norm_k"],
}
REST = {
    "img_in": ["x_embedder"],
    "txt_in": ["context_embedder"],
    "time_in.in_layer": ["time_text_embed.timestep_embedder.linear_1"],
    "time_in.out_layer": ["time_text_embed.timestep_embedder.linear_2"],
    "vector_in.in_layer": ["time_text_embed.text_embedder.linear_1"],
    "vector_in.out_layer": ["time_text_embed.text_embedder.linear_2"],
    "guidance_in.in_layer": ["time_text_embed.guidance_embedder.linear_1"],
    "guidance_in.out_layer": ["time_text_embed.guidance_embedder.linear_2"],
    "final_layer.linear": ["proj_out"],
    "final_layer.adaLN_modulation.1": ["norm_out.linear"],
}
VAE = [  # in this order, from diffusers' names to the original ones
    ("mid_block.attentions.0.", "mid.attn_1."),
    ("group_norm", "norm"),
    ("to_out.0", "proj_out"),
    *((f"to_{one}.", f"{one}.") for one in "qkv"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
    ("down_blocks", "down"),
    ("downsamplers.0", "downsample"),
    *((f"up_blocks.{number}.", f"up.{3 - number}.") for number in range(4)),
    ("upsamplers.0", "upsample"),
    ("resnets", "block"),
]


def transformer(model: Any, nested: bool, everything: bool) -> dict[str, torch.Tensor]:
    """Black Forest Labs' tensors of a transformer. What is packed is also put back into the model, as it reads now."""
    names = {**REST}
    for table, theirs, ours, count in (
        (DOUBLE, "double_blocks", "transformer_blocks", model.config.num_layers),
        (SINGLE, "single_blocks", "single_transformer_blocks", model.config.num_single_layers),
    ):
        for n in range(count):
            names |= {f"{theirs}.{n}.{key}": [f"{ours}.{n}.{one}" for one in group] for key, group in table.items()}
    weights, tensors = model.state_dict(), {}
    for (theirs, ours), kind in itertools.product(names.items(), ("weight", "bias")):
        group = [weights.pop(f"{one}.{kind}") for one in ours if f"{one}.{kind}" in weights]
        if not group:
            continue
        # Shift and scale, where diffusers has scale and shift.
        turned = len(group[0]) // 2 if theirs == "final_layer.adaLN_modulation.1" else 0
        whole = torch.cat(group).roll(turned, 0)
        key = f"model.diffusion_model.{theirs}.{'scale' if theirs.endswith('_norm') else kind}"
        tensors[key] = whole
        if whole.dim() == 2 and (everything or "_blocks." in key):
            packed, state = quantize_4bit(whole, quant_type="nf4", compress_statistics=nested)
            tensors |= {key: packed, **{f"{key}.{name}": one for name, one in state.as_dict(packed=True).items()}}
            known = dequantize_4bit(packed, state).roll(turned, 0)
            for one, rows in zip(group, known.split([len(one) for one in group]), strict=True):
                one.copy_(rows)
    assert not weights
    return tensors


def write(
    pipe: Any, file: Path, nested: bool = False, everything: bool = False, t5: torch.dtype = torch.float8_e4m3fn
) -> None:
    """Save a pipeline as one file, and leave in it the weights that the file stands for.

    NF4 are the weights of the blocks, or of all linear layers; with scales that are quantised as well if `nested`.
    """
    tensors = {
        "text_encoders.clip_l.logit_scale": torch.tensor(4.6),  # ComfyUI saves more than FLUX reads
        "text_encoders.clip_l.transformer.text_projection.weight": torch.zeros(64, 64),
        **transformer(pipe.transformer, nested, everything),
    }
    for name, weight in pipe.vae.state_dict().items():
        theirs = name
        for old, new in VAE:
            theirs = theirs.replace(old, new)
        tensors[f"vae.{theirs}"] = weight[:, :, None, None] if weight.dim() == 2 else weight
    for part, prefix, dtype in (
        (pipe.text_encoder, "clip_l.transformer.text_model", torch.float16),
        (pipe.text_encoder_2, "t5xxl.transformer", t5),
    ):
        for name, weight in part.named_parameters():
            weight.data.copy_(weight.to(dtype))
            tensors[f"text_encoders.{prefix}.{name}"] = weight.data.to(dtype)
    save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, file)
