"""The rules and words of a small English: number, case, tense and class agree, at a distance too."""

from collections.abc import Iterator
from dataclasses import dataclass

_NUMBERS = ("sg", "pl")
_CLASSES = {"person": "who", "animal": "which", "thing": "which"}
_TENSES = {"pres": 0.4, "past": 0.35, "will": 0.15, "can": 0.1}


@dataclass(frozen=True)
class Rule:
    """left becomes right, a sequence of other symbols, with a weight among the rules of the same left side."""

    left: str
    right: tuple[str, ...]
    weight: float = 1.0

    def __post_init__(self):
        if not self.right or self.weight <= 0:
            raise ValueError(f"a rule needs a right side and a weight above 0; got {self}.")

    def __str__(self) -> str:
        return f"{self.left} -> {' '.join(self.right)} [{self.weight:g}]"


WORDS: dict[str, str] = {
    "Det.sg": "the a every this",
    "Det.pl": "the some these two many",
    "Noun.sg.person": "boy girl teacher doctor farmer",
    "Noun.pl.person": "boys girls teachers doctors farmers",
    "Noun.sg.animal": "dog cat horse bird",
    "Noun.pl.animal": "dogs cats horses birds",
    "Noun.sg.thing": "house garden car tree boat",
    "Noun.pl.thing": "houses gardens cars trees boats",
    "Name": "anna ben mary tom",
    "He.sg": "he she",
    "He.pl": "they",
    "Him": "him her them",
    "Intr.sg": "sleeps runs smiles waits",
    "Intr.pl": "sleep run smile wait",
    "Intr.past": "slept ran smiled waited",
    "Trans.sg": "sees chases loves follows finds",
    "Trans.pl": "see chase love follow find",
    "Trans.past": "saw chased loved followed found",
    "Ditr.sg": "gives shows",
    "Ditr.pl": "give show",
    "Ditr.past": "gave showed",
    "Sent.sg": "thinks says knows",
    "Sent.pl": "think say know",
    "Sent.past": "thought said knew",
    "Be.sg.pres": "is",
    "Be.pl.pres": "are",
    "Be.sg.past": "was",
    "Be.pl.past": "were",
    "be": "be",
    "do.sg": "does",
    "do.pl": "do",
    "did": "did",
    "will": "will",
    "can": "can",
    "not": "not",
    "Adj": "big small old young happy sad red",
    "Manner": "quickly slowly quietly loudly",
    "Time.pres": "now nowadays",
    "Time.past": "yesterday recently",
    "Time.will": "tomorrow soon",
    "very": "very",
    "Prep": "in near behind beside",
    "who": "who",
    "which": "which",
    "that": "that",
    "to": "to",
    "and": "and",
}
"""Words of each last symbol, equally likely. No noun or adjective begins with a vowel, so "a" is always right."""


def agreement_rules() -> tuple[Rule, ...]:
    """The rules, features written into the symbols (VP.sg.person.past), start symbol S.

    Agreement: subject and verb in number, across a relative clause too; determiner and noun; pronouns in case; who for
    persons and which for the rest; the tense of the verb with adverbs of time; the plain form after do, will and can.
    Only persons give, show, think, say and know; things only are. Verbs are intransitive, transitive, ditransitive
    (two objects, or one and "to") or take a sentence. A phrase of place may belong to an object or to the verb, so some
    sentences have several derivations.
    """
    return (*_sentences(), *_nouns(), *_verb_phrases(), *_verbs())


def _sentences() -> Iterator[Rule]:
    for number, kind, weight in (
        ("sg", "person", 0.42), ("pl", "person", 0.24), ("sg", "animal", 0.14), ("pl", "animal", 0.1),
        ("sg", "thing", 0.06), ("pl", "thing", 0.04),
    ):  # fmt: skip
        yield Rule("S", (f"Subject.{number}.{kind}", f"VP.{number}.{kind}"), weight)
        yield Rule(f"Subject.{number}.{kind}", (f"NP.{number}.{kind}",), 0.75)
        if kind == "person":
            yield Rule(f"Subject.{number}.person", (f"He.{number}",), 0.25)
        for tense, share in _TENSES.items():
            yield Rule(f"VP.{number}.{kind}", (f"VP.{number}.{kind}.{tense}",), share)


def _nouns() -> Iterator[Rule]:
    for kind, pronoun in _CLASSES.items():
        for number in _NUMBERS:
            yield Rule(f"NP.{number}.{kind}", (f"Det.{number}", f"Nom.{number}.{kind}"), 0.75)
            yield Rule(f"Nom.{number}.{kind}", (f"Head.{number}.{kind}",), 0.7)
            yield Rule(f"Nom.{number}.{kind}", ("Adj", f"Head.{number}.{kind}"), 0.3)
            yield Rule(f"Head.{number}.{kind}", (f"Noun.{number}.{kind}",), 0.84)
            yield Rule(f"Head.{number}.{kind}", (f"Noun.{number}.{kind}", "PP"), 0.06)
            yield Rule(f"Head.{number}.{kind}", (f"Noun.{number}.{kind}", pronoun, f"VP.{number}.{kind}"), 0.05)
            yield Rule(f"Head.{number}.{kind}", (f"Noun.{number}.{kind}", pronoun, "Gap"), 0.05)
            yield Rule(f"Simple.{kind}", (f"Det.{number}", f"Noun.{number}.{kind}"), 0.5)
            yield Rule(f"AnyNP.{kind}", (f"NP.{number}.{kind}",), {"sg": 0.65, "pl": 0.35}[number])
        yield Rule(f"NP.pl.{kind}", (f"Simple.{kind}", "and", f"Simple.{kind}"), 0.15)
    yield Rule("NP.sg.person", ("Name",), 0.4)
    yield Rule("Simple.person", ("Name",), 0.5)
    yield Rule("PP", ("Prep", "AnyNP.thing"))
    yield Rule("Object", ("Him",), 0.2)
    for kind, weight in (("person", 0.35), ("animal", 0.25), ("thing", 0.2)):
        yield Rule("Object", (f"AnyNP.{kind}",), weight)
    for number, weight in (("sg", 0.65), ("pl", 0.35)):  # a relative clause without its object: (whom) the boy sees
        for tense, share in _TENSES.items():
            yield Rule("Gap", (f"Seer.{number}", f"Verb.Trans.{number}.{tense}"), weight * share)
        yield Rule(f"Seer.{number}", (f"He.{number}",), 0.3)
        yield Rule(f"Seer.{number}", (f"Det.{number}", f"Noun.{number}.person"), 0.3)
        yield Rule(f"Seer.{number}", (f"Det.{number}", f"Noun.{number}.animal"), 0.2)
    yield Rule("Seer.sg", ("Name",), 0.2)


def _verb_phrases() -> Iterator[Rule]:
    for number in _NUMBERS:
        for tense in _TENSES:
            for kind in _CLASSES:
                whole, core = f"VP.{number}.{kind}.{tense}", f"Core.{number}.{kind}.{tense}"
                yield Rule(whole, (core,), 0.8)
                if tense != "can":
                    yield Rule(whole, (core, f"Time.{tense}"), 0.2)
                yield Rule(core, (f"Is.{number}.{tense}", "State"), 0.2)
                if kind != "thing":
                    yield from _actions(core, number, tense)
                if kind == "person":
                    yield from _personal_actions(core, number, tense)
    yield Rule("State", ("Adj",), 0.5)
    yield Rule("State", ("very", "Adj"), 0.2)
    yield Rule("State", ("PP",), 0.3)
    yield Rule("Gift", ("AnyNP.animal",), 0.5)
    yield Rule("Gift", ("AnyNP.thing",), 0.5)
    yield Rule("Receiver", ("Him",), 0.4)
    yield Rule("Receiver", ("Simple.person",), 0.6)


def _actions(core: str, number: str, tense: str) -> Iterator[Rule]:
    intransitive, transitive = (f"Verb.{valence}.{number}.{tense}" for valence in ("Intr", "Trans"))
    yield Rule(core, (intransitive,), 0.1)
    yield Rule(core, (intransitive, "Manner"), 0.1)
    yield Rule(core, (intransitive, "PP"), 0.1)
    yield Rule(core, (transitive, "Object"), 0.3)
    yield Rule(core, (transitive, "Object", "PP"), 0.05)


def _personal_actions(core: str, number: str, tense: str) -> Iterator[Rule]:
    ditransitive, sentential = (f"Verb.{valence}.{number}.{tense}" for valence in ("Ditr", "Sent"))
    yield Rule(core, (ditransitive, "Receiver", "Gift"), 0.07)
    yield Rule(core, (ditransitive, "Gift", "to", "Receiver"), 0.07)
    yield Rule(core, (sentential, "that", "S"), 0.14)


def _verbs() -> Iterator[Rule]:
    for number in _NUMBERS:
        for valence in ("Intr", "Trans", "Ditr", "Sent"):
            verb, plain = f"Verb.{valence}.{number}", f"{valence}.pl"
            yield Rule(f"{verb}.pres", (f"{valence}.{number}",), 0.85)
            yield Rule(f"{verb}.pres", (f"do.{number}", "not", plain), 0.15)
            yield Rule(f"{verb}.past", (f"{valence}.past",), 0.85)
            yield Rule(f"{verb}.past", ("did", "not", plain), 0.15)
            for modal in ("will", "can"):
                yield Rule(f"{verb}.{modal}", (modal, plain), 0.8)
                yield Rule(f"{verb}.{modal}", (modal, "not", plain), 0.2)
        for tense in ("pres", "past"):
            yield Rule(f"Is.{number}.{tense}", (f"Be.{number}.{tense}",), 0.85)
            yield Rule(f"Is.{number}.{tense}", (f"Be.{number}.{tense}", "not"), 0.15)
        for modal in ("will", "can"):
            yield Rule(f"Is.{number}.{modal}", (modal, "be"), 0.8)
            yield Rule(f"Is.{number}.{modal}", (modal, "not", "be"), 0.2)
