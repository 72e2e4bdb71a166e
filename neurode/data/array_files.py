"""Labelled samples from files of arrays: .npz of numpy, and IDX, the format of MNIST."""

import io
import zipfile
from pathlib import Path

import numpy as np

from neurode.core.errors import DataError
from neurode.data.labelled import LabelledData, TargetKind, classes_of
from neurode.data.opening import FileKind, read_bytes, unpack

ARRAYS = FileKind(
    thing="array",
    known=".npz, or IDX files as MNIST's",
    again="Write it again.",
    save=".npz",
    packed="this archive holds no arrays of numpy. Write them with numpy.savez.",
)

_INPUTS = ("x", "inputs", "images", "data", "features")
_TARGETS = ("y", "targets", "labels", "target", "label", "classes")
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_CLASSES = 100


def read_npz(path: Path) -> LabelledData:
    """Samples of a .npz: arrays x and y, or x_train, y_train, x_test, y_test (also inputs and targets, images and
    labels, data and target).

    Raises DataError where they are missing or do not fit.
    """
    content = read_bytes(path, ARRAYS)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name.lower(): file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        # numpy tells how to load Python objects all the same: no advice for a file of unknown origin.
        raise DataError(
            f"this .npz cannot be read: it is damaged, or holds Python objects, which are never loaded. {ARRAYS.again}",
            file=path,
        ) from None
    for first, second in ((first, second) for first in _INPUTS for second in _TARGETS):
        if first in arrays and second in arrays:
            return labelled_arrays(arrays[first], arrays[second], path)
        train, test = (f"{first}_train", f"{second}_train"), (f"{first}_test", f"{second}_test")
        if all(name in arrays for name in (*train, *test)):
            inputs, targets = (np.concatenate([arrays[a], arrays[b]]) for a, b in zip(train, test, strict=True))
            in_test = np.arange(len(inputs)) >= len(arrays[train[0]])
            return labelled_arrays(inputs, targets, path, in_test=in_test)
    raise DataError(
        f"the arrays in it are named {', '.join(sorted(arrays))}; the inputs should be named x and the targets y, or "
        "x_train, y_train, x_test, y_test. Save it again with these names.",
        file=path,
    )


def is_idx(path: Path) -> bool:
    """Whether the file, unpacked, begins as an IDX file of more than one axis does."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        head = unpack(path, read_bytes(path, ARRAYS), ARRAYS)[:4]
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _IDX_TYPES and 1 <= head[3] <= 4


def read_idx(path: Path, labels: Path | None = None) -> LabelledData:
    """Samples of an IDX file of inputs and the file of labels beside it (its name with labels for images), or `labels`.

    Raises DataError where either is missing, damaged, or they do not fit.
    """
    inputs = read_idx_array(path)
    if inputs.ndim < 2:
        raise DataError(
            "this IDX file holds one number a sample: it is the labels. Name the file of images.", file=path
        )
    beside = labels if labels is not None else labels_beside(path)
    if beside is None:
        raise DataError(
            "there is no file of labels beside it (the same name with labels for images). Name it with --labels.",
            file=path,
        )
    targets = read_idx_array(beside)
    if targets.ndim != 1:
        raise DataError(f"labels are one number a sample, but this holds {targets.shape}.", file=beside)
    return labelled_arrays(inputs, targets, path)


def labels_beside(path: Path) -> Path | None:
    """The file of labels that goes with a file of images, None where there is none."""
    name = path.name.replace("images", "labels")
    for guess in (name.replace("idx3", "idx1"), name):
        if guess != path.name and path.with_name(guess).is_file():
            return path.with_name(guess)
    return None


def read_idx_array(path: Path) -> np.ndarray:
    """The array in an IDX file, packed or not."""
    content = unpack(path, read_bytes(path, ARRAYS), ARRAYS)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise DataError("this is no IDX file. Copy or download it again.", file=path)
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int) if len(content) >= 4 + 4 * axes else []
    dtype = np.dtype(_IDX_TYPES[content[2]])
    if len(shape) != axes or len(content) != 4 + 4 * axes + int(np.prod(shape)) * dtype.itemsize:
        raise DataError("the file is cut short or damaged: its length is not what its head says.", file=path)
    return np.frombuffer(content, dtype, offset=4 + 4 * axes).reshape(tuple(shape))


def labelled_arrays(
    inputs: np.ndarray, targets: np.ndarray, where: Path | str, *, in_test: np.ndarray | None = None
) -> LabelledData:
    """Inputs (N, F), (N, H, W), (N, C, H, W) or (N, H, W, C <= 4), and targets (N,), as LabelledData.

    Targets that are whole numbers of at most 100 kinds, or text, are classes; others are numbers.
    """
    if inputs.ndim not in (2, 3, 4) or len(inputs) != len(targets):
        raise DataError(
            f"inputs of shape {inputs.shape} do not go with targets of shape {targets.shape}. Inputs are (samples, "
            "features) or (samples, height, width), with channels before or behind, targets one a sample.",
            file=where,
        )
    if inputs.dtype.kind not in "iufb":
        raise DataError(f"the inputs are {inputs.dtype}, where numbers are due.", file=where)
    targets = targets.reshape(len(targets), -1)
    if targets.shape[1] != 1:
        raise DataError(f"there are {targets.shape[1]} targets a sample, and one is due.", file=where)
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    elif inputs.ndim == 4 and inputs.shape[3] <= 4 < inputs.shape[1]:
        inputs = inputs.transpose(0, 3, 1, 2)
    inputs = np.ascontiguousarray(inputs, dtype=np.float32)
    check_finite(inputs, where)
    name = Path(str(where)).name.split(".")[0]
    kind, values, classes = typed_targets(targets[:, 0], where)
    return LabelledData(inputs, values, kind, classes, name=name, in_test=in_test)


def typed_targets(values: np.ndarray, where: Path | str) -> tuple[TargetKind, np.ndarray, tuple[str, ...]]:
    """Whether targets are classes or numbers, as arrays of either kind, and the names of classes."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError("some targets are not finite. Leave those samples out.", file=where)
        if not (values == np.round(values)).all() or len(np.unique(values)) > _MOST_CLASSES:
            return "number", values.astype(np.float32), ()
        values = values.astype(np.int64)
    elif values.dtype.kind in "iu" and len(np.unique(values)) > _MOST_CLASSES:
        return "number", values.astype(np.float32), ()
    elif values.dtype.kind not in "iubUS":
        raise DataError(f"the targets are {values.dtype}, where numbers or text are due.", file=where)
    numbers, classes = classes_of(values, where=where)
    return "classes", numbers, classes


def check_finite(inputs: np.ndarray, where: Path | str) -> None:
    """Raises DataError, naming the first sample, where one holds a number that is not finite."""
    bad = ~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1)
    if bad.any():
        raise DataError(
            f"sample {int(bad.argmax())} (of {int(bad.sum())} such) holds a number that is not finite. Correct it, or "
            "leave the sample out.",
            file=where,
        )
