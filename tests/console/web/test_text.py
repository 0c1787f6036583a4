"""Text from outside, and moments in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some
from samples import hostile

from casehand.console.web.moments import clock_in_words, day_in_words, in_words, span_in_words
from casehand.console.web.paths import own_path
from casehand.console.web.rendering import templates
from casehand.console.web.text import one_line, shown, visible

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize("value", hostile().values(), ids=hostile().keys())
def test_nothing_of_a_value_is_markup_or_unseen(value: str) -> None:
    text = str(shown(value))
    assert "<script" not in text
    assert "<img" not in text
    assert not any(ord(one) < 32 and one not in "\n\t" for one in text)
    assert not set(text) & set("\u202e\u2067\u200b\u00ad")
    text.encode()


@given(some.text(alphabet=some.characters(), max_size=200))
def test_whatever_comes_out_of_a_template_can_be_sent_and_holds_no_tag(value: str) -> None:
    put_out = templates().from_string('<a title="{{ value }}">{{ value }}</a>').render(value=value)
    put_out.encode()
    assert put_out.count("<") == 2
    assert put_out.count('"') == 2


@given(some.text(max_size=2_000))
def test_nothing_of_a_text_is_left_out(value: str) -> None:
    plain = "".join(one for one in value if one.isascii() and one.isprintable())
    assert all(one in str(visible(value)) for one in plain)


def test_what_is_long_is_folded_behind_its_beginning() -> None:
    text = str(shown("Aa1" * 33_334))
    assert text.startswith("<details")
    assert "(100,002 characters: show all)" in text
    assert shown("short") == '<bdi class="app-data">short</bdi>'


def test_a_title_is_one_line_and_not_too_long() -> None:
    assert one_line("a\nb\r\n c") == "a b c"
    assert len(one_line("x" * 500)) == 80


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 11, 24, 10, 42, tzinfo=UTC), "Tuesday 24 November 2026 at 10:42am"),
        (datetime(2026, 7, 1, 12, 5, tzinfo=UTC), "Wednesday 1 July 2026 at 1:05pm"),
        (datetime(2026, 7, 1, 23, 0, tzinfo=UTC), "Thursday 2 July 2026 at midnight"),
        (datetime(2026, 12, 1, 12, 0, tzinfo=UTC), "Tuesday 1 December 2026 at midday"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Sunday 25 October 2026 at 1:30am (BST)"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Sunday 25 October 2026 at 1:30am (GMT)"),
    ],
)
def test_a_time_is_local_with_its_date_in_words(moment: datetime, words: str) -> None:
    assert in_words(moment, LONDON) == words


@given(some.integers(min_value=946_684_800, max_value=4_102_444_800))
def test_the_words_say_the_very_minute(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    text = f"{day_in_words(moment, LONDON)} {clock_in_words(moment, LONDON)}"
    text = text.replace("midday", "12:00pm").replace("midnight", "12:00am")
    form = "%d %B %Y %I:%M%p" if ":" in text else "%d %B %Y %I%p"
    local = moment.astimezone(LONDON).replace(second=0, microsecond=0, tzinfo=None)
    assert datetime.strptime(text, form) == local  # noqa: DTZ007


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (7_199, "1 hour"),
        (172_800, "2 days"),
    ],
)
def test_an_age_is_in_its_largest_unit(seconds: int, words: str) -> None:
    assert span_in_words(timedelta(seconds=seconds)) == words


@given(some.text(max_size=50))
def test_a_path_to_come_back_to_is_always_our_own(text: str) -> None:
    path = own_path(f"/{text}")
    assert path.startswith("/")
    assert not path.startswith("//")
    assert "\\" not in path
    assert "\n" not in path
