"""Text and charts in, pieces of HTML out: tables, notes, marks; whatever came from a user is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from os import PathLike

from gyrovae_tf.errors import check_same_kind
from gyrovae_tf.learn.health import Status
from gyrovae_tf.wording import one_line

WORDS: dict[Status, str] = {"good": "OK", "look": "look", "bad": "problem"}
"""What a mark says."""
STYLE = "page.css"
"""The style sheet, in this folder."""


def check_page(path: str | PathLike[str]) -> None:
    """Refuse to write a page over what is none."""
    check_same_kind(path, lambda head: head.lstrip()[:14].lower() == b"<!doctype html", "HTML page")


def document(title: str, content: str) -> str:
    """A title and the HTML below it in, the whole page out: nothing to load, no script."""
    style = resources.files("gyrovae_tf.learn").joinpath(STYLE).read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>{escaped(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{escaped(title)}</h1>
{content}
</main>
</body>
</html>
"""


def side_by_side(*pairs: tuple[str, str]) -> str:
    """Charts (SVG) with what each shows in, figures beside or below each other, as there is room, out."""
    cells = "".join(
        f'<figure class="chart">{svg}<figcaption>{escaped(text)}</figcaption></figure>' for svg, text in pairs
    )
    return f'<div class="charts">{cells}</div>'


def data_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], columns: str, below: Sequence[str] | None = None
) -> str:
    """HTML cells as a table; `columns` has a w for each column of words, the others hold numbers.

    `below` are sentences that stand below each row, over the table's whole width; an empty one takes no room.
    """

    def row(cells: Sequence[str], tag: str) -> str:
        kinds = columns.ljust(len(cells), "n")
        return "".join(
            f"<{tag}>{cell}</{tag}>" if kind == "w" else f'<{tag} class="number">{cell}</{tag}>'
            for cell, kind in zip(cells, kinds, strict=True)
        )

    header = f"<thead><tr>{row(head, 'th')}</tr></thead>\n" if any(head) else ""
    body = "\n".join(
        f'<tr class="above">{row(cells, "td")}</tr>\n'
        f'<tr class="below"><td colspan="{len(cells)}"><div>{text}</div></td></tr>'
        if text
        else f"<tr>{row(cells, 'td')}</tr>"
        for cells, text in zip(rows, below or [""] * len(rows), strict=True)
    )
    return f'<div class="scroll" tabindex="0"><table>\n{header}<tbody>\n{body}\n</tbody>\n</table></div>\n'


def small_print(texts: Iterable[str]) -> str:
    """Sentences in, small paragraphs out."""
    return '<div class="notes">' + "".join(f"<p>{escaped(text)}</p>" for text in texts) + "</div>\n"


def mark(status: Status, word: str) -> str:
    """A status and a word for it in, a small mark out."""
    return f'<span class="pill {status}">{escaped(word)}</span>'


def verdict(status: Status, headline: str, points: Iterable[tuple[Status, str, str]]) -> str:
    """A status, a headline and points (status, a word for it, text) in; the box at the top of a page out."""
    items = "\n".join(f"<li>{mark(point, word)} <span>{escaped(text)}</span></li>" for point, word, text in points)
    return (
        f'<section id="verdict" class="verdict {status}">\n<p class="headline">{escaped(headline)}</p>\n'
        f'<ul class="points">\n{items}\n</ul>\n</section>'
    )


def refusals(name: str, title: str, lead: str, reasons: Mapping[str, str]) -> str:
    """What could not be used -> why, in; a section that lists it, with a line in front, out; nothing for none."""
    if not reasons:
        return ""
    items = "\n".join(f"<li><b>{escaped(what)}</b>: {escaped(one_line(why))}</li>" for what, why in reasons.items())
    return (
        f'<section id="{name}"><h2>{escaped(title)}</h2>\n<p class="lead">{escaped(lead)}</p><ul>\n{items}\n</ul>\n'
        "</section>\n"
    )


def unparted(text: str) -> str:
    """HTML in, the same with no line that ends between a number and its per cent out."""
    return text.replace(" %", "&#160;%")


def three(number: float | None) -> str:
    """A figure in, its text with three decimals out; nothing for None."""
    return "" if number is None else f"{number:.3f}"


def escaped(text: str) -> str:
    """Text that may have come from a user, safe in HTML, in one line."""
    return html.escape(" ".join("".join(sign if sign.isprintable() else " " for sign in text).split()))
