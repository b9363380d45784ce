"""`report.html`: the executed notebooks as one page that needs nothing else, every table and figure with its source.

It opens with the abstract and ends with the conclusion; between them are the paper and the studies. Figures are data
URIs and equations MathML, so the page opens anywhere, offline. Code is there, folded away. Sentences that several
captions share are notes at the end. `./run_all.sh --pdf` prints it.
"""

import base64
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from PIL import Image

from zdlib.config import Profile
from zdlib.errors import ZDError
from zdlib.files import read_json, write_text
from zdlib.paper.page.captions import Notes
from zdlib.paper.page.folded import table_html
from zdlib.paths import RunPaths, repo_root

# Parts of the page: the first number of a notebook that is in one, and its title ("" for none).
PARTS = ((0, ""), (1, "The paper"), (9, "Studies"), (99, ""))
FRONT = 0  # the number of the notebook that opens the page
_TABLE_ID = re.compile(r'<table id="T_([^"]+)"')
_CAPTION = re.compile(r"<caption>(.*?)</caption>", re.DOTALL)
_HEADING = re.compile(r"<(/?)h([1-5])>")
_SECTION = re.compile(r"<h3>(.*?)</h3>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_NOTEBOOK_LINK = re.compile(r'href="(?:\./)?(\d\d_\w+)\.ipynb(?:#[^"]*)?"')
_UNKNOWN_TEX = re.compile(r"<mi>(\\\w+|&)</mi>")
_PHOTOGRAPHS = 60_000  # bytes: a PNG above holds photographs, and WebP has half of its bytes


@dataclass
class Section:
    """One notebook.

    Attributes:
        name: its file's, without suffix; the anchor of its title.
        title: as in its first cell.
        blocks: what it shows, in order.
        headings: (anchor, text) of its own sections.
    """

    name: str
    title: str
    blocks: list[dict[str, Any]]
    headings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """The notebook's."""
        return int(self.name[:2])


@dataclass
class Part:
    """Notebooks under one title; the first and the last part have none."""

    title: str
    sections: list[Section]


@dataclass
class Numbering:
    """Counts tables and figures through the whole page, and lists them."""

    notes: Notes = field(default_factory=Notes)
    figures: list[tuple[str, str]] = field(default_factory=list)  # (name, caption)
    tables: list[tuple[str, str]] = field(default_factory=list)

    def caption(self, text: str, where: str) -> dict[str, Any]:
        """A caption's own words as HTML, and [(letter, words)] of the notes that complete it."""
        alone, letters = self.notes.split(text)
        marks = [(letter, self.notes.letters[letter]) for letter in letters]
        return {"caption": _inline(markdown(alone, where, tags=False)), "notes": marks}


def write_report(profile: Profile, path: Path) -> None:
    """Build the page from the profile's executed notebooks and provenance.

    Raises:
        ZDError: a notebook or its provenance is missing or unreadable, or holds an equation that is not valid.
    """
    paths = RunPaths(profile.name)
    executed = {}
    provenance = {}
    for notebook in sorted(paths.notebooks.glob("[0-9][0-9]_*.ipynb")):
        provenance[notebook.stem] = read_json(paths.provenance / f"{notebook.stem}.json")
        executed[notebook] = _cells(notebook)
    if not executed:
        raise ZDError(f"{paths.notebooks}: no executed notebooks: run the steps before the report")
    numbering = Numbering(Notes.of(caption for cells in executed.values() for caption in _captions(cells)))
    sections = [_section(notebook, cells, numbering, paths) for notebook, cells in executed.items()]
    for job in profile.study.jobs() if profile.study else ():
        provenance[f"train_{job}"] = read_json(paths.provenance / f"train_{job}.json")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    page = template.render(
        profile=profile,
        header=_profile_header(profile),
        front=next((section for section in sections if section.number == FRONT), None),
        parts=_parts(sections),
        numbering=numbering,
        provenance=provenance,
        commits={name: _commit(record) for name, record in provenance.items()},
        hardware=next(iter(provenance.values()))["hardware"],
        packages=_packages(provenance),
        inputs={name: digest for record in provenance.values() for name, digest in record["inputs"].items()},
        results=f"results/{profile.name}",
        figures=f"figures/{profile.name}",
    )
    write_text(path, page)


def markdown(text: str, where: str, *, tags: bool = True) -> Markup:
    """Markdown with tables and $equations$ as HTML; headings one level down, links to notebooks within the page.

    HTML tags in `text` count as such if `tags`, else as text.

    Raises:
        ZDError: an equation that latex2mathml cannot read; `where` says in which notebook.
    """

    def equation(content: str, options: dict[str, Any]) -> str:
        # latex2mathml knows the aligned environment by its other name, and passes on what it does not know at all.
        source = content.replace("{aligned}", "{split}")
        try:
            mathml = str(convert(source, display="block" if options["display_mode"] else "inline"))
        except Exception as error:  # its parser raises a dozen unrelated types
            raise ZDError(
                f"{where}: equation {content!r} cannot be shown ({type(error).__name__}): correct it"
            ) from error
        if unknown := _UNKNOWN_TEX.search(mathml):
            raise ZDError(
                f"{where}: equation {content!r} cannot be shown: {unknown[1]} is not known: write it otherwise"
            )
        return mathml

    parser = MarkdownIt("commonmark", {"html": tags}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, renderer=equation, allow_digits=True)
    rendered = _HEADING.sub(lambda match: f"<{match[1]}h{int(match[2]) + 1}>", parser.render(text))
    return Markup(_NOTEBOOK_LINK.sub(r'href="#\1"', rendered))


def _parts(sections: list[Section]) -> list[Part]:
    """The sections that follow the front, by part; a part without sections is left out."""
    starts = [*(start for start, _ in PARTS), 100]
    parts = [
        Part(title, [section for section in sections if start <= section.number < end])
        for (start, title), end in zip(PARTS, starts[1:], strict=True)
        if start != FRONT
    ]
    return [part for part in parts if part.sections]


def _cells(notebook: Path) -> list[Any]:
    try:
        return list(nbformat.read(notebook, as_version=4).cells)
    except (OSError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise ZDError(f"{notebook}: not a readable notebook ({error}): run its step again") from error


def _captions(cells: list[Any]) -> Iterator[str]:
    """The captions of a notebook's tables and figures."""
    for output in (output for cell in cells for output in cell.get("outputs", [])):
        data, marks = output.get("data", {}), output.get("metadata", {}).get("zdlib", {})
        if "figure" in marks:
            yield from [] if "text/markdown" in data else [marks["caption"]]
        elif found := _CAPTION.search(data.get("text/html", "")):
            yield html.unescape(found[1])


def _section(notebook: Path, cells: list[Any], numbering: Numbering, paths: RunPaths) -> Section:
    section = Section(notebook.stem, notebook.stem, [])
    blocks = section.blocks
    for cell in cells:
        if cell.cell_type == "markdown":
            text = cell.source
            if (heading := re.match(r"#\s+(.+)\n?", text)) and section.title == notebook.stem:
                section.title, text = heading[1].strip(), text[heading.end() :]
            if text.strip():
                blocks.append({"kind": "prose", "html": _anchored(markdown(text, notebook.name), section)})
        elif cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", []):
            if blocks and blocks[-1]["kind"] == "code":
                blocks[-1]["source"] += f"\n\n{cell.source}"
            else:
                blocks.append({"kind": "code", "source": cell.source})
            for output in cell.outputs:
                blocks += _output(output, notebook.name, numbering, paths)
    return section


def _anchored(rendered: Markup, section: Section) -> Markup:
    """Prose whose sections can be linked to; they are added to the notebook's headings."""

    def with_anchor(match: re.Match[str]) -> str:
        text = html.unescape(_TAG.sub("", match[1]))
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        anchor = f"{section.name}-{slug or len(section.headings)}"
        section.headings.append((anchor, text))
        return f'<h3 id="{anchor}">{match[1]} <a class="anchor" href="#{anchor}" aria-label="link to here">#</a></h3>'

    return Markup(_SECTION.sub(with_anchor, rendered))


def _output(output: Any, where: str, numbering: Numbering, paths: RunPaths) -> list[dict[str, Any]]:
    """Blocks of one output: none for the caption that follows a figure, because it is already under the figure."""
    if output.output_type == "stream":
        return [{"kind": "text", "text": output.text.rstrip()}] if output.text.strip() else []
    data, marks = output.get("data", {}), output.get("metadata", {}).get("zdlib", {})
    if "figure" in marks:  # the caption that follows the picture is marked too
        return [] if "text/markdown" in data else [_figure(marks, numbering, paths)]
    if "image/png" in data:
        block = {"kind": "figure", "name": "", "number": 0, "caption": "", "notes": [], "alt": "", "width": None}
        return [{**block, "uri": f"data:image/png;base64,{''.join(data['image/png'].split())}"}]
    if "image/svg+xml" in data:
        return [{"kind": "html", "html": Markup(data["image/svg+xml"])}]
    if "text/html" in data:
        return [_table(data["text/html"], numbering, paths)]
    if "text/markdown" in data:
        return [{"kind": "prose", "html": markdown(data["text/markdown"], where)}]
    return [{"kind": "text", "text": data["text/plain"]}] if data.get("text/plain") else []


def _figure(marks: Any, numbering: Numbering, paths: RunPaths) -> dict[str, Any]:
    """What `save_figure` wrote, numbered, and small enough for one page of all of them."""
    name = marks["figure"]
    numbering.figures.append((name, marks["caption"]))
    return {
        "kind": "figure",
        "name": name,
        "number": len(numbering.figures),
        **numbering.caption(marks["caption"], name),
        "alt": marks["caption"],
        "width": marks["width"],
        "uri": _data_uri(paths.figures / f"{name}.png"),
    }


def _data_uri(png: Path) -> str:
    """A picture's content as an address.

    Raises:
        ZDError: the file is missing or is no picture.
    """
    kind, buffer = "png", io.BytesIO()
    try:
        content = png.read_bytes()
        if len(content) > _PHOTOGRAPHS:
            with Image.open(io.BytesIO(content)) as picture:
                picture.convert("RGB").save(buffer, "webp", quality=80)
            kind, content = "webp", buffer.getvalue()
    except OSError as error:
        raise ZDError(f"{png}: cannot be shown ({error.strerror or error}): run its notebook again") from error
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _table(content: str, numbering: Numbering, paths: RunPaths) -> dict[str, Any]:
    """What `save_table` stored, numbered; other HTML as it is."""
    named = _TABLE_ID.search(content)
    stored = paths.tables / f"{named[1]}.json" if named else None
    if named is None or stored is None or not stored.is_file():
        return {"kind": "html", "html": Markup(content)}
    table = read_json(stored)
    numbering.tables.append((named[1], table["caption"]))
    return {
        "kind": "table",
        "name": named[1],
        "number": len(numbering.tables),
        **numbering.caption(table["caption"], named[1]),
        "html": Markup(table_html(table)),
    }


def _inline(rendered: Markup) -> Markup:
    """Rendered Markdown of one paragraph without its <p>."""
    return Markup(re.sub(r"^<p>|</p>\s*$", "", rendered.strip()))


def _profile_header(profile: Profile) -> str:
    """The comment that opens the profile's file."""
    lines = (repo_root() / "profiles" / f"{profile.name}.yaml").read_text(encoding="utf-8").splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(comment)


def _commit(record: dict[str, Any]) -> str:
    if record["commit"] is None:
        return "no git commit"
    return record["commit"][:10] + (" with local changes" if record["dirty"] else "")


def _packages(provenance: dict[str, Any]) -> dict[str, str]:
    """{package: version} over all steps."""
    strings = (string.split(" ", 2) for record in provenance.values() for string in record["depends"])
    return dict(sorted({part[1]: part[2] for part in strings if part[0] == "package"}.items()))
