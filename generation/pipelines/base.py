"""What every family of pipelines offers to the local backend."""

from abc import ABC, abstractmethod

from generation.types import GenerationRequest, ModelSpec, Picture


class Pipeline(ABC):
    """A loaded model. It owns its weights until it is dropped."""

    spec: ModelSpec

    @classmethod
    @abstractmethod
    def load(cls, spec: ModelSpec, device: str) -> "Pipeline":
        """Read the weights. Raises ModelUnavailable with a remedy."""

    @abstractmethod
    def generate(self, request: GenerationRequest) -> list[Picture]:
        """One forward pass; as many pictures as the request has vectors, in their order."""
