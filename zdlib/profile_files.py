"""What the files of profiles say, before `zdlib.config` gives it types.

A profile may begin with another's values: `extends: demo` takes all of them, `extends: {demo: [model, train]}` the
sections named. Its own values come on top, mapping by mapping; a list replaces a list, and null takes a key away. In
the section `data`, `$PROFILE` stands for the profile's own name.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zdlib.errors import ZDError
from zdlib.gates.opening import read_text
from zdlib.gates.yaml_values import parse

NAME = re.compile("[A-Za-z0-9_-]+")  # of profiles, and of runs: they become names of files
_DEEPEST = 20  # profiles that extend each other
_EDIT = "copy another profile and edit it"


def profile_content(folder: Path, name: str, changes: Sequence[str]) -> dict[str, Any]:
    """The content of a profile, on top of those that it extends.

    Args:
        folder: of the profiles.
        name: the profile's.
        changes: `section.key=value` each, taking the place of the file's value.

    Raises:
        ZDError: no such profile, not YAML, a circle of `extends`, or a change that is none.
    """
    content = _merged(folder, name, ())
    for change in changes:
        _apply(content, change)
    if "data" in content:
        content["data"] = _named(content["data"], name)
    return content


def _merged(folder: Path, name: str, chain: tuple[str, ...]) -> dict[str, Any]:
    """A profile's content on top of those that it extends; `chain` are the profiles that extend it."""
    path = folder / f"{name}.yaml"
    content = _read(folder, name, chain)
    bases = content.pop("extends", None) or {}
    if isinstance(bases, str):
        bases = {bases: None}
    if not isinstance(bases, dict):
        raise ZDError(
            f"{path}: extends: {str(bases)[:80]} is neither a profile nor {{profile: [sections]}}: write one of them"
        )
    merged: dict[str, Any] = {}
    for base, sections in bases.items():
        if len(chain) > _DEEPEST:
            raise ZDError(f"{path}: extends: {_DEEPEST} profiles deep: write the values themselves")
        if base in (*chain, name):
            circle = " extends ".join([*(*chain, name)[(*chain, name).index(base) :], base])
            raise ZDError(f"{path}: extends: goes in a circle ({circle}): leave one of them out")
        inherited = _merged(folder, base, (*chain, name))
        inherited.pop("name", None)
        if sections is not None:
            if not isinstance(sections, list) or not all(isinstance(section, str) for section in sections):
                raise ZDError(f"{path}: extends: {base}: not a list of sections: write [model, train]")
            missing = [str(section) for section in sections if section not in inherited]
            if missing:
                raise ZDError(f"{path}: extends: {base} has no {missing[0]}: choose from {', '.join(inherited)}")
            inherited = {section: inherited[section] for section in sections}
        merged = _on_top(merged, inherited)
    return _on_top(merged, content)


def _read(folder: Path, name: str, chain: tuple[str, ...]) -> dict[str, Any]:
    """The content of one file."""
    path = folder / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        wanted = f" (profiles/{chain[-1]}.yaml extends it)" if chain else ""
        raise ZDError(f"{str(path)[:200]}: no such profile{wanted}: choose one of {known}")
    content = parse(read_text(path, _EDIT, "not valid YAML"), path, "not valid YAML", _EDIT)
    if not isinstance(content, dict):
        raise ZDError(f"{path}: empty or not a mapping: copy another profile and edit it")
    return content


def _on_top(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above`: mappings are merged, anything else is replaced, null takes a key away."""
    merged = dict(below)
    for key, value in above.items():
        if value is None and key in below:
            del merged[key]
        elif isinstance(value, dict) and isinstance(below.get(key), dict):
            merged[key] = _on_top(below[key], value)
        else:
            merged[key] = value
    return merged


def _named(value: Any, profile: str) -> Any:
    """`value` with the profile's name in the place of `$PROFILE`, in every text."""
    if isinstance(value, str):
        return value.replace("$PROFILE", profile)
    if isinstance(value, dict):
        return {key: _named(inner, profile) for key, inner in value.items()}
    return [_named(inner, profile) for inner in value] if isinstance(value, list) else value


def _apply(content: dict[str, Any], change: str) -> None:
    """Put one `section.key=value` into a profile's content; what the key may be is checked with the whole."""
    where, equals, text = change.partition("=")
    *sections, key = where.split(".")
    value = parse(text, f"--set {change[:200]}", f"{text[:100]!r} is not a YAML value", "quote it")
    place: Any = content
    for section in sections:
        if isinstance(place, list) and section.isdigit() and int(section) < len(place):
            place = place[int(section)]
        elif isinstance(place, dict):
            place = place.setdefault(section, {})
        else:
            place = None
            break
    if not equals or not sections or not key or not isinstance(place, dict):
        raise ZDError(f"--set {change}: not a change of a profile: write section.key=value, like train.lr=1e-3")
    place[key] = value
