"""Distances of pictures as networks see them.

- MobileNet distance [1], better: down. LPIPS' recipe (Zhang et al. 2018, eq. 1) without learned weights, on five
  stages of torchvision's MobileNetV2: features of unit length, squared difference, mean over pixels, sum over stages.
  Not LPIPS
- LPIPS [1], better: down. The same on AlexNet with the learned weights that torchmetrics ships, when
  `lpips=alexnet…pth` is given
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from vlogger.errors import UserError

IMAGENET_MEAN, IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # for pictures in [-1, 1]
PLAN = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STAGES = (1, 3, 6, 13, 17)  # the last block of each size: 1/2 to 1/32


def convolved(inward: int, outward: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inward, outward, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outward),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Sandler et al. 2018, figure 4; names as in torchvision's checkpoint."""

    def __init__(self, inward: int, outward: int, stride: int, growth: int):
        super().__init__()
        wide = inward * growth
        layers = [] if growth == 1 else [convolved(inward, wide, 1)]
        layers += [convolved(wide, wide, 3, stride, wide), nn.Conv2d(wide, outward, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(outward))
        self.added = stride == 1 and inward == outward

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.added else self.conv(x)


class MobileNet(nn.Module):
    """MobileNetV2's features: pictures (b, 3, h, w) in [0, 1]."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = [convolved(3, 32, 3, 2)]
        width = 32
        for growth, outward, count, stride in PLAN:
            for index in range(count):
                layers.append(InvertedResidual(width, outward, stride if index == 0 else 1, growth))
                width = outward
        self.features = nn.Sequential(*layers, convolved(width, 1280, 1))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(IMAGENET_SPREAD)[:, None, None], persistent=False)

    def stages(self, pictures: Tensor) -> Iterator[Tensor]:
        """Five maps, from fine to coarse."""
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in STAGES:
                yield x

    def pooled(self, pictures: Tensor) -> Tensor:
        """(b, 1280): the last map's mean over pixels, what the classifier sees."""
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        return self.features(x).mean((2, 3))


def load_mobilenet(path: Path) -> MobileNet:
    """torchvision's checkpoint (mobilenet_v2-b0353104.pth)."""
    network = MobileNet()
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: value for name, value in state.items() if name.startswith("features.")})
    return network.eval().requires_grad_(False)


class AlexNetFeatures(nn.Module):
    """The five maps of AlexNet that LPIPS compares; pictures (b, 3, h, w) in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )

    def stages(self, pictures: Tensor) -> Iterator[Tensor]:
        shift, scale = (pictures.new_tensor(v)[:, None, None] for v in (LPIPS_SHIFT, LPIPS_SCALE))
        x = (pictures * 2 - 1 - shift) / scale
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in (1, 4, 7, 9, 11):
                yield x


class Lpips(nn.Module):
    """LPIPS 0.1 on AlexNet: the backbone of torchvision, the linear heads of torchmetrics."""

    def __init__(self, backbone: AlexNetFeatures, heads: list[Tensor]):
        super().__init__()
        self.backbone, self.heads = backbone, heads

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Pictures (b, 3, h, w) in [0, 1] twice -> (b,)."""
        pairs = zip(self.backbone.stages(first), self.backbone.stages(second), self.heads)
        return sum(((a_unit(a) - a_unit(b)) ** 2 * head).sum(1).mean((1, 2)) for a, b, head in pairs)  # type: ignore


def load_lpips(path: Path) -> Lpips:
    """`path`: torchvision's AlexNet (alexnet-owt-7be5be79.pth)."""
    import torchmetrics

    backbone = AlexNetFeatures()
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        backbone.load_state_dict({name: value for name, value in state.items() if name.startswith("features.")})
    except RuntimeError as error:
        raise UserError(f"{path} is not torchvision's AlexNet: give alexnet-owt-7be5be79.pth as lpips=") from error
    file = Path(torchmetrics.__file__).parent / "functional/image/lpips_models/alex.pth"
    heads = torch.load(file, map_location="cpu", weights_only=True)
    return Lpips(backbone.eval().requires_grad_(False), [heads[f"lin{i}.model.1.weight"] for i in range(5)])


def a_unit(x: Tensor) -> Tensor:
    """Features (b, c, h, w) of length 1 at every pixel."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


@torch.inference_mode()
def mobilenet_distance(network: MobileNet, first: Tensor, second: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1] twice -> (b,)."""
    pairs = zip(network.stages(first), network.stages(second))
    return torch.stack([(a_unit(a) - a_unit(b)).square().sum(1).mean((1, 2)) for a, b in pairs]).sum(0)
