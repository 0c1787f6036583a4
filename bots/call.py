"""A call that Playwright's recorder wrote: what it does, on what, and how this house writes it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping


def call_in(code: str) -> tuple[ast.Call | None, str]:
    """The call that a recorded statement makes, and the window that it opens; none where there is nothing to do."""
    opened = ""
    nodes = list(ast.walk(ast.parse(textwrap.dedent(code))))
    for node in nodes:
        if isinstance(node, ast.With) and "expect_popup" in ast.unparse(node.items[0].context_expr):
            opened = ast.unparse(node.items[0].optional_vars or ast.Name("")).removesuffix("_info")
    calls = [node.value for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    # Before the action itself the recorder may say what to do with its dialog.
    calls = [call for call in calls if method_of(call) not in ("once", "close")]
    return (calls[-1] if calls else None), opened


def method_of(call: ast.Call) -> str:
    """The name of the method that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def window_of(node: ast.expr) -> str:
    """The window that a call begins from."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            return inner.id
    return ""


def locator_of(call: ast.Call) -> ast.expr:
    """What it is called on."""
    assert isinstance(call.func, ast.Attribute)  # noqa: S101  as the recorder writes it
    return call.func.value


def frame_of(locator: ast.expr) -> str:
    """The frame that a locator is in, or nothing."""
    node: ast.expr = locator
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "content_frame":
            return render(node)
        node = node.func if isinstance(node, ast.Call) else node.value
    return ""


def within_frame(locator: ast.expr) -> ast.expr:
    """The part of a locator that comes after the frame it is in."""
    frame = frame_of(locator)
    return ast.parse(render(locator).replace(frame, "page", 1), mode="eval").body if frame else locator


def label_of(locator: ast.expr) -> str:
    """What a box is called: by its label, or else by how the page names it."""
    node = within_frame(locator)
    while not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        if not isinstance(node, ast.Attribute):
            return ""
        node = node.value
    named = [_text(pair.value) for pair in node.keywords if pair.arg == "name"]
    first = [_text(argument) for argument in node.args[:1]]
    if node.func.attr == "get_by_role":
        return (named or [""])[0]
    if node.func.attr == "locator":
        found = re.search(r"(?:name|id)=\\?[\"']?([\w-]+)|#([\w-]+)", (first or [""])[0])
        return (found[1] or found[2]) if found else ""
    if node.func.attr in ("nth", "filter"):
        return label_of(node.func.value)
    return (first or [""])[0]


def texts_of(call: ast.Call) -> list[str]:
    """The texts that an action is given."""
    given = call.args[0] if call.args else ast.Constant(None)
    items = given.elts if isinstance(given, ast.List) else [given]
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def texts_in(node: ast.expr) -> Iterator[str]:
    """All texts in an expression."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def render(node: ast.expr, known: Mapping[str, str] | None = None) -> str:
    """An expression as this house writes it, with the arguments in place of texts that were typed."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{render(inner, known)}.{name}"
        case ast.Call(func=inner, args=arguments, keywords=pairs):
            given = [render(argument, known) for argument in arguments]
            given += [render_pair(pair, known) for pair in pairs]
            return f"{render(inner, known)}({', '.join(given)})"
        case ast.Constant(value=str(text)):
            return (known or {}).get(text) or quoted(text)
        case _:
            return ast.unparse(node)


def render_pair(pair: ast.keyword, known: Mapping[str, str] | None = None) -> str:
    """An argument by its name, likewise."""
    return f"{pair.arg}={render(pair.value, known)}"


def quoted(text: str) -> str:
    """A text as this house writes it."""
    if '"' in text and "'" not in text:
        return repr(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
