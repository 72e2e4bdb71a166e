"""`compare`: models in turns, figures as plain data, and going on after an interruption."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode.core.errors import DataError
from neurode.data.classes import moons
from neurode.data.labelled import LabelledData
from neurode.models.depth import Regulariser
from neurode.tasks.comparison.candidates import Candidate, candidates_of, parse_solver
from neurode.tasks.comparison.choices import completed, shape_of
from neurode.tasks.comparison.comparing import compare, load_comparison
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.presets import PRESETS
from neurode.tasks.comparison.samples import prepare
from neurode.tasks.comparison.story import StoryComparison
from neurode.tasks.comparison.verdicts import verdicts
from neurode.training.progress import Progress

MOONS = moons(120, seed=1)
SMALL = {"depths": (1, 3), "solvers": ("midpoint:2", "dopri5@1e-2"), "epochs": 2, "repeats": 2, "memory": False}


class Stops(Progress):
    """Raises KeyboardInterrupt, as a second Ctrl-C does, at the given step of training."""

    def __init__(self, at: int | None = None):
        self.left = at
        self.rounds: list[int] = []

    def start(self, epoch, max_epochs, batches):
        pass

    def step(self, epoch, batch):
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise KeyboardInterrupt

    def epoch(self, row, max_epochs, best):
        self.rounds.append(int(row["epoch"]))

    def say(self, sentence):
        pass

    def stop(self):
        pass


def without_times(found):
    rows = [replace(row, seconds=0.0, cpu_seconds=0.0) for row in found.rows]
    return rows, [replace(one, latency=0.0) for one in found.models], found.scenes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, compare(MOONS, run_folder=folder, progress=False, **SMALL)


def test_every_model_has_its_figures_in_every_repeat(whole):
    _, found = whole
    names = [one.candidate.name for one in found.models]
    assert names == ["ResNet 1", "ResNet 3", "ODE-net midpoint:2", "ODE-net dopri5@1e-2"]
    for number, one in enumerate(found.models):
        assert len(one.scores) == 2
        assert [row.epoch for row in found.epochs(number, 1)] == [1, 2]
        assert found.epochs(number, 1)[-1].score == one.scores[1]
        assert sum(map(sum, one.confusion)) == 2 * found.num_test == 48
        assert len(one.noise) == len(found.noise_levels)
        assert found.epoch_seconds(one)[0] > 0
    assert found.evaluations(found.models[1]) == (3.0, 0.0)
    forward, backward = found.evaluations(found.models[2])
    assert forward == 4.0
    assert backward in (2.0, 4.0)  # the eager engine keeps the graph of a first step
    assert found.models[2].redone[0].words == "midpoint, 2 steps"
    assert found.euler_gap < 1e-12
    assert [scene.candidate < 2 for scene in found.scenes] == [True, False]
    assert verdicts(found)


def test_models_take_turns_epoch_by_epoch_and_each_begins_a_round(whole):
    _, found = whole
    order = [(row.repeat, row.epoch, row.candidate) for row in found.rows]
    assert order[:8] == [(0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 3), (0, 2, 1), (0, 2, 2), (0, 2, 3), (0, 2, 0)]


def test_the_run_folder_holds_what_was_found(whole):
    folder, found = whole
    assert load_comparison(folder) == found
    with open(folder / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.rows)
    assert float(rows[-1]["score"]) == found.rows[-1].score
    with pytest.raises(DataError, match="there is no comparison here"):
        load_comparison(folder.parent)


@pytest.mark.parametrize("at", [3, 12, 20])
def test_a_run_that_was_cut_goes_on_to_the_same_figures(whole, tmp_path, at):
    _, due = whole
    with pytest.raises(KeyboardInterrupt):
        compare(MOONS, run_folder=tmp_path / "run", progress=Stops(at), **SMALL)
    found = compare(MOONS, run_folder=tmp_path / "run", resume=True, progress=False, **SMALL)
    assert without_times(found) == without_times(due)
    with open(tmp_path / "run" / "metrics.csv") as file:
        assert sum(1 for _ in file) == 1 + len(due.rows)


def test_a_run_goes_on_with_its_own_settings_and_data_only(whole):
    folder, _ = whole
    for data, settings in ((MOONS, SMALL | {"learning_rate": 0.1}), (moons(100), SMALL)):
        with pytest.raises(DataError, match="begun with other settings or other data"):
            compare(data, run_folder=folder, resume=True, progress=False, **settings)
    with pytest.raises(ValueError, match="resume=True needs the run_folder"):
        compare(MOONS, resume=True, progress=False, **SMALL)
    with pytest.raises(DataError, match="the output folder is not empty"):
        compare(MOONS, run_folder=folder, progress=False, **SMALL)


def test_a_loss_that_is_not_finite_ends_one_model_and_not_the_others():
    hopeless = Candidate("odenet", None, "euler:1", "direct", Regulariser(kinetic=1e39))
    candidates = (hopeless, Candidate("resnet", 1), Candidate("odenet", None, "euler:1", "direct"))
    found = compare(MOONS, progress=False, candidates=candidates, **SMALL | {"repeats": 1})
    assert [one.problem for one in found.models] == ["The loss is not finite in epoch 1.", "", ""]
    assert len(found.trained) == 2
    assert not found.epochs(0, 0)
    assert len(found.epochs(1, 0)) == len(found.epochs(2, 0)) == 2
    assert any("could not be trained: The loss is not finite" in sentence for sentence in verdicts(found))


def test_threads_and_random_numbers_are_the_callers_again():
    torch.manual_seed(5)
    due = torch.rand(3)
    torch.manual_seed(5)
    compare(MOONS, progress=False, **SMALL | {"repeats": 1, "epochs": 1, "depths": (1,), "solvers": ("euler:1",)})
    assert torch.equal(torch.rand(3), due)
    assert torch.get_num_threads() == 1


def images(num: int = 40) -> LabelledData:
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 2
    pixels = rng.normal(size=(num, 1, 6, 6)) + labels[:, None, None, None]
    return LabelledData(pixels.astype(np.float32), labels.astype(np.int64), classes=("dark", "light"))


def test_images_and_numbers_are_compared_too():
    small = SMALL | {"repeats": 1, "epochs": 1, "depths": (1,), "solvers": ("euler:1",)}
    found = compare(images(), progress=False, width=4, **small)
    assert found.about == "40 images of 6 x 6 pixels in 2 classes"
    assert len(found.scenes[0].stages[0]) == 6
    numbers = LabelledData(MOONS.inputs, MOONS.inputs[:, 0] + 1, "number", features=("x", "y"))
    told = compare(numbers, progress=False, **small | {"epochs": 30, "learning_rate": 0.02})
    assert told.score_name == "explained variance"
    assert told.models[0].score > 0.9
    assert not told.models[0].confusion


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own():
    settings = SMALL | {"repeats": 1, "epochs": 1, "depths": (4, 32), "solvers": ("midpoint:2",), "memory": True}
    found = compare(images(128), progress=False, width=8, gradients=("direct", "Checkpointed(1)"), **settings)
    lines = {}
    for point in found.memory:
        lines.setdefault(point.line, []).append(point)
        assert point.resident > 0.5 * point.tensors
    few, many = lines["ODE-net midpoint, Checkpointed(1)"]
    assert many.tensors <= 1.05 * few.tensors
    for line in ("ResNet", "ODE-net midpoint, direct"):
        few, many = lines[line]
        assert many.tensors > 3 * few.tensors
    assert all(one.memory is not None and one.memory.tensors > 0 for one in found.models)
    assert not found.notes


def test_the_split_is_by_class_and_scaled_by_the_training_part():
    config = completed(ComparisonConfig(test=0.25), MOONS)
    first, again, other = (prepare(MOONS, config, seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert not torch.equal(first.train.inputs, other.train.inputs)
    assert first.test.targets.bincount().tolist() == [15, 15]
    assert first.train.inputs.mean(0).abs().max() < 1e-6
    assert first.train.inputs.std(0, correction=0).sub(1).abs().max() < 1e-5
    own = replace(MOONS, in_test=np.arange(120) < 20)
    assert [len(prepare(own, config, seed).test) for seed in (0, 1)] == [20, 20]
    few = completed(ComparisonConfig(samples=10), own)
    assert len(prepare(own, few, 0).train) == 10
    with pytest.raises(DataError, match="at least 4 and 2 are needed"):
        prepare(replace(own, in_test=np.arange(120) < 117), config, 0)


def test_batches_are_a_function_of_seed_and_epoch_and_hold_each_sample_once():
    samples = prepare(MOONS, completed(ComparisonConfig(), MOONS), 0).train
    one, again, next_epoch = (list(samples.shuffled(20, 3, epoch)) for epoch in (0, 0, 1))
    assert len(one) == samples.num_batches(20) == 5
    assert all(torch.equal(a.numbers, b.numbers) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0].numbers, next_epoch[0].numbers)
    assert sorted(torch.cat([batch.numbers for batch in one]).tolist()) == list(range(96))
    assert len(list(samples.shuffled(45, 0, 0))) == samples.num_batches(45) == 2  # six left over are too few


def test_what_is_left_open_follows_from_the_data():
    plane, picture = completed(ComparisonConfig(), MOONS), completed(ComparisonConfig(), images())
    assert (plane.stem, plane.width, plane.augment, plane.hidden) == ("learned", 16, 0, (64, 64))
    assert (picture.stem, picture.width, picture.augment, picture.hidden) == ("learned", 24, 0, None)
    assert shape_of(picture, images()).state_width == 24
    assert completed(ComparisonConfig(stem="none"), MOONS).width == 2
    with pytest.raises(DataError, match="hidden has no effect on images"):
        completed(ComparisonConfig(hidden=(3,)), images())
    with pytest.raises(DataError, match="stem='none' needs vectors"):
        shape_of(completed(ComparisonConfig(stem="none", width=5), MOONS), MOONS)


def test_solvers_are_read_from_words():
    assert parse_solver("rk4:3", "direct").words == "rk4, 3 steps"
    depth = parse_solver("tsit5@2e-4", "Checkpointed(3)")
    assert (depth.rtol, depth.atol, depth.steps) == (2e-4, 2e-4, None)
    assert depth.gradient.k == 3
    assert parse_solver("dopri5", "adjoint").rtol == 1e-3


def test_what_keeps_a_field_cheap_is_compared_with_going_without():
    config = ComparisonConfig(depths=(2,), tied=True, solvers=("rk4:1", "euler:2"), kinetic=0.5)
    names = [one.name for one in candidates_of(config)]
    assert names == [
        "ResNet 2",
        "tied ResNet 2",
        "ODE-net rk4:1",
        "ODE-net rk4:1, kinetic 0.5",
        "ODE-net euler:2",
        "ODE-net euler:2, kinetic 0.5",
    ]
    assert len(candidates_of(config.model_copy(update={"beside": False}))) == 4


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_its_name_and_settings_that_hold(name):
    preset = PRESETS[name]()
    assert preset.name == name
    assert candidates_of(preset.config(seed=3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": (2, 2)}, "depths must be different whole numbers"),
        ({"solvers": ("midpoint 4",)}, "'midpoint 4' is no solver. Write METHOD:STEPS"),
        ({"gradients": ()}, "give at least one, and none twice"),
        ({"more_steps": 2}, "more_steps has no effect on 'dopri5@1e-3'"),
        ({"depth": 3}, "unknown setting 'depth'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        compare(MOONS, progress=False, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solvers": ("dopri6:2",)}, "solver 'dopri6:2' with gradient 'checkpointed': .*dopri6"),
        ({"solvers": ("midpoint@1e-3",)}, "has no error estimate"),
        ({"gradients": ("adjont",)}, "Did you mean 'adjoint'"),
    ],
)
def test_a_method_or_gradient_that_does_not_exist_is_refused(settings, message):
    with pytest.raises(DataError, match=message):
        candidates_of(ComparisonConfig(**settings))


def test_an_adjoint_that_drifts_is_counted_and_not_shown_a_hundred_times(recwarn):
    """A step of one half by Euler's method, solved back by Euler's method, ends elsewhere."""
    adjoint = Candidate("odenet", None, "euler:2", "adjoint")
    settings = SMALL | {"repeats": 1, "epochs": 12, "depths": (1,), "solvers": ("euler:2",), "learning_rate": 0.1}
    found = compare(MOONS, progress=False, candidates=(adjoint, Candidate("resnet", 1)), **settings)
    assert 0 < found.drifted(found.models[0]) <= 1
    assert found.drifted(found.models[1]) == 0
    assert not recwarn.list


def test_the_storys_comparison_trains_networks_the_textbooks_ode_and_ours():
    found = StoryComparison.quick().run(progress=False)
    assert [one.candidate.name for one in found.trained] == [
        "ResNet 1",
        "ResNet 2",
        "ODE-net dopri5@1e-3, adjoint",
        "ODE-net midpoint:2, Checkpointed(5), steps times 4",
    ]
    assert "points in the plane" in found.about
    assert any(item.startswith("ODE-net midpoint:2") for item in verdicts(found))
