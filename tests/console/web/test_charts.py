"""Charts: drawn to scale, readable, and told by more than colour."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import hostile

from casehand.console.web.charts import SIZES, Series, Words, bars, columns, line, ticks

WORDS = Words("ends", "How cases ended", "8 done, 2 closed.")
SVG = "{http://www.w3.org/2000/svg}"


def drawn(markup: str) -> list[ElementTree.Element]:
    """The charts in some markup: one for each size, and the legend's swatches, as any reader of XML takes them."""
    whole = ElementTree.fromstring(str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))  # noqa: S314 — our own
    return list(whole.iter(f"{SVG}svg"))


def boxes(chart: ElementTree.Element) -> list[tuple[float, float, float, float, str]]:
    """The filled boxes of a chart, with what they are filled with."""
    return [
        (*(float(one.get(name, "")) for name in ("x", "y", "width", "height")), one.get("fill", ""))
        for one in chart.iter(f"{SVG}rect")
        if one.get("fill", "").startswith("url(") and one.find(f"{SVG}title") is not None
    ]


def test_columns_are_as_high_as_their_numbers_and_stand_on_each_other() -> None:
    markup = columns(
        WORDS, ["23 Nov", "24 Nov"], [Series("Done", [4, 2]), Series("Closed", [0, 2])], ["a", "b"]
    )
    wide = drawn(markup)[0]
    done, other, closed = boxes(wide)
    assert done[3] == pytest.approx(2 * other[3], abs=0.3)
    assert closed[3] == pytest.approx(other[3], abs=0.3)
    assert closed[1] + closed[3] == pytest.approx(other[1], abs=0.3)
    assert done[4] == other[4] != closed[4]


def test_a_bar_has_its_label_and_its_whole_and_none_is_wider_than_the_chart() -> None:
    markup = bars(WORDS, ["rents", "permits"], [Series("Done", [100, 50]), Series("Closed", [20, 0])])
    for chart, size in zip(drawn(markup), SIZES, strict=False):
        texts = [one.text for one in chart.iter(f"{SVG}text")]
        assert texts == ["rents", "120", "permits", "50"]
        assert max(x + width for x, _, width, _, _ in boxes(chart)) < size.width - 20


def test_a_line_is_broken_where_there_is_nothing_and_says_its_last() -> None:
    wide = drawn(line(WORDS, list("abcd"), [0.5, None, 1.0, 0.8]))[0]
    assert len(list(wide.iter(f"{SVG}circle"))) == 3
    thick = [one for one in wide.iter(f"{SVG}line") if one.get("stroke-width") == "3"]
    assert len(thick) == 1
    assert "80%" in [one.text for one in wide.iter(f"{SVG}text")]


def test_what_there_is_nothing_of_is_no_chart() -> None:
    assert columns(WORDS, ["a"], [Series("Done", [0])], ["a"]) == ""
    assert bars(WORDS, [], [Series("Done", [])]) == ""
    assert line(WORDS, ["a"], [None]) == ""


def test_a_chart_has_a_title_a_description_and_no_style_or_script_of_its_own() -> None:
    markup = columns(WORDS, ["a"], [Series("Done", [1]), Series("Closed", [1])], ["a"])
    for chart in drawn(markup)[: len(SIZES)]:
        assert chart.get("role") == "img"
        named = {one.get("id"): one.text for one in chart.iter() if one.get("id")}
        assert [named[one] for one in chart.get("aria-labelledby", "").split()] == [WORDS.title, WORDS.says]
    assert "style" not in markup
    assert "<script" not in markup
    ids = re.findall(r' id="([^"]+)"', markup)
    assert len(ids) == len(set(ids))


def test_no_two_series_look_alike_even_without_colour() -> None:
    series = [Series(str(number), [1]) for number in range(5)]
    wide = drawn(columns(WORDS, ["a"], series, ["a"]))[0]
    marks = [ElementTree.tostring(one.find(f"{SVG}path") or one) for one in wide.iter(f"{SVG}pattern")]
    assert len({re.sub(rb'#[0-9a-f]{6}|id="[^"]*"', b"", one) for one in marks}) == len(series)


def test_hostile_labels_are_text() -> None:
    words = [text.encode("utf-8", "replace").decode() for text in hostile().values()]
    for markup in (
        bars(Words("x", words[0], words[1]), words, [Series(words[0], [1] * len(words))]),
        columns(
            Words("x", words[0], words[1]), ["a"], [Series(words[0], [1]), Series(words[1], [1])], [words[0]]
        ),
    ):
        charts = drawn(markup)
        assert not [one for chart in charts for one in chart.iter() if one.tag in ("script", f"{SVG}script")]
        assert not re.search(r"<[^>]* on[a-z]+=", markup)


@given(st.floats(min_value=0.001, max_value=1e9))
def test_the_scale_is_round_and_has_room_for_the_most(most: float) -> None:
    scale = ticks(most)
    assert scale[0] == 0
    assert scale[-1] >= most * 0.999999
    assert 2 <= len(scale) <= 6
