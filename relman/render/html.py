"""Markdown to HTML that can stand on any page."""

from __future__ import annotations

import html

from markdown_it.token import Token

from relman.render.parsing import Tag, is_comment, parser, pieces


def to_html(markdown: str) -> str:
    """The text as an HTML fragment that runs nothing and cannot break out of its place.

    Raw HTML is shown as text, except `<details>` and `<summary>` at block level, which come out balanced; links lead
    to http, https, mailto or relative addresses only. Comments are left out.
    """
    markdown_it = parser()
    tokens = _tamed(markdown_it.parse(markdown))
    rendered: str = markdown_it.renderer.render(tokens, markdown_it.options, {})
    return rendered


def _tamed(tokens: list[Token]) -> list[Token]:
    """The tokens with every piece of raw HTML made safe, and every `<details>` closed in the block that opened it."""
    tamed: list[Token] = []
    opened: list[int] = []
    for token in tokens:
        while token.nesting < 0 and opened and opened[-1] > token.level:
            opened.pop()
            tamed.append(_raw("</details>\n"))
        if token.type == "html_block":
            token.content = _block(token, opened)
        for child in token.children or ():
            if child.type == "html_inline":
                child.type = "text"
                child.content = "" if is_comment(child.content) else child.content
        tamed.append(token)
    tamed.extend(_raw("</details>\n") for _ in opened)
    return tamed


def _raw(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def _block(token: Token, opened: list[int]) -> str:
    """One block of raw HTML, made safe; ``opened`` holds the level of each `<details>` that is still open."""
    parts = list(pieces(token.content))
    written: list[str] = []
    at = 0
    while at < len(parts):
        part = parts[at]
        match part:
            case Tag.DETAILS:
                opened.append(token.level)
                written.append("<details>\n")
            case Tag.DETAILS_END if opened and opened[-1] == token.level:
                opened.pop()
                written.append("</details>\n")
            case Tag.SUMMARY if Tag.SUMMARY_END in parts[at + 1 : at + 3]:
                words = [piece for piece in parts[at + 1 : at + 2] if isinstance(piece, str)]
                written.append(f"<summary>{''.join(map(_text, words))}</summary>\n")
                at += 1 + len(words)
            case Tag():
                written.append(f"<p>{_text(part.value)}</p>\n")
            case _ if part.strip():
                written.append(f"<p>{_text(part)}</p>\n")
        at += 1
    return "".join(written)


def _text(text: str) -> str:
    return html.escape(html.unescape(text.strip()))
