"""Distances as networks see them; the networks have chance weights, whose laws are the same."""

import pytest
import torch

from vlogger.errors import UserError
from vlogger.evaluation.perceptual import (
    AlexNetFeatures,
    MobileNet,
    load_lpips,
    load_mobilenet,
    mobilenet_distance,
)


@pytest.fixture(scope="module")
def mobilenet():
    torch.manual_seed(0)
    return MobileNet().eval()


def test_the_further_the_larger(mobilenet, astronaut):
    true = astronaut[None].float() / 255
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    found = [float(mobilenet_distance(mobilenet, true + amount * noise, true)) for amount in (0, 0.02, 0.1)]
    assert found[0] == pytest.approx(0, abs=1e-6) and 0 < found[1] < found[2]


def test_torchvisions_names(mobilenet, tmp_path):
    state = {f"features.{name}": value for name, value in mobilenet.features.state_dict().items()}
    torch.save({**state, "classifier.1.weight": torch.zeros(1)}, tmp_path / "m.pth")
    assert "features.2.conv.0.0.weight" in state and "features.18.1.running_var" in state
    loaded = load_mobilenet(tmp_path / "m.pth")
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.pooled(picture), mobilenet.pooled(picture)) and loaded.pooled(picture).shape == (1, 1280)


def test_lpips_with_the_heads_of_torchmetrics(tmp_path, astronaut):
    torch.manual_seed(0)
    torch.save(AlexNetFeatures().state_dict(), tmp_path / "alexnet.pth")
    lpips = load_lpips(tmp_path / "alexnet.pth")
    true = astronaut[None].float() / 255
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    assert float(lpips(true, true)) == 0
    assert 0 < float(lpips(true + 0.02 * noise, true)) < float(lpips(true + 0.1 * noise, true))
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth"):
        load_lpips(tmp_path / "other.pth")
