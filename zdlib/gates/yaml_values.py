"""YAML from outside: plain values only, each key once, and no more of them than a person writes."""

from typing import Any

import yaml

from zdlib.errors import ZDError
from zdlib.gates.opening import Limit, explained

NODES = Limit("ZD_MAX_YAML", 100_000, "values, those that aliases repeat counted anew")
_LONG = 1_000  # characters of a number


def parse(text: str, culprit: object, problem: str, fix: str) -> Any:
    """The value that a YAML text says.

    Args:
        text: the YAML.
        culprit: file or option, for messages.
        problem: what it is where it cannot be read: "not valid YAML".
        fix: what to do; ends the message.

    Raises:
        ZDError: not YAML, an impossible value (`2001-99-99`), a key that is given twice or is no text, more values than
            the limit once aliases are followed, or nested too deeply.
    """
    with explained(culprit, problem, fix):
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return None
        _check(node, culprit, fix)
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()


def _check(root: yaml.Node, culprit: object, fix: str) -> None:
    """Count the values as a reader of the result would meet them, and look at keys and numbers."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += 1
        if count > NODES.value:
            NODES.check(count, culprit)
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > _LONG and node.tag.endswith((":int", ":float")):
                raise ZDError(f"{culprit}: a number of {len(node.value)} digits: {fix}")
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node, culprit, fix)
            waiting += [part for pair in node.value for part in pair]


def _check_keys(node: yaml.MappingNode, culprit: object, fix: str) -> None:
    keys = set()
    for key, _ in node.value:
        line = f"line {key.start_mark.line + 1}"
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise ZDError(f"{culprit}: {line}: a key that is no text ({str(key.value)[:40]}): quote it, or {fix}")
        if key.value in keys:
            raise ZDError(f"{culprit}: {line}: {key.value[:80]} is given twice: leave one out")
        keys.add(key.value)
