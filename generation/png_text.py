"""What a PNG says of how it was drawn, in the text format that other tools read.

That is the chunk “parameters” of AUTOMATIC1111's web UI, which InvokeAI, Civitai, infinite-image-browsing and many
others read as well: the prompt, a line with the negative prompt, and a last line of names and values.
"""

import json
from collections.abc import Mapping


def parameters(prompt: str, negative_prompt: str, values: Mapping[str, object]) -> str:
    """The text of the chunk; `values` by their names there, such as Steps and Seed. Empty ones are left out."""
    lines = [_in_lines(prompt)]
    if negative_prompt.strip():
        lines.append(f"Negative prompt: {_in_lines(negative_prompt)}")
    lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in values.items() if value != ""))
    return "\n".join(lines)


def _in_lines(text: str) -> str:
    """With the one sign for the end of a line that is read there."""
    return "\n".join(text.strip().splitlines())


def _quoted(value: str) -> str:
    """As JSON where a comma, a colon or the end of a line would end the value."""
    return json.dumps(value, ensure_ascii=False) if any(char in value for char in ',:\n"') else value
