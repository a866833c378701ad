"""Words that YAML reads as other things than text: `on`, `no`, `null`, `1_000`, `12:30`, dates."""

from typing import Any

NAMES = "a name is of small letters and digits, a letter first"
FAMILIES, FREE = ("studies", "corpora", "models", "saes", "cases", "draw"), ("prices",)
"""Mappings whose keys are names of the user's, or any text."""
MISREAD = ", as YAML reads "
EXAMPLES = {"number": "such as 750, 1_000, 12:30", "date": "such as 2024-01-31"}
SPELLINGS = {True: ("on", "yes", "true"), False: ("off", "no", "false"), None: ("null", "~")}


def misread(value: Any, is_name: bool = False) -> str:
    """What to say behind a value that is no text.

    Args:
        value: what YAML has made of what is written.
        is_name: whether a name is wanted, which no number can be, or any text.
    """
    if value is None or isinstance(value, bool):
        *words, last = (f"`{word}`" for word in SPELLINGS[value])
        spelt = f"{', '.join(words)} and {last}"
        return f'{MISREAD}{spelt}: quote the word, as in "{SPELLINGS[value][0]}"'
    if isinstance(value, dict | list | tuple):
        return f", where {'a name' if is_name else 'text'} is wanted"
    kind = "number" if isinstance(value, int | float) else "date"
    remedy = f"{NAMES}" if is_name else "quote it, to have it as text"
    return f"{MISREAD}a {kind} ({EXAMPLES[kind]}): {remedy}"


def with_text_keys(data: Any, where: tuple[str, ...], problems: list[str]) -> Any:
    """The data with text for every key, so that all else can be checked.

    Args:
        data: what YAML has read.
        where: the keys that lead to it.
        problems: gets a line for each key that is no text.
    """
    if isinstance(data, list):
        return [with_text_keys(item, where, problems) for item in data]
    if not isinstance(data, dict):
        return data
    found: dict[str, Any] = {}
    for key, value in data.items():
        if not isinstance(key, str):
            place = f"{'.'.join(where)}: "
            if where and where[-1] in (*FAMILIES, *FREE):  # elsewhere it is an unknown key
                words = misread(key, is_name=where[-1] in FAMILIES)
                problems.append(f"{place}the key {shown(key)}{words}")
            key = SPELLINGS[key][0] if key is None or isinstance(key, bool) else f"k{len(found)}"
        found[key] = with_text_keys(value, (*where, key), problems)
    return found


def shown(value: Any) -> str:
    """A value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)
