"""Long lists, a page at a time."""

import pytest

from casehand.queue.paging import ROWS, in_pages


@pytest.mark.parametrize("there", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
@pytest.mark.parametrize("limit", [None, 1, ROWS, ROWS + 1, 2 * ROWS])
@pytest.mark.parametrize("after", [None, "2"])
def test_whatever_the_length_the_pages_make_the_list(
    there: int, limit: int | None, after: str | None
) -> None:
    whole = [str(number) for number in range(there)]

    def look(most: int, behind: str | None) -> list[str]:
        assert 0 < most <= ROWS
        begin = 0 if behind is None else int(behind) + 1
        return whole[begin : begin + most]

    begin = 0 if after is None else int(after) + 1
    assert list(in_pages(look, str, limit, after)) == whole[begin:][:limit]
