"""Leaving out the body of a `with`, whatever it is made of."""

import sys
from textwrap import dedent, indent
from types import TracebackType
from typing import Any

import pytest

from casehand.workflows.skip import BodySkipped, Skipping, check_body, check_skipping_works


class LeftOut:
    """A `with` whose body is left out, as a commit's is whose change stands."""

    def __enter__(self) -> str:
        frame = sys._getframe(1)
        check_body(frame)
        self.skipping = Skipping(frame)
        self.skipping.begin()
        return "entered"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert self.skipping.ended()
        return kind is BodySkipped


class Other:
    """Any other context manager."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *how: object) -> None:
        pass


BODIES = {
    "a call": "ran.append(1)",
    "an assignment": "value = ran.append(1)",
    "another with": "with Other():\n    ran.append(1)",
    "another body left out": "with LeftOut():\n    ran.append(1)",
    "a for loop": "for number in range(3):\n    ran.append(number)",
    "a while loop": "while not ran:\n    ran.append(1)",
    "an if": "if not ran:\n    ran.append(1)\nelse:\n    ran.append(2)",
    "a match": "match ran:\n    case []:\n        ran.append(1)",
    "a return": "return ran.append(1)",
    "a raise": "raise ValueError(ran.append(1))",
    "an assert": "assert ran.append(1)",
    "a function and its call": "def inner():\n    ran.append(1)\ninner()",
    "a class": "class Inner:\n    ran.append(1)",
    "an import": "import this_module_does_not_exist",
    "a comprehension": "[ran.append(n) for n in range(3)]",
    "a call over many lines": "ran.append(\n    1\n)",
    "a deletion": "del ran[:]\nran.append(1)",
    "a yield": "yield ran.append(1)",
    "a call and a try": "ran.append(1)\ntry:\n    ran.append(2)\nfinally:\n    ran.append(3)",
}

AWKWARD = {
    "pass": "pass",
    "pass and a call": "pass\nran.append(1)",
    "an ellipsis": "...\nran.append(1)",
    "a text": "'''\nOver lines.\n'''\nran.append(1)",
    "a bare return": "return",
    "an endless loop": "while True:\n    ran.append(1)\n    break",
    "try": "try:\n    ran.append(1)\nexcept Exception:\n    ran.append(2)",
    "try that swallows everything": "try:\n    ran.append(1)\nexcept BaseException:\n    ran.append(2)",
    "try with finally": "try:\n    ran.append(1)\nfinally:\n    ran.append(2)",
    "pass in try": "try:\n    pass\n    ran.append(1)\nexcept BaseException:\n    ran.append(2)",
    "try in try": "try:\n    try:\n        ran.append(1)\n    finally:\n        pass\nfinally:\n    pass",
}

HEADERS = (
    "with LeftOut():",
    "with LeftOut() as entered:",
    "with (\n    LeftOut()\n):",
    "with Other(), LeftOut():",
)

SURROUNDINGS = {
    "{}": 0,
    "for _ in range(3):\n{}": 1,
    "try:\n{}\nexcept BaseException:\n    ran.append('caught')\n    raise": 1,
    "with Other():\n{}": 1,
}
"""With how deep the statement stands in each."""


def run(source: str) -> list[Any]:
    """What the source, as the body of a function, has done to `ran`."""
    ran: list[Any] = []
    function = f"def function():\n{indent(source, '    ')}\n    ran.append('after')\n"
    names: dict[str, Any] = {"ran": ran, "LeftOut": LeftOut, "Other": Other}
    exec(compile(dedent(function), "<a body>", "exec"), names)  # noqa: S102
    result = names["function"]()
    if result is not None:
        list(result)
    return ran


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_is_left_out_under_any_header_and_in_any_surrounding(body: str) -> None:
    before = sys.gettrace()
    for header in HEADERS:
        statement = f"{header}\n{indent(body, '    ')}"
        for surrounding, depth in SURROUNDINGS.items():
            source = surrounding.format(indent(statement, "    " * depth))
            assert run(source) == ["after"], source
    assert sys.gettrace() is before


@pytest.mark.parametrize("body", AWKWARD.values(), ids=AWKWARD)
def test_a_body_that_cannot_be_stopped_at_its_first_line_is_refused_before_it_runs(body: str) -> None:
    with pytest.raises(TypeError, match="begin the body"):
        run(f"with LeftOut():\n{indent(body, '    ')}")


@pytest.mark.parametrize(
    "source",
    [
        "with LeftOut(): ran.append(1)",
        "with LeftOut(): pass",
        "with LeftOut() as entered: ran.append(1)",
        "with LeftOut(), Other():\n    ran.append(1)",
        "with LeftOut(): ran.append(1); ran.append(2)",
    ],
)
def test_a_body_without_a_line_of_its_own_is_refused(source: str) -> None:
    with pytest.raises(TypeError, match="statement of its own"):
        run(source)


def test_what_traced_before_traces_after() -> None:
    lines: list[int] = []

    def trace(frame: Any, event: str, arg: Any) -> Any:
        lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ran = run("with LeftOut():\n    ran.append(1)")
        during = sys.gettrace()
    finally:
        sys.settrace(before)
    assert ran == ["after"]
    assert during is trace


def test_this_python_leaves_bodies_out() -> None:
    check_skipping_works()
