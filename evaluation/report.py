"""Report: one HTML file that opens anywhere; images and clips are inside, nothing is fetched, nothing runs.

Every text is escaped, and a content security policy in the page forbids scripts and the network. Knows what
is to be shown, never how it was computed.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from emo.evaluation.report_style import CSS

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; base-uri 'none'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One clip and what was answered about it.

    `video` is MP4 bytes, `image` PNG or JPEG bytes; the video is shown where there is one. `predicted` None
    is an answer without a label. `details` are further lines, by name.
    """

    clip_id: str
    truth: str | None = None
    predicted: str | None = None
    text: str = ""
    video: bytes | None = None
    image: bytes | None = None
    details: Mapping[str, str] = field(default_factory=dict)


class Report:
    """Builds the page from top to bottom: `section` opens one, the other methods fill it; each returns self.

    `notes` stand under the title and say what a reader must know first, such as that the clips are drawn.
    """

    def __init__(self, title: str, subtitle: str = "", notes: Sequence[str] = ()) -> None:
        self._title, self._subtitle, self._notes = title, subtitle, tuple(notes)
        self._sections: list[tuple[str, list[str]]] = []

    def section(self, heading: str, lead: str = "") -> Report:
        """Open a section."""
        lines = [f"<h2>{escape(heading)}</h2>"]
        if lead:
            lines.append(f'<p class="lead">{escape(lead)}</p>')
        self._sections.append((heading, lines))
        return self

    def text(self, paragraph: str) -> Report:
        """A paragraph; line breaks are kept."""
        return self._add(f"<p>{escape(paragraph)}</p>")

    def note(self, paragraph: str) -> Report:
        """A paragraph that must not be overlooked."""
        return self._add(f'<p class="note">{escape(paragraph)}</p>')

    def code(self, text: str) -> Report:
        """Commands or settings, as they are."""
        return self._add(f"<pre>{escape(text)}</pre>")

    def numbers(self, figures: Mapping[str, str]) -> Report:
        """A row of large figures by name."""
        cards = "".join(
            f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
            for name, value in figures.items()
        )
        return self._add(f'<div class="figures">{cards}</div>')

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        caption: str = "",
        *,
        marked: Collection[int] = (),
    ) -> Report:
        """A table; the first column is left-aligned, the others right. Rows that are `marked` stand out."""
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in headers)
        body = "".join(
            ('<tr class="marked">' if place in marked else "<tr>")
            + "".join(f"<td>{escape(cell)}</td>" for cell in row)
            + "</tr>"
            for place, row in enumerate(rows)
        )
        under = f'<p class="caption">{escape(caption)}</p>' if caption else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return self._add(f'<div class="scroll">{table}</div>{under}')

    def images(self, *images: tuple[bytes, str]) -> Report:
        """Images beside each other where the window is wide: (PNG or JPEG bytes, caption) each."""
        figures = "".join(
            f'<figure><img src="{data_uri(image)}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for image, caption in images
        )
        return self._add(f'<div class="side">{figures}</div>')

    def answers(self, answers: Sequence[Answer]) -> Report:
        """Cards of clips with what was answered."""
        return self._add(f'<div class="clips">{"".join(map(_answer, answers))}</div>')

    def html(self) -> str:
        """The whole page."""
        links = "".join(
            f'<a href="#s{index}">{escape(heading)}</a>' for index, (heading, _) in enumerate(self._sections)
        )
        sections = "\n".join(
            f'<section id="s{index}">{"".join(lines)}</section>'
            for index, (_, lines) in enumerate(self._sections)
        )
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self._notes)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n<style>\n{CSS}\n</style>\n</head>\n<body>\n<main>\n"
            f'<header><h1>{escape(self._title)}</h1><p class="subtitle">{escape(self._subtitle)}</p>'
            f"{notes}<nav>{links}</nav></header>\n{sections}\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: Path) -> Path:
        """Write the page to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html(), encoding="utf-8")
        return path

    def _add(self, piece: str) -> Report:
        if not self._sections:
            self.section("Summary")
        self._sections[-1][1].append(piece)
        return self


def data_uri(data: bytes) -> str:
    """The bytes as a data URI; PNG, JPEG and MP4 are told by their first bytes, others are ValueError."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "image/png"
    elif data.startswith(b"\xff\xd8\xff"):
        kind = "image/jpeg"
    elif data[4:8] == b"ftyp":
        kind = "video/mp4"
    else:
        raise ValueError(f"{len(data)} bytes that begin {data[:8]!r} are no PNG, JPEG or MP4.")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _answer(answer: Answer) -> str:
    media = ""
    if answer.video is not None:
        poster = f' poster="{data_uri(answer.image)}"' if answer.image is not None else ""
        media = f'<video controls preload="metadata" src="{data_uri(answer.video)}"{poster}></video>'
    elif answer.image is not None:
        media = f'<img src="{data_uri(answer.image)}" alt="{escape(answer.clip_id)}">'
    text = f"<p>{escape(answer.text)}</p>" if answer.text else ""
    details = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in answer.details.items()
    )
    return (
        f'<article class="clip">{media}<div><h3>{escape(answer.clip_id)}</h3>{_verdict(answer)}{text}'
        f"{f'<dl>{details}</dl>' if details else ''}</div></article>"
    )


def _verdict(answer: Answer) -> str:
    said = escape(answer.predicted or "no label")
    if answer.truth is None:
        return f'<span class="label">{said}</span>'
    if answer.truth == answer.predicted:
        return f'<span class="label right">{said}</span>, which is right'
    return f'<span class="label wrong">{said}</span>, truly <span class="label">{escape(answer.truth)}</span>'
