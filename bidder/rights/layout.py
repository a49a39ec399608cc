"""The frame of every privacy page: one document, its style inside, nothing fetched, no script.

Place: pages.py makes the content.
Limits: a page without content has below 6 KB. Reads at 320 px, at 200 % text, in light and dark, without motion.
Source: WCAG 2.2 AA: landmarks, one h1, visible focus, text contrast of at least 4.5 (measured by a test).
Never: markup that comes from outside: `tag` and `text` escape.
"""

import base64
import hashlib
from html import escape
from typing import Final

from bidder.rights.texts import LANGUAGES, TEXTS

COLOURS: Final = {
    "light": {
        "ground": "#ffffff",
        "panel": "#f3f5f9",
        "ink": "#1a1c22",
        "soft": "#4a4e59",
        "line": "#767b88",
        "link": "#0b4fc4",
        "on_link": "#ffffff",
        "danger": "#a4201a",
        "on_danger": "#ffffff",
    },
    "dark": {
        "ground": "#14161b",
        "panel": "#1f232b",
        "ink": "#eceef3",
        "soft": "#b9bfcb",
        "line": "#8d95a5",
        "link": "#93b9ff",
        "on_link": "#0d1320",
        "danger": "#ffb1aa",
        "on_danger": "#2a0a08",
    },
}


def _variables(scheme: str) -> str:
    return ";".join(f"--{name}:{value}" for name, value in COLOURS[scheme].items())


STYLE: Final = (
    f":root{{color-scheme:light dark;{_variables('light')}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables('dark')}}}}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:1.0625rem/1.6 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;overflow-wrap:anywhere}"
    "header,main,footer{max-width:46rem;margin:0 auto;padding:1rem}"
    "header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;justify-content:space-between;align-items:center}"
    "nav ul{display:flex;flex-wrap:wrap;gap:.25rem .5rem;list-style:none;margin:0;padding:0}"
    "nav a{display:inline-block;padding:.4rem .6rem;border-radius:.4rem}"
    "nav a[aria-current]{color:var(--ink);font-weight:600;text-decoration:none;background:var(--panel)}"
    ".brand{margin:0;font-weight:700;letter-spacing:.01em}"
    "h1{font-size:1.75rem;line-height:1.25;margin:.5rem 0 1rem}"
    "h2{font-size:1.3rem;line-height:1.3;margin:2.25rem 0 .5rem}"
    "h3{font-size:1.0625rem;margin:1.25rem 0 .25rem}"
    "p{margin:.5rem 0;text-wrap:pretty}"
    "a{color:var(--link);text-underline-offset:.2em}"
    ".panel{background:var(--panel);border-radius:.75rem;padding:1rem 1.25rem;margin:1rem 0}"
    ".panel h2{margin-top:.25rem}"
    ".told{border-left:.35rem solid var(--link);font-weight:600}"
    ".wrong{border-left:.35rem solid var(--danger);font-weight:600}"
    ".soft{color:var(--soft)}"
    ".acts{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;margin:1rem 0 .25rem}"
    "form{margin:0}"
    "button,.button{display:inline-block;min-height:2.75rem;padding:.6rem 1.1rem;border-radius:.5rem;"
    "border:2px solid var(--link);background:var(--link);color:var(--on_link);font:inherit;font-weight:600;"
    "line-height:1.3;text-decoration:none;cursor:pointer;text-align:center}"
    ".quiet{background:transparent;color:var(--link)}"
    ".danger{background:var(--danger);border-color:var(--danger);color:var(--on_danger)}"
    ".danger.quiet{background:transparent;color:var(--danger)}"
    "a:focus-visible,button:focus-visible,main:focus-visible{outline:3px solid var(--ink);outline-offset:3px}"
    "main:focus{outline:none}"
    ".skip{position:absolute;left:-99rem}"
    ".skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.5rem 1rem;z-index:1}"
    "ol,ul{padding-left:1.25rem}"
    "li{margin:.3rem 0}"
    "dl{margin:.5rem 0}"
    "dt{font-weight:600}"
    "dd{margin:0 0 .6rem}"
    "code{font-size:.95em}"
    "footer{color:var(--soft);font-size:.95rem;border-top:1px solid var(--line);margin-top:2rem}"
    "@media (max-width:30rem){.acts{flex-direction:column;align-items:stretch}"
    ".acts .button,.acts button{width:100%}h1{font-size:1.45rem}h2{font-size:1.2rem}}"
    "@media (prefers-reduced-motion:no-preference){.button,button{transition:filter .12s}}"
    "button:hover,.button:hover{filter:brightness(.92)}"
    "@media (forced-colors:active){.panel{border:1px solid}}"
)
"""Everything that a page looks like."""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy: the one style above, forms to ourselves, and nothing else."""


def text(value: object) -> str:
    """Any text as text of a page."""
    return escape(str(value), quote=True)


def tag(name: str, content: str, **attributes: str) -> str:
    """An element around content that is markup already; `class_` is `class`, `_` in names is `-`."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{pairs}>{content}</{name}>"


def document(language: str, title: str, content: str, path: str) -> str:
    """A whole page; `path` is where the other language of it is found, without a query."""
    words = TEXTS[language]
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">'
        f"<title>{text(title)} – Paceline</title><style>{STYLE}</style></head><body>"
        f'<a class="skip" href="#content">{text(words["skip"])}</a>'
        f'<header><p class="brand">Paceline</p>{_switch(language, path)}</header>'
        f'<main id="content" tabindex="-1">{tag("h1", text(title))}{content}</main>'
        f'<footer><p><a href="/privacy?lang={language}">{text(words["title"])}</a></p></footer>'
        "</body></html>"
    )


def _switch(language: str, path: str) -> str:
    items = []
    for each in LANGUAGES:
        current = {"aria_current": "true"} if each == language else {}
        link = tag("a", TEXTS[each]["name"], href=f"{path}?lang={each}", lang=each, hreflang=each, **current)
        items.append(tag("li", link))
    return tag("nav", tag("ul", "".join(items)), aria_label=TEXTS[language]["language"])
