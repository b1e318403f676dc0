"""Checkpoints: a folder of `config.json` and `model.safetensors`, local or on the Hugging Face hub."""

from pathlib import Path
from typing import Self

from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors.torch import load_file, save_file

from vlogger.errors import UserError

FILES = ("config.json", "model.safetensors")


class Checkpoint(ModelMixin, ConfigMixin):
    """A diffusers model whose folder names its weights as the rest of the hub does: model.safetensors."""

    def save_pretrained(self, folder: str | Path) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write `config.json` and `model.safetensors`."""
        self.save_config(folder)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, Path(folder) / FILES[1], metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str | Path) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The network in a folder, or in a repository of the hub; in evaluation mode.

        UserError when there is no such folder or repository, or when the weights are another network's.
        """
        config, weights = checkpoint_files(path_or_hub_id)
        network = cls.from_config(cls._dict_from_json_file(config))
        assert isinstance(network, cls)
        try:
            network.load_state_dict(load_file(weights))
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise UserError(f"{weights} does not hold a {cls.__name__} of this version: {first}") from None
        return network.eval()


def checkpoint_files(path_or_hub_id: str | Path) -> tuple[Path, Path]:
    """Where config and weights lie on this disk; fetched from the hub when the name is not a folder."""
    folder = Path(path_or_hub_id)
    if folder.is_dir():
        missing = [name for name in FILES if not (folder / name).exists()]
        if missing:
            raise UserError(f"{folder} holds no checkpoint: {missing[0]} is missing; train one with vlogger.train.")
        return folder / FILES[0], folder / FILES[1]
    try:
        config, weights = (Path(hf_hub_download(str(path_or_hub_id), name)) for name in FILES)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(f"There is no folder and no hub repository '{path_or_hub_id}' to load: {error}") from None
    return config, weights
