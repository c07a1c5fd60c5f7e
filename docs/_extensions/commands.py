"""Write the reference of the command line from its own parser, so that it cannot go stale."""

import argparse
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# The parser is no part of the public interface; what it tells its users is, and stands here.
from rfmrisk.cli import _parser


class Commands(SphinxDirective):
    """A section for each command of rfmrisk: its usage, its arguments, its options."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        (commands,) = (
            action
            for action in _parser()._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        told = {action.dest: action.help or "" for action in commands._choices_actions}
        return [
            self._section(name, parser, told[name]) for name, parser in commands.choices.items()
        ]

    def _section(self, name: str, parser: argparse.ArgumentParser, told: str) -> nodes.section:
        title = nodes.title("", "", nodes.literal("", f"rfmrisk {name}"))
        section = nodes.section("", title, ids=[f"rfmrisk-{name}"], names=[f"rfmrisk {name}"])
        self.state.document.note_implicit_target(section, section)
        section += nodes.paragraph("", f"{told[0].upper()}{told[1:]}.")
        actions = [action for action in parser._actions if action.dest != "help"]
        needed = [action for action in actions if action.required]
        line = " ".join(["rfmrisk", name, *map(_usage, needed)])
        optional = " [OPTIONS]" if any(action.option_strings for action in actions) else ""
        section += nodes.literal_block("", f"{line}{optional}", language="none")
        options = nodes.definition_list(classes=["options"])
        for action in actions:
            term = nodes.term("", "", nodes.literal("", _name(action)))
            meaning = nodes.definition("", nodes.paragraph("", _meaning(action)))
            options += nodes.definition_list_item("", term, meaning)
        section += options
        return section


def _usage(action: argparse.Action) -> str:
    return _value(action) if not action.option_strings else f"{action.option_strings[-1]} ..."


def _name(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    value = f"[{_value(action)}]" if action.nargs == "?" else _value(action)
    return f"{names} {value}".strip()


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _meaning(action: argparse.Action) -> str:
    told = action.help or _UNTOLD.get(action.dest, "")
    missing = action.default in (None, argparse.SUPPRESS) or "default" in told
    return told if missing else f"{told} (default {action.default})".strip()


# What the parser leaves to its choices and names.
_UNTOLD = {
    "folder": "folder of a training",
    "keep_tables": "keep the table of each step; alone it means csv",
    "monetary": "sum of absolute amounts, or of signed ones",
    "on_bad": "rows that cannot be used: an error that counts them, or left out with a warning",
    "search": "all candidates, or some at random",
    "version": "number of the version, such as 3",
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
