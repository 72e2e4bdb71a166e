"""Training images shifted, turned and stretched at random, so that no model learns where exactly things lie.

Shape legend: B images, C channels, H x W pixels.
"""

import torch
from torch.nn import functional


def distorted(images: torch.Tensor, most: float, generator: torch.Generator) -> torch.Tensor:
    """Each image (B, C, H, W) moved by up to `most` of its height and width, turned by up to `most` radians, and
    stretched by up to that share along either axis, each drawn evenly; bilinear between pixels.

    What comes in from outside has the image's smallest value. Simard, Steinkraus and Platt, Best practices for
    convolutional neural networks applied to visual document analysis (2003), section 2.
    """
    draws = 2 * torch.rand(5, len(images), generator=generator, dtype=images.dtype) - 1
    angle, wide, high = most * draws[0], 1 + most * draws[1], 1 + most * draws[2]
    # affine_grid measures from -1 to 1, so that a shift by the whole size is 2.
    across, down = 2 * most * draws[3], 2 * most * draws[4]
    rows = (
        torch.stack([wide * angle.cos(), -wide * angle.sin(), across], dim=1),
        torch.stack([high * angle.sin(), high * angle.cos(), down], dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    least = images.amin((1, 2, 3), keepdim=True)
    return functional.grid_sample(images - least, grid, align_corners=False) + least
