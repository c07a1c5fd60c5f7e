"""What the names of a model's features say of protected attributes."""

import re
from collections.abc import Iterable

_WORDS = {
    "age": "age ages birth birthday birthdate birthyear dob yob born",
    "gender or sex": "gender genders sex female male title salutation",
    "ethnicity or race": "ethnicity ethnic race tribe caste colour color skin",
    "religion": "religion religious faith church denomination",
    "nationality or origin": "nationality citizenship citizen origin birthplace immigrant language",
    "marital or family status": "marital marriage married spouse children dependents family",
    "pregnancy or disability": "pregnant pregnancy disability disabled handicap",
    "sexual orientation": "orientation",
    "politics or union": "political party union",
}
PROTECTED = {attribute: set(words.split()) for attribute, words in _WORDS.items()}


def protected_by_name(features: Iterable[str]) -> dict[str, list[str]]:
    """Return the features whose names speak of a protected attribute.

    A name says what a column is called, and not what it holds or stands in for.

    Parameters
    ----------
    features : iterable of str
        Such as ``"category__gender_top"`` or ``"application__DateOfBirth"``.

    Returns
    -------
    dict of str to list of str
        The features by attribute; attributes of which no name speaks are not in it.

    Examples
    --------
    >>> from rfmrisk.training.report.attributes import protected_by_name
    >>> protected_by_name(["category__Gender_top", "application__packages", "spend__average"])
    {'gender or sex': ['category__Gender_top']}
    """
    found: dict[str, list[str]] = {}
    for feature in features:
        words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", feature)}
        for attribute, known in PROTECTED.items():
            if words & known:
                found.setdefault(attribute, []).append(feature)
    return found
