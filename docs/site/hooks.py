"""What the site has beside `docs/`: pages made of files elsewhere in the repository, and links that lead to them."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "bench/README.md": "bench.md",
}
"""Files elsewhere that are pages of the site."""


def on_files(files: Any, config: Any) -> Any:
    """Adds those pages, and the examples: as files to take home, and each on a page to read."""
    for place, page in PAGES.items():
        text = (ROOT / place).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relinked(text, place, page)))
    examples = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in (".py", ".ipynb", ".yaml"))
    for path in examples:
        place = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    files.append(File.generated(config, "examples.md", content=_contents(examples)))
    for path in examples:
        if path.suffix == ".ipynb":
            page = _page_of(path)
            files.append(File.generated(config, page, content=_notebook(path), inclusion=_not_in_nav()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links of a page in `docs/` to files elsewhere lead to their pages."""
    return (
        _relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
        if page.file.generated_by is None
        else markdown
    )


def _relinked(text: str, place: str, page: str) -> str:
    """The text of the file at `place` (from the root of the repository) with its links as on `page` of the site."""

    def moved(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ""
        aim = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if re.match(r"[a-z]+:", target):
            return found[0]
        goal = aim.removeprefix("docs/") if aim.startswith("docs/") else PAGES.get(aim, aim)
        if goal.endswith(".ipynb"):
            goal = _page_of(Path(goal))
        return f"{found[1]}{posixpath.relpath(goal, posixpath.dirname(page) or '.')}{anchor})"

    return re.sub(r"(\]\()([^)#\s]+)(#[^)\s]*)?\)", moved, text)


def _not_in_nav() -> Any:
    from mkdocs.structure.files import InclusionLevel

    return InclusionLevel.NOT_IN_NAV


def _page_of(path: Path) -> str:
    return f"examples/{path.stem}.md"


def _contents(examples: list[Path]) -> str:
    """The page of all examples: the scripts themselves, and links to the notebooks."""
    lines = ["# Examples", "", "Each is a file to run, and is run by the tests.", ""]
    for path in examples:
        place = path.relative_to(ROOT).as_posix()
        if path.suffix == ".ipynb":
            title = _cells(path)[0]["source"][0].lstrip("# ").strip()
            lines += [f"## {title}", "", f"[Read it]({_page_of(path)}), or take [the notebook]({place}).", ""]
        else:
            kind = {".py": "python", ".yaml": "yaml"}[path.suffix]
            text = path.read_text(encoding="utf-8").strip()
            lines += [f"## [{path.name}]({place})", "", f"```{kind}", text, "```", ""]
    return "\n".join(lines)


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _notebook(path: Path) -> str:
    """A notebook as a page: what is written, what is run, and what came out."""
    lines = []
    for cell in _cells(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [source, ""]
            continue
        lines += ["```python", source, "```", ""]
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                lines += [f'<img alt="" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">', ""]
            elif "text/markdown" in data:
                lines += ["".join(data["text/markdown"]), ""]
            elif "text/html" in data:
                # A blank line would end a block of HTML.
                html = re.sub(r"\n\s*\n", "\n", "".join(data["text/html"]))
                lines += [f'<div class="output">\n{html}\n</div>', ""]
            else:
                text = "".join(data.get("text/plain", output.get("text", "")))
                lines += ["```text", text.rstrip(), "```", ""]
    return "\n".join(lines)
