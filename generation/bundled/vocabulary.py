"""The words that the bundled models know as single tokens, and the tokenizer made of them.

Anything else is spelled in bytes, so that no prompt can crash: an unknown word costs a token a letter and says little.
"""

from collections import Counter
from itertools import pairwise

from transformers import CLIPTokenizer

END_OF_WORD = "</w>"
BEGIN, END = "<|startoftext|>", "<|endoftext|>"

# fmt: off
WORDS: tuple[str, ...] = (
    "a", "an", "the", "and", "with", "in", "of", "on", "under", "over", "by", "at", "near", "no",
    "without", "some", "few", "many", "one", "two", "three", "several", "landscape", "scene", "view",
    "picture", "painting", "small", "little", "tiny", "big", "large", "huge", "tall", "low", "high",
    "wide", "dawn", "sunrise", "morning", "noon", "midday", "day", "sunset", "dusk", "evening", "night",
    "midnight", "starry", "stars", "sky", "sun", "moon", "full", "crescent", "sea", "ocean", "water",
    "lake", "meadow", "grass", "field", "desert", "sand", "dunes", "snow", "snowy", "winter", "frozen",
    "mountain", "mountains", "hills", "peak", "peaks", "capped", "rolling", "flat", "tree", "trees",
    "pine", "pines", "forest", "fir", "palm", "palms", "house", "cabin", "cottage", "home", "lonely",
    "cloud", "clouds", "cloudy", "clear", "cloudless", "left", "right", "middle", "pastel", "vivid",
    "muted", "monochrome", "soft", "bright", "bold", "colourful", "colorful", "gentle", "faded", "dull",
    "grey", "gray", "black", "white", "red", "orange", "yellow", "green", "blue", "purple", "pink",
    "brown", "dark", "light", "warm", "cold", "calm", "style", "colours", "colors", "palette", "natural",
    "beautiful", "nice", "quiet", "peaceful", "beach", "coast", "daylight", "moonlight", "dry", "lush", "romantic",
)
# fmt: on


def byte_alphabet() -> list[str]:
    """The 256 printable stand-ins for bytes of GPT-2's byte-level encoding, in its usual order."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]


def learn_merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until each of the words is one token.

    The order in which merges are learnt is the order in which they are applied, which is what guarantees that no
    merge of one word breaks up another. Ties go to the pair that sorts first: the result is deterministic.
    """
    pieces = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in sorted(set(words))}
    merges: list[tuple[str, str]] = []
    while True:
        counts: Counter[tuple[str, str]] = Counter()
        for parts in pieces.values():
            counts.update(pairwise(parts))
        if not counts:
            return merges
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        for parts in pieces.values():
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == best:
                    parts[i : i + 2] = [best[0] + best[1]]
                i += 1


def build_tokenizer(words: tuple[str, ...], length: int) -> CLIPTokenizer:
    """A CLIP tokenizer to which each of `words` is one token; prompts are padded or cut to `length` tokens."""
    letters = byte_alphabet()
    merges = learn_merges(words)
    tokens = [
        *letters,
        *(letter + END_OF_WORD for letter in letters),
        *(a + b for a, b in merges),
        BEGIN,
        END,
    ]
    # Two merges may make the same token in two ways; it still has one number.
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)
