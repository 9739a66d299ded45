"""Replicas: the repositories of the models that cannot be tried here with their real weights, in all but size.

A replica is a folder in exactly the hub's layout: the same files (configurations, tokenizers, scheduler, shards,
variants, and what must not be fetched), the same classes and keys, gated or not. Hidden sizes are the real ones, so
vectors are as long as the real ones; layers, heads and vocabularies are few. `repositories.write(name, folder)` writes
one; `python -m tests.replicas` takes all of them through the product's own door. This file imports nothing.
"""

# Those whose licence must be accepted: nothing of theirs but their list of files comes without a token.
GATED = ("black-forest-labs/FLUX.1-schnell", "black-forest-labs/FLUX.1-dev")
