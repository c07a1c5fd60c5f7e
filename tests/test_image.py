"""What the image is made of: every dependency is locked, within the bounds of the package."""

import re
import tomllib
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging.requirements", reason="packaging is not installed")

ROOT = Path(__file__).parents[1]


def test_every_dependency_of_the_image_is_locked():
    """The lock has a version of each that the package allows, and a hash of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", lock)[1:]
    locked = {}
    for entry in entries:
        name, version = re.match(r"([a-z0-9.-]+)(?:\[[^]]*\])?==([^\s;]+)", entry).groups()
        locked[name] = version
        assert "--hash=sha256:" in entry, name
    needed = [*project["dependencies"], *extras["train"], *extras["serve"]]
    for requirement in map(packaging.Requirement, needed):
        environment = {"python_version": "3.13", "platform_machine": "x86_64"}
        environment |= {"sys_platform": "linux", "platform_system": "Linux"}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = requirement.name.lower().replace("_", "-")
            assert requirement.specifier.contains(locked[name]), requirement
