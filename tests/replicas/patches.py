"""All that stands between a replica and a machine without a GPU. With CUDA nothing is patched.

- diffusers' quantiser for bitsandbytes refuses to begin without a GPU (`validate_environment`), and would put the
  weights on one (`update_device_map`). bitsandbytes itself works on the CPU, with the same numbers.
- `needs_cuda` of the registry's entries is off (repositories.models): IPO itself would refuse.

float16 and bfloat16 stay: the CPU is slow with them, but at these sizes that does not matter.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

QUANTISER = "diffusers.quantizers.bitsandbytes.bnb_quantizer"


def apply(module: ModuleType) -> None:
    """Patch diffusers' quantiser, where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        quantiser: Any = module.BnB4BitDiffusersQuantizer
        quantiser.validate_environment = lambda self, *args, **kwargs: None
        quantiser.update_device_map = lambda self, device_map: {"": "cpu"}


class _OnImport(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if fullname != QUANTISER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            apply(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def on_import() -> None:
    """Patch it as soon as it is imported; call it before."""
    sys.meta_path.insert(0, _OnImport())
