"""Other forms of English words within a vocabulary: number and tense changed, the small words that agree exchanged."""

from collections.abc import Sequence

_IRREGULAR = (
    "am is are was were be been being",
    "has have had having",
    "do does did done doing",
    "go goes went gone going",
    "don't doesn't didn't",
    "haven't hasn't hadn't",
    "isn't aren't wasn't weren't",
    "a an",
    "this these",
    "that those",
    "much many",
    "say says said saying",
    "get gets got gotten getting",
    "make makes made making",
    "know knows knew known",
    "think thinks thought",
    "take takes took taken taking",
    "see sees saw seen seeing",
    "come comes came coming",
    "give gives gave given giving",
    "find finds found",
    "tell tells told",
    "feel feels felt",
    "leave leaves left",
    "keep keeps kept",
    "begin begins began begun",
    "write writes wrote written",
    "speak speaks spoke spoken",
    "eat eats ate eaten",
    "drink drinks drank drunk",
    "buy buys bought",
    "bring brings brought",
    "sleep sleeps slept",
    "hear hears heard",
    "lose loses lost",
    "meet meets met",
    "run runs ran running",
    "sit sits sat sitting",
    "stand stands stood",
    "understand understands understood",
    "win wins won winning",
    "teach teaches taught",
    "sell sells sold",
    "send sends sent",
    "spend spends spent",
    "build builds built",
    "break breaks broke broken",
    "drive drives drove driven",
    "fall falls fell fallen",
    "forget forgets forgot forgotten",
    "grow grows grew grown",
    "hold holds held",
    "sing sings sang sung",
    "swim swims swam swum",
    "wear wears wore worn",
    "fly flies flew flown",
    "can could",
    "will would",
    "man men",
    "woman women",
    "child children",
    "foot feet",
    "tooth teeth",
    "mouse mice",
    "wife wives",
    "life lives",
    "knife knives",
)
# Spelling alone would take "thing" for a form of "the", and "ours" for one of "our".
_UNCHANGING = """
about all also always and any bus but else even ever few for from gas her here his how into its just less
mrs never new not now off one only our out over she six some ten than the their them then there they too two
very what when where who why with yes you your
"""
_VOWELS = frozenset("aeiou")
_SHORTEST_STEM = 3


def inflections(words: Sequence[str]) -> list[tuple[int, ...]]:
    """For each word, the ids (places in `words`) of its other forms that the vocabulary holds; () where it has none.

    Good for making sentences that are wrong in agreement or tense alone. Rules of spelling and a list of irregular
    words, nothing more: some pairs are no forms of one word, and a changed form may leave a sentence right. Words of
    other languages get (). Letter case must be that of the rules, lower.
    """
    places = {word: place for place, word in enumerate(words)}
    families: dict[str, set[int]] = {}
    for group in _IRREGULAR:
        members = {places[word] for word in group.split() if word in places}
        for place in members:
            families.setdefault(words[place], set()).update(members)
    listed = {word for group in _IRREGULAR for word in group.split()}
    unchanging = set(_UNCHANGING.split())
    for stem, place in places.items():
        if len(stem) < _SHORTEST_STEM or not stem.isalpha() or stem in listed or stem in unchanging:
            continue
        members = {places[form] for form in _regular_forms(stem) if form in places and form not in listed}
        if members:
            members.add(place)
            for member in members:
                families.setdefault(words[member], set()).update(members)
    return [tuple(sorted(families.get(word, set()) - {place})) for place, word in enumerate(words)]


def _regular_forms(stem: str) -> list[str]:
    """The -s, -ed and -ing forms that English spelling gives a stem."""
    if stem.endswith("y") and stem[-2] not in _VOWELS:
        return [f"{stem[:-1]}ies", f"{stem[:-1]}ied", f"{stem}ing"]
    if stem.endswith("e"):
        return [f"{stem}s", f"{stem}d", f"{stem[:-1]}ing"]
    if stem.endswith(("s", "x", "z", "ch", "sh")):
        return [f"{stem}es", f"{stem}ed", f"{stem}ing"]
    doubled = stem + stem[-1]
    return [f"{stem}s", f"{stem}ed", f"{stem}ing", f"{doubled}ed", f"{doubled}ing"]
