"""The textbook's two networks and ours on a grammar's sentences, small."""

import numpy as np
import pytest

from neurode.data.text.grammar import Grammar
from neurode.report.story.grammar import grammar_page
from neurode.tasks.text.grammar_paths import FLOW, HELD, OURS, TEXTBOOK, GrammarJob, read_grammar
from neurode.tasks.text.presets import PRESETS

TINY = {"hidden_dim": 16, "embedding_dim": 12, "code_dim": 8, "epochs": 2}


@pytest.fixture(scope="module")
def reading():
    job = GrammarJob(
        sentences=500,
        max_words=8,
        pairs=6,
        steps=5,
        made=20,
        settings=TINY | {"flow_steps": 10, "flow": {"hidden": [16, 16]}},
        textbook=TINY | {"kind": "autoencoder", "model": {}, "flow_steps": 0},
    )
    return read_grammar(job, progress=False)


def test_every_network_walks_between_the_same_sentences(reading):
    assert [(row.network, row.path) for row in reading.rows] == [
        ("autoencoder", TEXTBOOK.name),
        ("VAE", TEXTBOOK.name),
        ("VAE", HELD.name),
        ("VAE", FLOW.name),
        ("VAE", OURS.name),
    ]
    for paths in reading.examples:
        assert len({(one.start, one.end) for one in paths}) == 1
    assert 0 < reading.num_pairs <= 6


def test_verdicts_are_those_of_the_grammar(reading):
    grammar = Grammar()
    for paths, correct in zip(reading.examples, reading.correct, strict=True):
        for path, right in zip(paths, correct, strict=True):
            assert right.tolist() == [grammar.recognises(one) for one in path.sentences]
    assert all(0 <= share <= 1 for share in reading.made.values())


def test_the_page_prints_the_figures_and_marks_what_is_wrong(reading):
    page = grammar_page(reading)
    tables = [item for item in page.items if not isinstance(item, str)]
    assert len(tables) == min(3, len(reading.examples)) + 1
    assert len(tables[-1].rows) == 5
    wrong = np.array([["✗" in cell.text for cell in row[1:]] for row in tables[0].rows])
    shown = [reading.correct[0][column] for column in (0, 1, 4)]
    np.testing.assert_array_equal(wrong, ~np.array(shown).T)
    said = " ".join(item for item in page.items if isinstance(item, str))
    assert f"{reading.num_train:,} of them" in said


def test_presets_are_valid_settings():
    for name, preset in PRESETS.items():
        assert preset().name == name
        assert preset().model().config == preset().config()
