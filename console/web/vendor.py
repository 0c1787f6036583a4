"""Vendoring, for maintainers: `make vendor` fetches what the pages are styled and moved by, once, and writes it down.

Nothing is fetched at run time. Of GOV.UK Frontend, its typeface, crest and logo are left out, since they may
be used on GOV.UK only.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

VENDOR = Path(__file__).parent / "static" / "vendor"
MANIFEST = "manifest.json"
SYSTEM_FONTS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",arial,sans-serif'
GDS_FONTS = "GDS Transport,arial,sans-serif"
FONT_FACE = re.compile(r"@font-face\{[^}]*\}")
BRANDED = re.compile(
    r"[^{}]*(?:footer__(?:crown|copyright-logo|licence-logo)|header__(?:logotype|product-name))[^{}]*\{[^{}]*\}"
)
SOURCE_MAP = re.compile(r"\s*(?:/\*|//)# sourceMappingURL=\S+(?: \*/)?\s*")


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, and what is taken of it: a file of it for each of ours."""

    name: str
    version: str
    licence: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "govuk-frontend",
        "6.6.0",
        "MIT",
        {
            "govuk-frontend.min.css": "dist/govuk/govuk-frontend.min.css",
            "govuk-frontend.min.js": "dist/govuk/govuk-frontend.min.js",
        },
    ),
    Package(
        "htmx.org",
        "4.0.1",
        "0BSD",
        {"htmx.min.js": "dist/htmx.min.js", "hx-sse.min.js": "dist/ext/hx-sse.min.js"},
    ),
)


def main() -> None:
    """Fetch everything anew, and write the manifest."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    entries = []
    for package in PACKAGES:
        with TemporaryDirectory() as place:
            root = _fetched(package, Path(place))
            for ours, theirs in package.files.items():
                text = stripped(root.joinpath(theirs).read_text(encoding="utf-8"))
                VENDOR.joinpath(ours).write_text(text, encoding="utf-8")
        entries.append(_entry(package))
    VENDOR.joinpath(MANIFEST).write_text(json.dumps(entries, indent=2) + "\n")
    sys.stdout.write(f"{len(entries)} packages are in {VENDOR}\n")


def stripped(text: str) -> str:
    """A style sheet or script without GOV.UK's typeface, crest and logo, or a link to its source map."""
    plain = FONT_FACE.sub("", text).replace(GDS_FONTS, SYSTEM_FONTS)
    return SOURCE_MAP.sub("\n", BRANDED.sub("", plain)).strip() + "\n"


def checksum(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _fetched(package: Package, place: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing: install it (Debian's package is npm), then run `make vendor` again")
    which = f"{package.name}@{package.version}"
    subprocess.run([npm, "pack", "--silent", which], cwd=place, check=True, stdout=subprocess.DEVNULL)
    (archive,) = place.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(place, filter="data")
    return place / "package"


def _entry(package: Package) -> dict[str, object]:
    sums = {ours: checksum(VENDOR / ours) for ours in package.files}
    return {**asdict(package), "changed": "typeface, crest, logo and source maps left out", "sha256": sums}


if __name__ == "__main__":
    main()
