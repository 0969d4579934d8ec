"""Markdown as people's clients show it, as HTML that can do nothing (octo-bot-api §4.3)."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import cache, lru_cache
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

__all__ = ["MISSING", "as_html", "can_render"]

MISSING = (
    "Markdown is shown as it was written; to see it rendered: pip install 'openclaw-channel-octo[playground]'"
)
"""What to tell people where the libraries are not installed."""

LONGEST = 20_000
"""Characters above which a text is left as it is."""


def can_render() -> bool:
    """Return whether the libraries are installed."""
    return _parser() is not None


@lru_cache(maxsize=2_000)
def as_html(text: str) -> str | None:
    """Return a message as HTML, ``None`` where it has to be shown as it is written.

    HTML in the text is shown, not used. Pictures become links, and links open in a tab of their own that knows nothing
    of this one; those that run a script are none. Headings are bold lines: the outline is the page's. No attribute
    holds a style, which the pages' policy would refuse.

    Args:
        text: the message.
    """
    parser = _parser()
    return None if parser is None or len(text) > LONGEST else parser.render(text)


@cache
def _parser() -> "MarkdownIt | None":
    try:
        from markdown_it import MarkdownIt  # noqa: PLC0415  # of an extra

        import_module(
            "linkify_it"
        )  # others bring the library without it, and it would be missed while rendering
    except ImportError:
        return None
    parser = MarkdownIt("js-default", {"breaks": True, "linkify": True})
    for name, change in _CHANGES.items():
        parser.add_render_rule(name, _changing(change))
    parser.add_render_rule("image", _linked)
    return parser


def _changing(change: "Callable[[Token], None]") -> Callable[..., str]:
    """Return a render rule that changes the token first."""

    def render(
        renderer: "RendererHTML",
        tokens: "Sequence[Token]",
        at: int,
        options: "OptionsDict",
        _: MutableMapping[str, Any],
    ) -> str:
        change(tokens[at])
        return renderer.renderToken(tokens, at, options, {})

    return render


def _linked(
    renderer: "RendererHTML",
    tokens: "Sequence[Token]",
    at: int,
    options: "OptionsDict",
    env: MutableMapping[str, Any],
) -> str:
    """Return a link to a picture, whose words are those in its place."""
    address = str(tokens[at].attrGet("src"))
    words = renderer.renderInlineAsText(tokens[at].children, options, env) or address
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{escape(words)}</a>'


def _elsewhere(link: "Token") -> None:
    link.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}


def _aligned(cell: "Token") -> None:
    if style := cell.attrs.pop("style", ""):
        cell.attrSet("class", str(style).removeprefix("text-align:"))


def _bold(heading: "Token") -> None:
    heading.tag = "p"
    if heading.nesting > 0:
        heading.attrSet("class", "heading")


_CHANGES: "Mapping[str, Callable[[Token], None]]" = {
    "heading_open": _bold,
    "heading_close": _bold,
    "link_open": _elsewhere,
    "td_open": _aligned,
    "th_open": _aligned,
}
"""By the name of a token: what is different about it."""
