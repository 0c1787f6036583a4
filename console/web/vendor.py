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
LICENCES = "LICENCES.txt"
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
    copyright: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "govuk-frontend",
        "6.6.0",
        "MIT",
        "Copyright (c) 2017 Crown Copyright (Government Digital Service)",
        {
            "govuk-frontend.min.css": "dist/govuk/govuk-frontend.min.css",
            "govuk-frontend.min.js": "dist/govuk/govuk-frontend.min.js",
        },
    ),
    Package(
        "htmx.org",
        "4.0.1",
        "0BSD",
        "Copyright (c) 2020 Big Sky Software",
        {"htmx.min.js": "dist/htmx.min.js", "hx-sse.min.js": "dist/ext/hx-sse.min.js"},
    ),
)


TERMS = {
    "MIT": """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.""",
    "0BSD": """\
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN
AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
PERFORMANCE OF THIS SOFTWARE.""",
}


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
    VENDOR.joinpath(LICENCES).write_text("\n\n".join(_licence(package) for package in PACKAGES) + "\n")
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


def _licence(package: Package) -> str:
    return f"{package.name} {package.version}\n{package.copyright}\n\n{TERMS[package.licence]}"


def _entry(package: Package) -> dict[str, object]:
    sums = {ours: checksum(VENDOR / ours) for ours in package.files}
    return {**asdict(package), "changed": "typeface, crest, logo and source maps left out", "sha256": sums}


if __name__ == "__main__":
    main()
