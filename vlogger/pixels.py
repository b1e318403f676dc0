"""Pictures as tensors: resampling, soft masks, and putting a generated square back into the whole picture.

Images are (..., c, h, w), float in any range or uint8. Positions are continuous: pixel (row i, column j) covers
[i, i+1) x [j, j+1), its centre is at +0.5. Resampling is separable, one matrix per axis: an exact area filter where
the picture shrinks, Keys' bicubic (a = -1/2) or linear interpolation where it grows; outside, the edge pixels go on.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def resize(image: Tensor, height: int, width: int, kind: str = "cubic") -> Tensor:
    """(..., h, w) -> (..., height, width); dtype is kept. `kind`, for enlarging: "cubic" or "linear"."""
    if image.shape[-2:] == (height, width):
        return image
    box = (0.0, 0.0, float(image.shape[-2]), float(image.shape[-1]))
    return resample(image, box, height, width, kind)


def shrink(image: Tensor, factor: int) -> Tensor:
    """(..., c, h, w) float -> (..., c, h / factor, w / factor): the mean of each square."""
    return F.avg_pool2d(image.flatten(0, -3), factor).unflatten(0, image.shape[:-2])


def resample(image: Tensor, box: tuple[float, float, float, float], height: int, width: int, kind: str = "cubic"):
    """The rectangle box = (top, left, height, width) of the picture, seen as height x width pixels.

    The box may be fractional and may stick out of the picture.
    """
    rows, y = _axis(image.shape[-2], box[0], box[2], height, kind)
    columns, x = _axis(image.shape[-1], box[1], box[3], width, kind)
    part = image[..., rows, columns].to(torch.float32 if image.dtype == torch.uint8 else image.dtype)
    result = y.to(part) @ part @ x.to(part).T
    return to_uint8(result) if image.dtype == torch.uint8 else result


def to_uint8(image: Tensor) -> Tensor:
    """Round and clamp a picture in 0..255."""
    return image.round().clamp_(0, 255).to(torch.uint8)


def _axis(size: int, start: float, extent: float, count: int, kind: str) -> tuple[slice, Tensor]:
    """The input pixels that [start, start + extent) needs, and the matrix (count, those pixels) that resamples them."""
    step = extent / count
    edges = start + step * torch.arange(count + 1, dtype=torch.float64)
    index, weight = _area_taps(edges, step) if step > 1 else _point_taps((edges[:-1] + edges[1:]) / 2, kind)
    index = index.clamp(0, size - 1)
    first, last = int(index.min()), int(index.max())
    matrix = torch.zeros(count, last - first + 1, dtype=torch.float64)
    return slice(first, last + 1), matrix.scatter_add_(1, index - first, weight)


def _area_taps(edges: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """Overlap of each output pixel [edges[i], edges[i+1]) with the input pixels, as a share of its length."""
    index = edges[:-1, None].floor().long() + torch.arange(int(step) + 2)
    overlap = torch.minimum(edges[1:, None], index + 1.0) - torch.maximum(edges[:-1, None], index.double())
    return index, overlap.clamp(min=0) / step


def _point_taps(centres: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Interpolation weights of the two (linear) or four (cubic) pixels around each output centre."""
    reach = torch.arange(0, 2) if kind == "linear" else torch.arange(-1, 3)
    index = (centres[:, None] - 0.5).floor().long() + reach
    distance = (centres[:, None] - 0.5 - index).abs()
    near = ((1.5 * distance - 2.5) * distance) * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    cubic = torch.where(distance <= 1, near, far)
    return index, 1 - distance if kind == "linear" else cubic


def border_ramp(height: int, width: int, reach: float) -> Tensor:
    """(height, width): exactly 0 on the outermost pixels, 1 from `reach` pixels inwards, smooth between."""
    y, x = (torch.minimum(torch.arange(n), torch.arange(n - 1, -1, -1)).float() for n in (height, width))
    ramp = (torch.minimum(y[:, None], x[None, :]) / max(reach, 1.0)).clamp(max=1)
    return ramp * ramp * (3 - 2 * ramp)


def composite(picture: Tensor, generated: Tensor, mask: Tensor, square: tuple[float, float, float]) -> Tensor:
    """Lay a generated square over the whole picture: picture (3,H,W) uint8, generated (t,3,s,s) uint8, mask (t,1,s,s)
    in [0,1], square = (left, top, side) in pixels of the picture -> (t,3,H,W) uint8.

    Where the mask is 0, and outside the square, the result is the picture's own bytes.
    """
    whole = picture.expand(len(generated), *picture.shape).clone()
    rows, columns = _covered(square[1], square[2], picture.shape[1]), _covered(square[0], square[2], picture.shape[2])
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height <= 0 or width <= 0:
        return whole
    zoom = generated.shape[-1] / square[2]
    box = ((rows.start - square[1]) * zoom, (columns.start - square[0]) * zoom, height * zoom, width * zoom)
    weight = resample(mask.float(), box, height, width, "linear").clamp(0, 1)
    colour = resample(generated.float(), box, height, width)
    below = whole[..., rows, columns].float()
    whole[..., rows, columns] = to_uint8(below + weight * (colour - below))
    return whole


def _covered(start: float, side: float, size: int) -> slice:
    """The pixels of an axis of `size` whose centres lie in [start, start + side)."""
    first, last = max(0, int(-(-(start - 0.5) // 1))), min(size, int(-(-(start + side - 0.5) // 1)))
    return slice(first, max(first, last))
