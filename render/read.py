"""The photo's colours at displaced places, sampled as densely as each pixel's footprint needs.

Compiled with numpy's error model and unsigned indices: that a divisor may be 0 or an index negative is not asked at
every pixel.
"""

import numba
import numpy as np

WIDER = 1.2  # pixels of the photo beyond which a pixel's footprint is sampled more than once


@numba.njit(cache=True, nogil=True, error_model="numpy")
def read_photo(image, field, inside, body, seen, slip, warped, visible):
    """The photo's colours at pixel + field into warped (3,h,w), and what is known into visible (h,w); both are 0.

    Unknown: skin that the photo does not show, and halo pixels that would read the photo's body deeper than `slip`.
    """
    height, width = body.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    low, high = np.float32(WIDER * WIDER), np.float32(9.0)
    wide, tall = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        _footprints(field, y, wide, tall)
        for x in range(width):
            dx, dy = field[y, x, 0], field[y, x, 1]
            still, u, v = dx == 0.0 and dy == 0.0, np.float32(x) + dx, np.float32(y) + dy
            if body[y, x]:
                if seen[y, x] == 0.0:
                    continue
            elif still:
                if inside[y, x] > slip:
                    continue
            else:
                row, column = min(max(int(v + half), 0), height - 1), min(max(int(u + half), 0), width - 1)
                if inside[row, column] > slip:
                    continue
            visible[y, x] = 1.0
            if still:
                red, green, blue = image[y, x, 0], image[y, x, 1], image[y, x, 2]
            elif low < wide[x] < high or low < tall[x] < high:
                half_x, half_y = _half_excess(wide[x], low, high), _half_excess(tall[x], low, high)
                r0, g0, b0 = colours_at(image, v - half_y, u - half_x)
                r1, g1, b1 = colours_at(image, v - half_y, u + half_x)
                r2, g2, b2 = colours_at(image, v + half_y, u - half_x)
                r3, g3, b3 = colours_at(image, v + half_y, u + half_x)
                red, green, blue = (
                    quarter * (r0 + r1 + r2 + r3),
                    quarter * (g0 + g1 + g2 + g3),
                    quarter * (b0 + b1 + b2 + b3),
                )
            else:
                red, green, blue = colours_at(image, v, u)
            warped[0, y, x], warped[1, y, x], warped[2, y, x] = red, green, blue


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _footprints(field, y, wide, tall):
    """Of a row of pixels: the squared extents of their footprints in the photo, along u and along v, into (w,) each.

    A loop that the processor does several steps of at once, as most pixels need nothing else.
    """
    height, width = field.shape[:2]
    above, here, below = field[max(y - 1, 0)], field[y], field[min(y + 1, height - 1)]
    one, across = np.float32(1.0), np.float32(0.5)
    down = np.float32(0.5 if 0 < y < height - 1 else 1.0)
    for x in range(1, width - 1):
        ux, uy = one + (here[x + 1, 0] - here[x - 1, 0]) * across, (below[x, 0] - above[x, 0]) * down
        vx, vy = (here[x + 1, 1] - here[x - 1, 1]) * across, one + (below[x, 1] - above[x, 1]) * down
        wide[x], tall[x] = ux * ux + uy * uy, vx * vx + vy * vy
    for x in (0, width - 1):
        left, right = here[max(x - 1, 0)], here[min(x + 1, width - 1)]
        ux, uy = one + right[0] - left[0], (below[x, 0] - above[x, 0]) * down
        vx, vy = right[1] - left[1], one + (below[x, 1] - above[x, 1]) * down
        wide[x], tall[x] = ux * ux + uy * uy, vx * vx + vy * vy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _half_excess(squared, low, high):
    """Half of what an extent, given its square, has beyond a pixel; none beyond three pixels (a jump of the field)."""
    if low < squared < high:
        return np.float32(0.25) * (np.sqrt(squared) - np.float32(1.0))
    return np.float32(0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def colours_at(image, row, column):
    """The three colours at (row, column), in units where pixel centres are whole numbers."""
    height, width = image.shape[:2]
    row = min(max(row, np.float32(0.0)), np.float32(height - 1))
    column = min(max(column, np.float32(0.0)), np.float32(width - 1))
    y, x = np.uint32(min(int(row), height - 2)), np.uint32(min(int(column), width - 2))
    below, beside = y + np.uint32(1), x + np.uint32(1)
    down, right = row - np.float32(y), column - np.float32(x)
    w3 = down * right
    w1, w2 = right - w3, down - w3
    w0 = np.float32(1.0) - down - w1
    return (
        w0 * image[y, x, 0] + w1 * image[y, beside, 0] + w2 * image[below, x, 0] + w3 * image[below, beside, 0],
        w0 * image[y, x, 1] + w1 * image[y, beside, 1] + w2 * image[below, x, 1] + w3 * image[below, beside, 1],
        w0 * image[y, x, 2] + w1 * image[y, beside, 2] + w2 * image[below, x, 2] + w3 * image[below, beside, 2],
    )
