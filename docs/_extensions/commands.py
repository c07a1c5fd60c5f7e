"""Write the page of the command line from its own parser: python docs/_extensions/commands.py."""

import argparse
from pathlib import Path

# The parser is no part of the public interface; what it shows its users is, and stands here.
from rfmrisk.cli import _parser

PAGE = Path(__file__).parents[1] / "cli.md"
_MARK = "<!-- What follows is written by docs/_extensions/commands.py. -->\n"


def written() -> str:
    """Return the page as it should be: its own introduction, and a section for each command."""
    introduction, _, _ = PAGE.read_text(encoding="utf-8").partition(_MARK)
    (commands,) = (
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    text = {action.dest: action.help or "" for action in commands._choices_actions}
    sections = [_section(name, parser, text[name]) for name, parser in commands.choices.items()]
    return introduction + _MARK + "\n" + "\n".join(sections)


def _section(name: str, parser: argparse.ArgumentParser, text: str) -> str:
    actions = [action for action in parser._actions if action.dest != "help"]
    needed = [action for action in actions if action.required]
    line = " ".join(["rfmrisk", name, *map(_usage, needed)])
    optional = " [OPTIONS]" if any(action.option_strings for action in actions) else ""
    rows = ["| option | meaning |", "|---|---|"]
    rows += [f"| `{_name(action)}` | {_meaning(action)} |" for action in actions]
    usage = f"```\n{line}{optional}\n```"
    sentence = f"{text[0].upper()}{text[1:]}."
    return "\n\n".join([f"## rfmrisk {name}", sentence, usage, "\n".join(rows)]) + "\n"


def _usage(action: argparse.Action) -> str:
    return _value(action) if not action.option_strings else f"{action.option_strings[-1]} ..."


def _name(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    value = f"[{_value(action)}]" if action.nargs == "?" else _value(action)
    return f"{names} {value}".strip().replace("|", "\\|")


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _meaning(action: argparse.Action) -> str:
    text = " ".join((action.help or _WITHOUT_HELP.get(action.dest, "")).split()).replace("|", "\\|")
    missing = action.default in (None, False, argparse.SUPPRESS) or "default" in text
    return text if missing else f"{text} (default {action.default})".strip()


# What the parser leaves to its choices and names.
_WITHOUT_HELP = {
    "folder": "folder of a training",
    "keep_tables": "keep the table of each step; alone it means csv",
    "monetary": "sum of absolute amounts, or of signed ones",
    "on_bad": "rows that cannot be used: an error that counts them, or left out with a warning",
    "search": "all candidates, or some at random",
    "version": "number of the version, such as 3",
}


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
