"""Everything that a page can do, asked for by everybody: it is done for those who may, and else nothing changes."""

from collections.abc import Iterator
from typing import Any

import pytest
from deeds import DEEDS, Deed, request_for, upload_for
from samples import PERMIT, RENT
from stage import SUPERVISORS, Stage, staged
from wire import Sent, same_site

from casehand.console.rights import Role

PEOPLE = (*((str(role),) for role in Role), ("supervisor", RENT), ("supervisor", PERMIT), ("nobody",))


@pytest.fixture(params=PEOPLE, ids=" of ".join)
def stage(request: pytest.FixtureRequest, served: Any) -> Iterator[Stage]:
    """A stage for each of them."""
    with staged(served, *request.param) as one:
        yield one


def test_only_those_who_may_do_a_thing_do_it(stage: Stage) -> None:
    for deed in DEEDS:
        stage.act(request_for(deed, stage))
        assert (deed.does in stage.did) is _may(stage, deed), f"{deed.id}: {stage.did}"


def test_no_other_website_does_it_for_them(stage: Stage) -> None:
    for deed in DEEDS:
        if deed.method != "POST":
            continue
        sent = request_for(deed, stage)
        kept = tuple(one for one in sent.headers if one[0] != "Sec-Fetch-Site")
        for told in (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "null")):
            answer = stage.act(Sent(sent.method, sent.target, (told, *kept), sent.body))
            assert answer is not None
            assert answer.status == 403
            assert not stage.did


def test_only_those_who_hand_in_for_a_workflow_hand_in(stage: Stage) -> None:
    answer = stage.act(upload_for(stage))
    assert answer is not None
    may = stage.actor.has(SUPERVISORS, PERMIT)
    assert (answer.status == 303 and "/batches/new/" in answer.headers["location"]) is may
    where = answer.headers["location"] if may else "/batches/new/0123456789abcdef0123456789abcdef"
    stage.act(Sent("POST", where, same_site(stage.actor.cookies)))
    assert ("handed in" in stage.did) is may


def _may(stage: Stage, deed: Deed) -> bool:
    return stage.actor.has(deed.roles, deed.workflow) or (
        deed.does == "signed out" and deed.path == "/sign-out" and stage.actor.person is not None
    )
