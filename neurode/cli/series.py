"""`neurode series`: the verbs for tables of series."""


def verbs():
    return []
