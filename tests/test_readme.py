"""The README's Python example runs as it stands there."""

import re
from pathlib import Path

import pytest
import torch

from vlogger.io import load_portrait
from vlogger.io_audio import save_audio
from vlogger.types import Audio

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def example() -> str:
    """The one block of Python code."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return code


def test_the_example_runs(example, tmp_path, monkeypatch, capsys):
    import skimage.data
    from PIL import Image

    Image.fromarray(skimage.data.astronaut()[:400, 20:420]).save(tmp_path / "photo.jpg")
    tone = 0.3 * torch.sin(torch.arange(3200) * 0.1)
    save_audio(tmp_path / "speech.wav", Audio(tone, 16000))
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    shapes = re.findall(r"torch.Size\(\[(\d+), 3, (\d+), (\d+)\]\)", capsys.readouterr().out)
    height, width = load_portrait(tmp_path / "photo.jpg").image.shape[1:]
    assert sum(int(t) for t, _, _ in shapes) == 5
    assert {(int(h), int(w)) for _, h, w in shapes} == {(256, 256 * width // height)}
