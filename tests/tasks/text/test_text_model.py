"""Training, keeping and asking a sentence model."""

import json
import os
import re
import signal

import numpy as np
import pytest
import torch

from neurode import TextModel
from neurode.core.errors import DataError, NeurodeError
from neurode.training.progress import Progress
from tests.tasks.text.toy_text import SMALL, is_grammatical, toy_sentences, trained


def test_codes_have_one_row_a_sentence_and_do_not_depend_on_the_others(toy):
    sentences = ["the dog sees a cat", "a bird waits", "the girl finds the horse"]
    codes = toy.encode(sentences)
    assert (codes.shape, codes.dtype) == ((3, 12), np.float32)
    np.testing.assert_allclose(toy.encode(sentences[1]), codes[1:2], atol=1e-5)


def test_decoding_codes_gives_sentences_of_the_text(toy):
    fresh = ["the dog hears a bird", "a farmer likes the horse", "the cat smiles", "a girl finds a boy"]
    assert all(map(is_grammatical, toy.decode(toy.encode(fresh))))


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (np.zeros(12), r"\(n, 12\).*got shape \(12,\)"),
        (np.zeros((2, 3)), "got shape"),
        (np.full((1, 12), np.nan), "finite"),
    ],
)
def test_codes_of_another_shape_or_without_numbers_are_refused(toy, codes, says):
    with pytest.raises(ValueError, match=says):
        toy.decode(codes)


def test_refined_codes_give_back_sentences_that_plain_ones_miss(toy):
    fresh = sorted(set(toy_sentences(seed=9)) - set(toy_sentences()))
    fresh = [one for one in fresh if "name" not in one][:40]
    plain, refined = (toy.reconstruct(fresh, ends=ends).exact.mean() for ends in ("encoded", "refined"))
    assert plain < refined
    assert refined > 0.9


def test_a_reconstruction_is_a_table_too(toy):
    frame = toy.reconstruct(["the dog waits", "a cat runs"]).to_frame()
    assert list(frame.columns) == ["sentence", "reconstruction", "exact"]
    assert list(frame["sentence"]) == ["the dog waits", "a cat runs"]


@pytest.mark.parametrize("prior", ["flow", "normal"])
def test_made_sentences_repeat_by_seed_and_more_of_them_keep_the_first(toy, prior):
    made = toy.sample(12, prior, seed=1)
    assert toy.sample(30, prior, seed=1)[:12] == made
    assert toy.sample(12, prior, seed=2) != made


def test_sentences_from_the_flow_are_grammatical(toy):
    made = toy.sample(100)
    assert np.mean([is_grammatical(one) for one in made]) > 0.8
    assert len(set(made)) > 30
    assert not any("unknown" in one for one in made)


def test_words_may_be_drawn_as_well_as_codes(toy):
    assert toy.sample(30, how="sample", seed=1) != toy.sample(30, how="sample", seed=2)
    with pytest.raises(ValueError, match="how='beam' must be 'greedy' or 'sample'"):
        toy.sample(3, how="beam")


@pytest.mark.parametrize(("n", "prior", "says"), [(0, None, "n=0 must be"), (2, "gauss", "There are: flow, normal")])
def test_impossible_samples_are_refused(toy, n, prior, says):
    with pytest.raises(ValueError, match=says):
        toy.sample(n, prior)


def test_neighbours_are_other_sentences_in_order_of_distance(toy):
    text = toy_sentences()
    found = toy.neighbours(text[1], 5)
    (distances,), (nearest,) = found.distances, found.nearest
    assert text[1] not in nearest
    assert set(nearest) <= set(text)
    assert (np.diff(distances) >= 0).all()
    codes = toy.fitted.scale.to_unit(torch.from_numpy(toy.encode([text[1], *text]))).numpy()
    apart = np.sqrt(np.square(codes[1:] - codes[0]).mean(axis=1))
    assert distances[0] == pytest.approx(np.sort(apart[[one != text[1] for one in text]])[0], rel=1e-3)


def test_neighbours_may_be_sought_in_another_text(toy):
    found = toy.neighbours(["the dog runs"], 2, among=["a cat runs", "the girl sees a boy", "the horse hears a bird"])
    assert found.to_frame()["rank"].tolist() == [1, 2]
    assert set(found.nearest[0]) < {"a cat runs", "the girl sees a boy", "the horse hears a bird"}


def test_a_saved_model_gives_the_same_paths(toy, tmp_path):
    again = TextModel.load(toy.save(tmp_path / "model"))
    ends = "the dog sees a cat", "a farmer waits"
    first, second = (model.interpolate(*ends, 7) for model in (toy, again))
    assert first.sentences == second.sentences
    assert again.sample(5) == toy.sample(5)
    assert again.config == toy.config
    assert again.fitted.split == toy.fitted.split
    np.testing.assert_array_equal(again.fitted.used.hashes, toy.fitted.used.hashes)


def test_a_loaded_model_must_be_told_the_text_it_seeks_neighbours_in(toy, tmp_path):
    again = TextModel.load(toy.save(tmp_path / "model"))
    with pytest.raises(DataError, match="a loaded model holds none. Pass the text"):
        again.neighbours("the dog waits")


def test_a_folder_whose_tokenizer_belongs_to_another_model_is_damaged(toy, tmp_path):
    folder = toy.save(tmp_path / "model")
    path = folder / "preprocessing.json"
    saved = json.loads(path.read_text())
    for name in ("words", "counts"):
        saved["tokenizer"][name] = saved["tokenizer"][name][:-1]
    path.write_text(json.dumps(saved))
    with pytest.raises(DataError, match="damaged.*the network has 24 ids, its tokenizer 23"):
        TextModel.load(folder)


def test_the_run_folder_holds_all_and_a_finished_run_resumes_to_the_same_model(tmp_path):
    settings = SMALL | {"epochs": 2, "flow_steps": 20}
    said: list[str] = []
    first = TextModel(**settings).fit(toy_sentences(200), run_folder=tmp_path / "run", progress=False, say=said.append)
    for name in ("config.yaml", "metrics.csv", "train.log", "checkpoints/last.ckpt", "flow/metrics.csv", "model"):
        assert (tmp_path / "run" / name).exists(), name
    again = TextModel(**settings).fit(toy_sentences(200), run_folder=tmp_path / "run", resume=True, progress=False)
    ends = "the dog sees a cat", "a farmer waits"
    assert again.interpolate(*ends, 5).sentences == first.interpolate(*ends, 5).sentences
    assert TextModel.load(tmp_path / "run").sample(3) == first.sample(3)
    assert said == list(first.notes)
    assert any(re.search("sentences: train", one) for one in said)


def test_the_same_seed_trains_the_same_model():
    short = {"epochs": 1, "flow_steps": 10}
    first, again, other = (trained(**short, seed=seed).encode("the dog waits") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_a_text_model_is_untrained_until_it_is_fitted():
    with pytest.raises(NeurodeError, match="not trained yet: call fit"):
        TextModel().encode("the dog waits")


def test_subwords_take_every_string():
    model = trained(tokenizer="subwords", case="sentence", vocabulary=300, epochs=1, flow_steps=0, flow={})
    assert model.encode(["the dög waits", "кот"]).shape == (2, 12)
    assert model.interpolate("the dog waits", "Ж 2 !", 3).start == "the dog waits"
    with pytest.raises(DataError, match=r"pieces of words, and the longest.*Shorten it"):
        model.encode("the dog waits " * 30)


def test_a_model_without_flow_walks_straight_and_says_what_it_lacks():
    model = trained(epochs=1, flow_steps=0, flow={})
    assert model.interpolate("the dog waits", "a cat runs", 3).path == "linear"
    with pytest.raises(ValueError, match="trained without. Take path='linear'"):
        model.interpolate("the dog waits", "a cat runs", path="flow")
    with pytest.raises(ValueError, match="trained without. Take prior='normal'"):
        model.sample(2, "flow")
    assert len(model.sample(2)) == 2


def test_sentences_are_read_from_a_column_of_a_table(tmp_path):
    lines = ["id,caption", *(f"{n},{text}" for n, text in enumerate(toy_sentences(150)))]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    model = TextModel(**SMALL | {"epochs": 1, "flow_steps": 0, "flow": {}})
    assert model.fit(tmp_path / "captions.csv", "caption", progress=False).fitted.source == "captions"
    with pytest.raises(DataError, match=r"captions.csv.*'text'"):
        model.fit(tmp_path / "captions.csv", "text", progress=False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model": {"hidden_dim": 3}}, "model: hidden_dim is a setting of its own"),
        ({"model": {"vocabulary_size": 3}}, "model: vocabulary_size follows from the text"),
        ({"model": {"beta": 1.0}}, "model: beta=1.0 has no effect with code='sphere'"),
        ({"model": {"layers": 2}}, "model: .*layers"),
        ({"flow": {"depth": 2}, "epochs": 1}, "flow: .*depth"),
    ],
)
def test_settings_of_the_networks_are_checked(settings, says):
    with pytest.raises(DataError, match=says):
        trained(**settings)


def test_too_small_a_text_is_refused_with_what_would_help():
    with pytest.raises(DataError, match="leave the part .* empty. Give more sentences"):
        TextModel(**SMALL).fit(toy_sentences(4), progress=False)


class StopAt(Progress):
    """Presses Ctrl-C at a step."""

    def __init__(self, step: int):
        self.left = step

    def start(self, epoch, max_epochs, batches):
        pass

    def step(self, epoch, batch):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, row, max_epochs, best):
        pass

    def say(self, sentence):
        pass

    def stop(self):
        pass


def test_an_interrupted_run_resumes_to_the_same_model_from_the_network_and_from_the_flow(tmp_path):
    settings = SMALL | {"epochs": 2, "flow_steps": 40}
    text = toy_sentences(300)
    whole = TextModel(**settings).fit(text, progress=False)
    for step in (7, 25):  # seven batches an epoch: in the first epoch of the network, and in the flow
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            TextModel(**settings).fit(text, run_folder=folder, progress=StopAt(step))
        assert not (folder / "model").exists()
        again = TextModel(**settings).fit(text, run_folder=folder, resume=True, progress=False)
        np.testing.assert_array_equal(again.encode(text[0]), whole.encode(text[0]))
        assert again.sample(4) == whole.sample(4)
