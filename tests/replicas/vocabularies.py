"""Folders of tokenizers, file by file as the hub has them, with tiny vocabularies."""

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import T5Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

CLIP_MERGES = ["t h", "th e</w>", "s u", "su n", "l a", "n d", "la nd"]
CLIP_SIZE = 2 * 256 + len(CLIP_MERGES) + 2
T5_PIECES, T5_EXTRA = 60, 100
SIGLIP_SIZE = 60
SENTENCES = [
    "a calm landscape at sunset",
    "the quick brown fox jumps over the lazy dog",
    "sphinx of black quartz judge my vow",
    "a house with pines at night in the snow",
]


def _write(folder: Path, files: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
            (folder / name).write_text(text)


def _special(content: str, **options: bool) -> dict[str, Any]:
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": content, **plain, **options}


def _pieces(kind: str, size: int, **options: Any) -> bytes:
    """A trained model of sentencepiece, the same each time."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def clip(folder: Path, pad: str) -> None:
    """CLIP's: no tokenizer.json. sd-turbo pads with “!” (id 0), FLUX with the end."""
    letters = list(bytes_to_unicode().values())
    merged = [merge.replace(" ", "") for merge in CLIP_MERGES]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *merged, "<|startoftext|>", "<|endoftext|>"]
    start, end = (_special(word, normalized=True) for word in words[-2:])
    added = {str(CLIP_SIZE - 2): start | {"special": True}, str(CLIP_SIZE - 1): end | {"special": True}}
    if pad == "!":
        added = {"0": _special("!") | {"special": True}} | added
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "bos_token": start["content"],
        "clean_up_tokenization_spaces": True,
        "do_lower_case": True,
        "eos_token": end["content"],
        "errors": "replace",
        "model_max_length": 77,
        "pad_token": pad,
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": end["content"],
    }
    ends = {"bos_token": start, "eos_token": end, "pad_token": _special(pad), "unk_token": end}
    _write(
        folder,
        {
            "vocab.json": {word: number for number, word in enumerate(words)},
            "merges.txt": "\n".join(["#version: 0.2", *CLIP_MERGES, ""]),
            "tokenizer_config.json": settings,
            "special_tokens_map.json": ends,
        },
    )


def t5(folder: Path) -> None:
    """T5's, as FLUX has it: spiece.model and tokenizer.json, with 100 ids that nobody uses."""
    extra = [f"<extra_id_{number}>" for number in range(T5_EXTRA)]
    named = {0: "<pad>", 1: "</s>", 2: "<unk>"}
    ends = {f"{name}_token": _special(word) for name, word in (("eos", "</s>"), ("pad", "<pad>"), ("unk", "<unk>"))}
    _write(
        folder,
        {
            "spiece.model": _pieces("unigram", T5_PIECES, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
            "special_tokens_map.json": {"additional_special_tokens": extra, **ends},
            "tokenizer_config.json": {
                "add_prefix_space": True,
                "added_tokens_decoder": {
                    str(number): _special(word) | {"special": True} for number, word in named.items()
                },
                "additional_special_tokens": extra,
                "clean_up_tokenization_spaces": True,
                "eos_token": "</s>",
                "extra_ids": T5_EXTRA,
                "legacy": True,
                "model_max_length": 512,
                "pad_token": "<pad>",
                "sp_model_kwargs": {},
                "tokenizer_class": "T5Tokenizer",
                "unk_token": "<unk>",
            },
        },
    )
    T5Tokenizer.from_pretrained(folder).backend_tokenizer.save(str(folder / "tokenizer.json"))


def siglip(folder: Path) -> None:
    """SigLIP's: spiece.model alone, which transformers reads by means of sentencepiece and protobuf."""
    _write(
        folder,
        {
            "spiece.model": _pieces("unigram", SIGLIP_SIZE, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
            "special_tokens_map.json": {
                "eos_token": _special("</s>", lstrip=True, rstrip=True),
                "pad_token": _special("</s>", lstrip=True, rstrip=True),
                "unk_token": _special("<unk>", lstrip=True, rstrip=True),
            },
            "tokenizer_config.json": {
                "added_tokens_decoder": {
                    "1": _special("</s>", lstrip=True, rstrip=True) | {"special": True},
                    "2": _special("<unk>", lstrip=True, rstrip=True) | {"special": True},
                },
                "additional_special_tokens": [],
                "clean_up_tokenization_spaces": True,
                "do_lower_case": True,
                "eos_token": "</s>",
                "model_input_names": ["input_ids"],
                "model_max_length": 64,
                "pad_token": "</s>",
                "processor_class": "SiglipProcessor",
                "sp_model_kwargs": {},
                "tokenizer_class": "SiglipTokenizer",
                "unk_token": "<unk>",
            },
        },
    )


GEMMA_SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
GEMMA_LETTERS = ["▁", *(chr(code) for code in range(ord("a"), ord("z") + 1))]
GEMMA_SIZE = len(GEMMA_SPECIAL) + 256 + len(GEMMA_LETTERS) + 2


def gemma(folder: Path) -> None:
    """SigLIP2's: Gemma's words, that falls back to bytes; it ends a text, and does not make it lower case."""
    merges = [("t", "h"), ("th", "e")]
    words = [*GEMMA_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *GEMMA_LETTERS, *map("".join, merges)]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in GEMMA_SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B:1 <eos>:1", special_tokens=[("<eos>", 1)]
    )
    _write(
        folder,
        {
            "tokenizer.model": _pieces("bpe", 400, byte_fallback=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3),
            "tokenizer.json": tokenizer.to_str(pretty=True),
            "special_tokens_map.json": {f"{word.strip('<>')}_token": _special(word) for word in GEMMA_SPECIAL[:4]},
            "tokenizer_config.json": {
                "add_bos_token": False,
                "add_eos_token": True,
                "added_tokens_decoder": {
                    str(number): _special(word) | {"special": True} for number, word in enumerate(GEMMA_SPECIAL)
                },
                "additional_special_tokens": [],
                "bos_token": "<bos>",
                "clean_up_tokenization_spaces": False,
                "eos_token": "<eos>",
                "model_input_names": ["input_ids"],
                "model_max_length": 64,
                "pad_token": "<pad>",
                "padding_side": "right",
                "processor_class": "SiglipProcessor",
                "sp_model_kwargs": {},
                "spaces_between_special_tokens": False,
                "tokenizer_class": "GemmaTokenizer",
                "unk_token": "<unk>",
                "use_default_system_prompt": False,
            },
        },
    )
