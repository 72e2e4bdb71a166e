"""A grammar of some twenty words, rare names among them, and a model that learns it in seconds."""

from typing import Any

from neurode import TextModel
from neurode.data.text.grammar import Grammar
from neurode.data.text.grammar_rules import Rule

WORDS = {
    "Det": "the a",
    "Noun": "dog cat girl boy horse bird teacher farmer",
    "Verb": "sees likes finds hears",
    "Alone": "sleeps runs smiles waits",
}
RULES = [
    Rule("S", ("NP", "VP")),
    Rule("NP", ("Det", "Noun")),
    Rule("VP", ("Alone",), 1.0),
    Rule("VP", ("Verb", "NP"), 3.0),
]
SMALL: dict[str, Any] = {
    "case": "keep",
    "near_duplicates": "apart",
    "kind": "noisy",
    "code_dim": 12,
    "hidden_dim": 48,
    "embedding_dim": 24,
    "epochs": 24,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "flow_steps": 150,
    "flow": {"hidden": [48, 48]},
    "judge": 0,
    "pairs": 0.1,
}


def grammar() -> Grammar:
    return Grammar(RULES, WORDS)


def toy_sentences(count: int = 800, seed: int = 0) -> list[str]:
    """Different sentences, at most `count`; in every ninth the first noun is a name that comes nowhere else."""
    found = list(dict.fromkeys(grammar().sample(count, seed)))
    for number in range(0, len(found), 9):
        words = found[number].split()
        found[number] = " ".join([words[0], f"name{number}", *words[2:]])
    return found


def trained(**changes: Any) -> TextModel:
    return TextModel(**{**SMALL, **changes}).fit(toy_sentences(), progress=False)


def is_grammatical(sentence: str, names: tuple[str, ...] = ()) -> bool:
    """Whether the grammar derives it, with these names for dogs."""
    return grammar().recognises(["dog" if word in names else word for word in sentence.split()])
