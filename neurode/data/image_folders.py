"""Labelled images from a folder: one folder inside it for each class."""

from pathlib import Path
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.data.labelled import LabelledData, classes_of

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
PARTS = {"train": False, "test": True}


def read_image_folder(path: Path) -> LabelledData:
    """Images of a folder that holds a folder for each class, or train/ and test/ with such folders.

    All images must have one size; colours are kept where any image has them, as three channels from 0 to 255.

    Raises DataError, naming the file, for an image that cannot be read or has another size, a folder without classes,
    and for one class only; MissingExtraError without the extra "tools".
    """
    files: list[tuple[Path, str, bool]] = []
    parted = {name for name in PARTS if (path / name).is_dir()} == set(PARTS)
    for root, in_test in [(path / name, held) for name, held in PARTS.items()] if parted else [(path, False)]:
        for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
            found = sorted(file for file in folder.iterdir() if file.suffix.lower() in EXTENSIONS)
            files += [(file, folder.name, in_test) for file in found]
    if not files:
        raise DataError(
            f"there are no images in it. A folder of images holds a folder for each class, and in these the images "
            f"({', '.join(EXTENSIONS[:4])}, ...).",
            file=path,
        )
    pixels = [_read(file) for file, _, _ in files]
    size = pixels[0].shape[:2]
    for (file, _, _), one in zip(files, pixels, strict=True):
        if one.shape[:2] != size:
            raise DataError(
                f"this image is {_words(one)}, the first one ({files[0][0].name}) is {_words(pixels[0])}. Bring all "
                "images to one size.",
                file=file,
            )
    coloured = any(one.ndim == 3 for one in pixels)
    inputs = np.stack([_channels(one, coloured) for one in pixels]).astype(np.float32)
    targets, classes = classes_of(np.array([name for _, name, _ in files]), where=path)
    in_test = np.array([held for _, _, held in files]) if parted else None
    return LabelledData(inputs, targets, classes=classes, target="class", name=path.name, in_test=in_test)


def _read(file: Path) -> np.ndarray:
    """(H, W) or (H, W, 3), from 0 to 255."""
    image_module: Any = require("PIL.Image", extra="tools")
    try:
        with image_module.open(file) as image:
            grey = image.mode in ("1", "L", "LA", "I", "I;16", "F")
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                return np.asarray(image, dtype=np.float32) / 257
            return np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float32)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"this image cannot be read ({error}). Save it again, or take it out.", file=file) from None


def _channels(image: np.ndarray, coloured: bool) -> np.ndarray:
    if image.ndim == 2:
        return np.repeat(image[None], 3, axis=0) if coloured else image[None]
    return image.transpose(2, 0, 1)


def _words(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]} pixels"
