"""The privacy pages: the overview, everything that is held, and the question before erasing.

Place: web/privacy_pages serves them.
Shapes: each function gives a whole HTML document.
Never: a value that is not escaped: texts go through `layout.text`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from bidder.config import Config
from bidder.rights.layout import document, tag, text
from bidder.rights.readable import IFA_SOURCE, SHOP_SOURCE, Deed, ShopWords, Words
from bidder.rights.texts import MONTHS, TEXTS

HOME: Final = "/privacy"
DATA: Final = "/privacy/data"
ERASE: Final = "/privacy/erase"
CHOICE: Final = "/privacy/choice"
AUTHORITIES: Final = "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
WRONG: Final = frozenset({"later", "failed", "form"})
DONE: Final = frozenset({"out", "in", "erased", "nothing", *WRONG})
"""What `?done=` may say; anything else is not shown."""


class Operator(Struct, frozen=True, kw_only=True):
    """Who runs this, as far as it is configured."""

    host: str
    controller: str = ""
    contact: str = ""
    days: int = 30
    exchanges: tuple[str, ...] = ()


def operator_of(config: Config, base_url: str) -> Operator:
    """What the configuration says of us; exchanges are those whose ids may be matched."""
    privacy = config.privacy
    return Operator(
        host=urlsplit(base_url).netloc,
        controller=privacy.controller,
        contact=privacy.contact,
        days=max(privacy.retention_days, config.events.keep_days),
        exchanges=tuple(sorted(profile.name for profile in config.profiles())),
    )


class Seen(Struct, frozen=True, kw_only=True):
    """What is known of the browser that asks."""

    language: str
    form: str = ""
    """The token of the page's forms."""
    opted_out: bool = False
    recognised: bool = False
    """It brought a number of ours."""
    held: bool | None = False
    """Whether anything is held under it; None: the store does not answer."""
    gpc: bool = False
    done: str = ""


def overview(operator: Operator, seen: Seen) -> str:
    """What is collected and why, the browser's state, and what can be done about it."""
    words = TEXTS[seen.language]
    parts = [
        _told(seen),
        tag("p", text(words["intro"])),
        _state(seen),
        tag("h2", text(words["what"])),
        *(
            tag("h3", text(words[f"what_{each}"])) + tag("p", text(words[f"what_{each}_text"]))
            for each in ("visits", "number", "match", "views", "login")
        ),
        tag("p", tag("strong", text(words["what_not"]))),
        _responsible(operator, words),
        tag("h2", text(words["whom"])),
        tag("p", _whom(operator, words)),
        tag("h2", text(words["how_long"])),
        tag("p", text(words["how_long_text"].format(days=operator.days))),
        tag("h2", text(words["rights"])),
        tag("p", text(words["rights_text"])),
        tag("p", f"{text(words['rights_complain'])} {tag('a', 'edpb.europa.eu', href=AUTHORITIES)}."),
    ]
    return document(seen.language, words["title"], "".join(parts), HOME)


def question(seen: Seen) -> str:
    """Before everything is erased."""
    words = TEXTS[seen.language]
    no = tag("a", text(words["erase_no"]), class_="button quiet", href=f"{HOME}?lang={seen.language}")
    yes = _form(seen, ERASE, "confirm", "yes", tag("button", text(words["erase_yes"]), class_="danger"))
    content = (
        _told(seen)
        + tag("p", text(words["erase_text"]))
        + tag("p", text(words["erase_again"]))
        + tag("div", yes + no, class_="acts")
    )
    return document(seen.language, words["erase_title"], content, ERASE)


def slow(language: str) -> str:
    """Too many changes came at once, and this one was not made."""
    words = TEXTS[language]
    home = tag("a", text(words["back"]), href=f"{HOME}?lang={language}")
    told = tag("p", text(words["slow_text"]), class_="panel wrong", role="alert")
    return document(language, words["slow_title"], told + tag("p", home), HOME)


def everything(seen: Seen, known: Sequence[Words]) -> str:
    """All that is held, of each number that the browser brought."""
    words = TEXTS[seen.language]
    home = tag("a", text(words["back"]), href=f"{HOME}?lang={seen.language}")
    if seen.held is None:
        content = tag("p", text(words["state_unsure"]), class_="panel wrong", role="alert")
    elif not known:
        content = tag("p", text(words["data_none"]), class_="panel")
    else:
        program = tag("a", text(words["data_json"]), href=f"{DATA}?format=json")
        content = tag("p", text(words["data_intro"])) + tag("p", program)
        content += "".join(_of_number(seen.language, each) for each in known)
        link = tag(
            "a", text(words["erase"]), class_="button danger quiet", href=f"{ERASE}?lang={seen.language}"
        )
        content += tag("div", link, class_="acts")
    return document(seen.language, words["data_title"], content + tag("p", home), DATA)


def moment(language: str, iso: str) -> str:
    """A moment in a page: `22 November 2026, 09:15 UTC`; empty for none."""
    if not iso:
        return ""
    at = datetime.strptime(iso, "%Y-%m-%dT%H:%M:%S%z")
    shown = f"{at.day} {MONTHS[language][at.month - 1]} {at.year}, {at:%H:%M} UTC"
    return tag("time", text(shown), datetime=iso)


def _told(seen: Seen) -> str:
    if seen.done not in DONE:
        return ""
    wrong = seen.done in WRONG
    role, look = ("alert", "panel wrong") if wrong else ("status", "panel told")
    return tag("p", text(TEXTS[seen.language][f"done_{seen.done}"]), class_=look, role=role)


def _state(seen: Seen) -> str:
    words = TEXTS[seen.language]
    content = tag("h2", text(words["state"]), id="state") + tag(
        "p", text(words[f"state_{_state_name(seen)}"])
    )
    if seen.gpc:
        content += tag("p", text(words["state_gpc"]))
    choice = "in" if seen.opted_out else "out"
    button = tag("button", text(words[choice]), aria_describedby="choice-help")
    acts = _form(seen, CHOICE, "choice", choice, button)
    if seen.recognised:
        acts += tag("a", text(words["see"]), class_="button quiet", href=f"{DATA}?lang={seen.language}")
        acts += tag(
            "a", text(words["erase"]), class_="button danger quiet", href=f"{ERASE}?lang={seen.language}"
        )
    content += tag("div", acts, class_="acts")
    content += tag("p", text(words[f"{choice}_help"]), class_="soft", id="choice-help")
    return tag("section", content, class_="panel", aria_labelledby="state")


def _state_name(seen: Seen) -> str:
    if seen.opted_out:
        return "out"
    if not seen.recognised:
        return "none"
    if seen.held is None:
        return "unsure"
    return "known" if seen.held else "empty"


def _form(seen: Seen, path: str, name: str, value: str, button: str) -> str:
    fields = {"form": seen.form, "lang": seen.language, name: value}
    hidden = "".join(
        f'<input type="hidden" name="{text(each)}" value="{text(filled)}">' for each, filled in fields.items()
    )
    return tag("form", hidden + button, method="post", action=path)


def _responsible(operator: Operator, words: Mapping[str, str]) -> str:
    name = "who_known" if operator.controller else "who_unknown"
    said = text(words[name].format(controller=operator.controller, host=operator.host))
    content = tag("h2", text(words["who"])) + tag("p", said)
    if operator.contact:
        before, after = words["who_contact"].split("{contact}")
        web = operator.contact.startswith("https://")
        link = tag(
            "a", text(operator.contact), href=operator.contact if web else f"mailto:{operator.contact}"
        )
        content += tag("p", text(before) + link + text(after))
    return content


def _whom(operator: Operator, words: Mapping[str, str]) -> str:
    if not operator.exchanges:
        return text(words["whom_none"])
    return text(words["whom_text"].format(exchanges=", ".join(operator.exchanges)))


def _of_number(language: str, known: Words) -> str:
    words = TEXTS[language]
    rows = [
        (words["data_id"], tag("code", text(known.id))),
        (words["data_out"], moment(language, known.opted_out_since)),
        (words["data_seen"], moment(language, known.last_seen)),
        (words["data_until"], moment(language, known.kept_until)),
    ]
    parts = [tag("dl", "".join(tag("dt", text(name)) + tag("dd", value) for name, value in rows if value))]
    parts += [_shop(language, shop) for shop in known.shops]
    if known.known_by:
        parts.append(tag("h2", text(words["known_by"])))
        names = {shop.shop: shop.name for shop in known.shops}
        parts.append(
            _list(
                _filled(
                    words["known_source" if link.ads_seen else "known_since"],
                    source=text(_source(words, names, link.source)),
                    time=moment(language, link.since),
                    count=str(link.ads_seen),
                )
                for link in known.known_by
            )
        )
    if known.linked_logins:
        parts.append(tag("h2", text(words["logins"])))
        parts.append(
            _list(
                _filled(words["login"], shop=text(login.shop), time=moment(language, login.since))
                for login in known.linked_logins
            )
        )
    if known.id_given_to:
        parts.append(tag("h2", text(words["given"])))
        parts.append(
            _list(
                text(words["given_to"].format(exchange=each.exchange, count=each.times))
                for each in known.id_given_to
            )
        )
    return "".join(parts)


def _shop(language: str, shop: ShopWords) -> str:
    words = TEXTS[language]
    parts = [tag("h2", text(words["shop_title"].format(shop=shop.name)))]
    if shop.unreadable:
        parts.append(tag("p", text(words["unreadable"])))
    parts += _titled(
        words["segments"],
        (
            f"{text(each.name)} ({_filled(words['until'], time=moment(language, each.until))})"
            for each in shop.segments
        ),
    )
    parts += _titled(
        words["products"],
        (
            f"{text(each.title or words['product_gone'].format(id=each.id))}, {moment(language, each.last_viewed)}"
            for each in shop.products
        ),
    )
    parts += _titled(words["visits"], (_visit(language, deed) for deed in shop.visits), "ol")
    if shop.tastes:
        figures = ", ".join(f"{figure:g}" for figure in shop.tastes)
        said = words["tastes_text"].format(count=len(shop.tastes), figures=figures)
        parts += [tag("h3", text(words["tastes"])), tag("p", text(said), class_="soft")]
    if shop.ads_seen:
        parts.append(
            tag("p", _filled(words["ads"], count=str(shop.ads_seen), time=moment(language, shop.last_ad)))
        )
    return "".join(parts)


def _visit(language: str, deed: Deed) -> str:
    words = TEXTS[language]
    said = [
        text(words.get(deed.what, deed.what)),
        *map(text, filter(None, (deed.product, deed.category, deed.amount))),
    ]
    return f"{moment(language, deed.at)}: {', '.join(said)}"


def _source(words: Mapping[str, str], names: Mapping[str, str], source: str) -> str:
    if not source:
        return words["source_unknown"]
    if source == IFA_SOURCE:
        return words["source_app"]
    if source.startswith(SHOP_SOURCE):
        owner = source.removeprefix(SHOP_SOURCE)
        return words["source_shop"].format(shop=names.get(owner, owner))
    return source


def _titled(title: str, items: Iterable[str], kind: str = "ul") -> list[str]:
    made = list(items)
    return [tag("h3", text(title)), _list(made, kind)] if made else []


def _list(items: Iterable[str], kind: str = "ul") -> str:
    return tag(kind, "".join(tag("li", item) for item in items))


def _filled(words: str, **markup: str) -> str:
    """Words as text, filled with markup."""
    return text(words).format(**markup)
