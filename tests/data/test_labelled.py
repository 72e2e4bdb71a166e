"""Labelled samples from every source a user may have, and the sentence where one cannot be used."""

import gzip

import numpy as np
import pandas as pd
import pytest

from neurode.core.errors import DataError
from neurode.data.classes import PLANES, moons, rings, spirals
from neurode.data.labelled_reading import read_labelled
from tests.shared_data import shared_data

FRAME = pd.DataFrame(
    {
        "size": [1.0, 2.0, None, 4.0, 5.0, 7.0],
        "colour": ["red", "blue", "red", "blue", "red", "red"],
        "note": ["words"] * 6,
        "kind": ["b", "a", "b", "a", "b", ""],
        "price": [0.5, 1.5, 2.5, 3.25, 4.5, 5.5],
    }
)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_the_digits_of_the_package_keep_their_own_test_part():
    data = read_labelled("optdigits")
    assert data.inputs.shape == (5620, 1, 8, 8)
    assert data.classes == tuple("0123456789")
    assert data.in_test.sum() == 1797
    assert (data.inputs.min(), data.inputs.max()) == (0, 16)
    assert data.is_images
    assert not data.notes


def test_a_table_with_words_and_blanks_is_read_and_says_what_was_done(tmp_path):
    path = tmp_path / "things.csv"
    FRAME.to_csv(path, index=False)
    data = read_labelled(path, target="kind")
    assert data.features == ("size", "colour=blue", "colour=red", "price")
    assert data.classes == ("a", "b")
    assert data.targets.tolist() == [1, 0, 1, 0, 1]
    assert data.inputs[2, 0] == pytest.approx(np.nanmean([1, 2, np.nan, 4, 5, 7]))
    assert data.inputs[:, 2].tolist() == [1, 0, 1, 0, 1]
    said = " ".join(data.notes)
    assert "1 rows without a target are left out." in said
    assert "size: 1 blanks stand at the column's mean." in said
    assert "Left out, being text of too many kinds or blank: note." in said


def test_a_column_that_only_counts_the_rows_is_pointed_out():
    frame = pd.DataFrame({"id": [7, 8, 9, 10], "size": [4.0, 2.0, 3.0, 1.0], "kind": list("abab")})
    found = read_labelled(frame, target="kind")
    assert found.features == ("id", "size")
    assert found.notes == ("id counts the rows, and is used like any number. If it tells nothing, delete it.",)


def test_a_column_of_fractions_is_a_number_and_whole_numbers_are_classes():
    assert read_labelled(FRAME, target="price").kind == "number"
    frame = pd.DataFrame({"x": np.arange(30.0), "y": np.arange(30) % 12})
    data = read_labelled(frame)  # the target is found by its name
    assert data.classes == tuple(str(n) for n in range(12))
    assert (data.targets == np.arange(30) % 12).all()
    assert read_labelled(frame, kind="number").kind == "number"
    assert read_labelled(frame.assign(y=np.arange(30))).kind == "number"
    assert len(read_labelled(frame.assign(y=np.arange(30) // 2 * 2), kind="classes").classes) == 15


def test_a_split_column_is_the_datas_own_test_part():
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": list("abab"), "part": ["train", "train", "test", "test"]})
    assert read_labelled(frame, split="part").in_test.tolist() == [False, False, True, True]
    with pytest.raises(DataError, match="a split holds the words train and test, both, but here stands 'dev'"):
        read_labelled(frame.assign(part=["train", "dev", "test", "test"]), split="part")


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {}, "which column is the target"),
        ({}, {"target": "weight"}, "there is no column 'weight'. Columns: size, colour"),
        ({"kind": "a"}, {"target": "kind"}, "all 6 samples are of the class 'a'"),
        ({"kind": list("aaaaab")}, {"target": "kind"}, "the class 'b' has one sample only"),
        ({"kind": ""}, {"target": "kind"}, "every target is blank"),
        ({"price": 2.5}, {"target": "price"}, "every target is 2.5: there is nothing to learn"),
        ({}, {"target": "price", "image": (2, 2)}, "an image of 2x2 has 4 pixels"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_a_reason(change, settings, message):
    with pytest.raises(DataError, match=message):
        read_labelled(FRAME.assign(**change), **settings)


def test_a_table_without_a_usable_column_is_refused():
    with pytest.raises(DataError, match="beside the target no column can be learned from"):
        read_labelled(FRAME[["note", "kind"]], target="kind")


def test_arrays_of_a_npz_and_their_own_test_part(tmp_path):
    images, labels = np.arange(6 * 5 * 4).reshape(6, 5, 4) % 251, np.array([3, 4, 3, 4, 3, 4])
    np.savez(tmp_path / "one.npz", x=images, y=labels)
    data = read_labelled(tmp_path / "one.npz")
    assert data.inputs.shape == (6, 1, 5, 4)
    assert data.classes == ("3", "4")
    np.savez(tmp_path / "two.npz", x_train=images[:4], y_train=labels[:4], x_test=images[4:], y_test=labels[4:])
    again = read_labelled(tmp_path / "two.npz")
    assert np.array_equal(again.inputs, data.inputs)
    assert again.in_test.tolist() == [False] * 4 + [True] * 2
    np.savez(tmp_path / "three.npz", a=images)
    with pytest.raises(DataError, match="the arrays in it are named a; the inputs should be named x"):
        read_labelled(tmp_path / "three.npz")
    (tmp_path / "four.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="this .npz cannot be read"):
        read_labelled(tmp_path / "four.npz")
    np.savez(tmp_path / "five.npz", x=images, y=labels[:5])
    with pytest.raises(DataError, match="do not go with targets of shape"):
        read_labelled(tmp_path / "five.npz")


def test_channels_may_stand_behind_and_numbers_must_be_finite():
    pair = np.zeros((4, 6, 5, 3)), [0, 1, 0, 1]
    assert read_labelled(pair).inputs.shape == (4, 3, 6, 5)
    pair[0][2, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="sample 2 .of 1 such. holds a number that is not finite"):
        read_labelled(pair)
    assert read_labelled((np.ones((4, 2)), [0.1, 0.2, 0.3, 0.4])).kind == "number"


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_find_their_labels(tmp_path, packed):
    images, labels = np.arange(4 * 3 * 3).reshape(4, 3, 3), np.array([7, 9, 7, 9])
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    path.write_bytes(pack(idx(images)))
    with pytest.raises(DataError, match="there is no file of labels beside it"):
        read_labelled(path)
    beside = tmp_path / f"train-labels-idx1-ubyte{end}"
    beside.write_bytes(pack(idx(labels)))
    data = read_labelled(path)
    assert np.array_equal(data.inputs[:, 0], images)
    assert data.classes == ("7", "9")
    with pytest.raises(DataError, match="it is the labels"):
        read_labelled(beside)
    path.write_bytes(pack(idx(images)[:-1]))
    with pytest.raises(DataError, match="the file is cut short or damaged"):
        read_labelled(path)


def test_mnist_as_it_is_spread():
    data = read_labelled(shared_data("mnist_t10k_images_idx3.gz"))
    assert data.inputs.shape == (10000, 1, 28, 28)
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.targets).min() > 850


def picture(path, size=(4, 3), colour=None) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if colour else "L", size, colour or 7).save(path)


def test_a_folder_of_images_by_class(tmp_path):
    for number in range(2):
        picture(tmp_path / "cat" / f"{number}.png")
        picture(tmp_path / "dog" / f"{number}.png", colour=(200, 10, 20))
    data = read_labelled(tmp_path)
    assert data.inputs.shape == (4, 3, 3, 4)
    assert data.classes == ("cat", "dog")
    assert data.inputs[0].min() == data.inputs[0].max() == 7
    assert data.inputs[2, :, 0, 0].tolist() == [200, 10, 20]
    picture(tmp_path / "dog" / "9.png", size=(5, 3))
    with pytest.raises(DataError, match="9.png: this image is 5 x 3 pixels, the first one .0.png. is 4 x 3 pixels"):
        read_labelled(tmp_path)
    (tmp_path / "dog" / "9.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="9.png: this image cannot be read"):
        read_labelled(tmp_path)


def test_a_folder_with_its_own_test_part_and_one_without_images(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            picture(tmp_path / part / name / "0.png")
    data = read_labelled(tmp_path)
    assert data.in_test.tolist() == [False, False, True, True]
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="there are no images in it"):
        read_labelled(tmp_path / "bare")


@pytest.mark.parametrize("name", PLANES)
def test_made_classes_are_a_function_of_their_seed_and_balanced(name):
    one, again, other = (read_labelled(name, num=101, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.inputs, again.inputs)
    assert not np.array_equal(one.inputs, other.inputs)
    assert sorted(np.bincount(one.targets)) == [50, 51]
    assert one.is_plane


def test_without_noise_the_made_classes_lie_where_they_should():
    data = moons(400, noise=0.0)
    centre = np.where(data.targets[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.hypot(*(data.inputs - centre).T), 1, atol=1e-6)
    radius = np.hypot(*rings(400, noise=0.0).inputs.T)
    assert (radius[rings(400).targets == 0] <= 0.6).all()
    assert (radius[rings(400).targets == 1] >= 1.2).all()
    arms = spirals(400, noise=0.0)
    angle = 3.5 * np.pi * np.hypot(*arms.inputs.T) / 2 + np.pi * arms.targets
    np.testing.assert_allclose(np.cos(angle) * np.hypot(*arms.inputs.T), arms.inputs[:, 0], atol=1e-4)
    with pytest.raises(ValueError, match="num=3, noise=0.1"):
        moons(3, noise=0.1)


def test_an_option_without_effect_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(DataError, match="target has no effect on moons"):
        read_labelled("moons", target="y")
    with pytest.raises(DataError, match="num has no effect on optdigits"):
        read_labelled("optdigits", num=7)
    with pytest.raises(DataError, match="or name data that are built in: optdigits, moons, spirals, rings"):
        read_labelled(tmp_path / "nothing.csv")
    with pytest.raises(TypeError, match="a pair .inputs, targets., but 3 came"):
        read_labelled((1, 2, 3))
