"""`casehand evidence`: what an attempt left behind, to be looked at: its screenshots, and its trace in the viewer."""

import html
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from casehand.bots.evidence import read_evidence
from casehand.console.listing import counted, say, show_json
from casehand.console.office import Office
from casehand.console.rights import Right
from casehand.exceptions import CasehandError

VIEWER = (sys.executable, "-m", "playwright", "show-trace", "--host", "127.0.0.1", "--port", "0")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evidence)


def evidence(
    which: Annotated[str, typer.Argument(help="The reference, or the case's id.", metavar="CASE")],
    attempt: Annotated[int | None, typer.Option(help="Of this attempt only.", min=1)] = None,
    to: Annotated[
        Path | None, typer.Option(help="Write it, decrypted, to this folder, and open nothing.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="List it for programs, and open nothing.")] = False,
) -> None:
    """Open a case's screenshots, and its trace in Playwright's viewer; decrypted for as long as one looks."""
    office = Office()
    sources = _kept(office, which, attempt)
    if json and to is None:
        show_json([{"attempt": int(one.parent.name), "name": one.name} for one in sources])
        return
    if to is None:
        _look(office, which, sources)
        return
    written = _decrypt(office, sources, to)
    if json:
        show_json([str(path) for path in written])
    else:
        say(f"{counted(len(written), 'file')} written: {to}")


def _kept(office: Office, which: str, attempt: int | None) -> list[Path]:
    """The evidence files of a case on this machine. Raises CasehandError when there are none."""
    line = office.desk.find(which)
    office.desk.check(Right.SEE_CASES, line.workflow)
    office.ledger.key_of(line.id)
    wanted = "[0-9]*" if attempt is None else str(attempt)
    found = [*(office.settings.evidence / line.id).glob(f"{wanted}/[0-9]*")]
    if not found:
        of = "" if attempt is None else f" of attempt {attempt}"
        raise CasehandError(
            f"there is no evidence{of} of {which} on this machine: `casehand case {which}` tells its story"
        )
    return sorted(found, key=lambda path: (int(path.parent.name), path.name))


def _decrypt(office: Office, sources: list[Path], folder: Path) -> list[Path]:
    key = office.ledger.key_of(sources[0].parent.parent.name)
    written = []
    for source in sources:
        target = folder / f"attempt-{source.parent.name}-{source.name}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(read_evidence(source, key.open))
        except OSError as error:
            raise CasehandError(
                f"{folder} cannot be written to ({error.strerror}): name another folder"
            ) from None
        written.append(target)
    return written


def _look(office: Office, which: str, sources: list[Path]) -> None:
    """Open it, and remove what was decrypted when somebody has seen it."""
    with TemporaryDirectory(prefix="casehand-evidence-") as name:
        written = _decrypt(office, sources, Path(name))
        page = Path(name) / "index.html"
        page.write_text(_page(which, [one.name for one in written if one.suffix == ".jpg"]), encoding="utf-8")
        with _viewing([one for one in written if one.suffix == ".zip"]) as addresses:
            # The viewer opens its own page itself.
            if not webbrowser.open(page.as_uri()):
                say("No browser could be opened here: look at it elsewhere with --to FOLDER.")
            for address in (page.as_uri(), *addresses):
                say(f"  {address}")
            sys.stderr.write("Enter removes what was decrypted. ")
            sys.stderr.flush()
            sys.stdin.readline()


@contextmanager
def _viewing(traces: list[Path]) -> Iterator[list[str]]:
    """Serve each trace in Playwright's viewer, to this machine alone."""
    viewers = [
        subprocess.Popen([*VIEWER, str(trace)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for trace in traces
    ]
    try:
        yield [address for viewer in viewers if (address := _address(viewer))]
    finally:
        for viewer in viewers:
            viewer.terminate()
            viewer.wait()


def _address(viewer: "subprocess.Popen[str]") -> str | None:
    """Where a viewer says that it serves."""
    assert viewer.stdout is not None  # noqa: S101 — it is a pipe
    for line in viewer.stdout:
        if "http://" in line:
            return line[line.index("http://") :].split()[0]
    return None


def _page(which: str, pictures: list[str]) -> str:
    shown = "".join(
        f"<h2>{html.escape(name)}</h2><img src='{html.escape(name)}' alt=''>" for name in pictures
    )
    return f"<!doctype html><meta charset=utf-8><title>{html.escape(which)}</title><h1>{html.escape(which)}</h1>{shown}"
