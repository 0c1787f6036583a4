"""Pictures of the pages, to be looked at."""

import os

import pytest

OUT = "/tmp/w/d-out"
os.makedirs(OUT, exist_ok=True)


@pytest.mark.parametrize("width", [1280, 375])
def test_shots(page_for, served, width, finds_nothing):
    page = page_for("supervisor", viewport={"width": width, "height": 900})
    faults = []

    def shot(name, path):
        page.goto(path)
        page.wait_for_load_state("networkidle") if False else None
        page.evaluate("document.querySelectorAll('img').forEach(i=>i.loading='eager')")
        page.wait_for_timeout(150)
        page.screenshot(path=f"{OUT}/{name}-{width}.png", full_page=True)
        w = page.evaluate("document.documentElement.scrollWidth")
        if w > width:
            faults.append((name, "wide", w))
        try:
            finds_nothing(page)
        except AssertionError as e:
            faults.append((name, str(e)[:1500]))

    shot("list", "/cases")
    shot("list-empty", "/cases?reference=nothing&since=2026-13-45")
    shot("list-none", "/cases?reference=nothing")
    for n in (
        "done",
        "question",
        "doubt",
        "hostile",
        "retried",
        "closed",
        "cancelled",
        "working",
        "queued",
        "fault",
    ):
        c = served.made.cases[n]
        shot("case-" + n, f"/cases/{c}")
    shot("form-cancel", f"/case/{served.made.queued}/cancel")
    shot("form-due", f"/case/{served.made.queued}/due")
    shot("search", "/search?q=HB")
    shot("search2", "/search?q=claim+closed")
    shot("search3", "/search?q=earlier")
    shot("search0", "/search?q=zzz")
    assert not faults, "\n".join(map(str, faults))
