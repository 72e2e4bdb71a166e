"""`read_labelled`: whatever a user has of labelled samples, as LabelledData."""

from pathlib import Path
from typing import Any

from neurode.core.errors import DataError
from neurode.data.array_files import is_idx, labelled_arrays, read_idx, read_npz
from neurode.data.classes import PLANES
from neurode.data.image_folders import read_image_folder
from neurode.data.labelled import LabelledData
from neurode.data.labelled_tables import read_labelled_table
from neurode.data.sample_data import SAMPLES, sample

BUILT_IN = ("optdigits", *PLANES)
"""Names that may stand for data: what comes with the package, and what is made."""


def read_labelled(
    source: Any,
    *,
    target: str | None = None,
    split: str | None = None,
    image: tuple[int, ...] | None = None,
    labels: str | Path | None = None,
    kind: str = "auto",
    num: int | None = None,
    noise: float | None = None,
    seed: int = 0,
) -> LabelledData:
    """Labelled samples from a table, a folder of images, arrays, or a name of BUILT_IN.

    source: a table (path or DataFrame: see `read_labelled_table` for target, split, image, kind), a folder with a
    folder of images for each class, a .npz, an IDX file (labels: its labels, where they do not lie beside it), a pair
    (inputs, targets) of arrays, LabelledData, or "optdigits", "moons", "spirals", "rings" (num, noise, seed: of the
    made ones). A file of that name in the way counts before a name.

    Raises DataError for data that cannot be used, and where an option has no effect on the source.
    """
    options = {"target": target, "split": split, "image": image, "kind": None if kind == "auto" else kind}
    made = {"num": num, "noise": noise}
    if isinstance(source, LabelledData):
        _refuse("data that were read already", options | made | {"labels": labels})
        return source
    if isinstance(source, tuple | list):
        _refuse("arrays", options | made | {"labels": labels})
        if len(source) != 2:
            raise TypeError(f"arrays come as a pair (inputs, targets), but {len(source)} came.")
        import numpy as np

        return labelled_arrays(np.asarray(source[0]), np.asarray(source[1]), "the arrays")
    name = str(source) if isinstance(source, str | Path) else ""
    if name in BUILT_IN and not Path(name).exists():
        return _built_in(name, options | {"labels": labels}, made, seed)
    if not name:
        _refuse("a table", made | {"labels": labels})
        return read_labelled_table(source, target=target, split=split, image=image, kind=kind)
    path = Path(name)
    _refuse("a file", made)
    if path.is_dir():
        _refuse("a folder of images", options | {"labels": labels})
        return read_image_folder(path)
    if path.suffix.lower() == ".npz":
        _refuse("a .npz", options | {"labels": labels})
        return read_npz(path)
    if is_idx(path):
        _refuse("an IDX file", options)
        return read_idx(path, None if labels is None else Path(labels))
    if not path.exists():
        raise DataError(
            f"there is no such file or folder. Check the path, or name data that are built in: {', '.join(BUILT_IN)}.",
            file=path,
        )
    _refuse("a table", {"labels": labels})
    return read_labelled_table(path, target=target, split=split, image=image, kind=kind)


def _built_in(name: str, options: dict[str, Any], made: dict[str, Any], seed: int) -> LabelledData:
    if name in PLANES:
        _refuse(name, options)
        return PLANES[name](seed=seed, **{key: value for key, value in made.items() if value is not None})
    _refuse(name, options | made)
    return read_labelled_table(sample(name), **SAMPLES[name].arguments)


def _refuse(what: str, options: dict[str, Any]) -> None:
    """An option without effect is an error."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise DataError(f"{', '.join(given)} has no effect on {what}. Leave it out.")
