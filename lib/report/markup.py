"""HTML and SVG that cannot be broken into: whatever is not markup already is escaped."""

from html import escape
from typing import Final

_WITHOUT_END: Final = frozenset({"meta", "br", "input"})


class Markup(str):
    """Text that is HTML already; every other string is escaped before it gets near a page."""

    __slots__ = ()


Content = str | int | Markup


def element(tag: str, *content: Content, **attributes: str | float) -> Markup:
    """Return one element.

    Args:
        tag: Its name, such as ``p``.
        content: What is inside, in order; plain strings are escaped.
        attributes: By name; ``class_`` for ``class``, and an underscore stands for a hyphen.
    """
    start = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    if tag in _WITHOUT_END:
        return Markup(f"<{tag}{start}>")
    return Markup(f"<{tag}{start}>{joined(*content)}</{tag}>")


def joined(*content: Content) -> Markup:
    """Return pieces one after the other; plain strings are escaped."""
    return Markup("".join(one if isinstance(one, Markup) else escape(str(one)) for one in content))


def table(header: list[str], rows: list[list[Content]], *, caption: str) -> Markup:
    """Return a table whose first column names the rows; on narrow screens it scrolls by itself.

    Args:
        header: One title per column.
        rows: Cells, as many as columns.
        caption: What the table shows.
    """
    head = element("tr", *(element("th", title, scope="col") for title in header))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    content = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    # A box that scrolls must be reachable by the keyboard.
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=caption)


def in_script(json_text: str) -> Markup:
    """Return JSON that can stand inside a script element: nothing in it ends the element or opens a comment."""
    return Markup(json_text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:g}"
