"""The few words that stand in every ad, by language.

Place: page.py; what products are called is the shop's.
Limits: the languages of the table; all others read English.
"""

from typing import Final

from msgspec import Struct


class Words(Struct, frozen=True, gc=False):
    """One language."""

    shop: str
    """On a button."""
    advertisement: str
    choices: str
    """Of the mark."""
    products: str
    """Of a row of products that scrolls."""
    before: str
    """Read aloud before the price that is struck through, and before the one that holds."""
    now: str
    direction: str = "ltr"


_ENGLISH: Final = Words("Shop now", "Advertisement", "Why this ad? Your choices", "Products", "Before", "now")
_WORDS: Final = {
    "en": _ENGLISH,
    "de": Words("Jetzt kaufen", "Anzeige", "Warum diese Anzeige? Ihre Wahl", "Produkte", "Vorher", "jetzt"),
    "fr": Words(
        "Acheter", "Publicité", "Pourquoi cette publicité ? Vos choix", "Produits", "Avant", "maintenant"
    ),
    "es": Words(
        "Comprar", "Publicidad", "¿Por qué este anuncio? Sus opciones", "Productos", "Antes", "ahora"
    ),
    "it": Words(
        "Acquista", "Pubblicità", "Perché questo annuncio? Le tue scelte", "Prodotti", "Prima", "ora"
    ),
    "nl": Words("Nu kopen", "Advertentie", "Waarom deze advertentie? Uw keuze", "Producten", "Eerst", "nu"),
    "pt": Words(
        "Comprar", "Publicidade", "Porquê este anúncio? As suas escolhas", "Produtos", "Antes", "agora"
    ),
    "pl": Words("Kup teraz", "Reklama", "Dlaczego ta reklama? Twój wybór", "Produkty", "Przedtem", "teraz"),
    "sv": Words("Köp nu", "Annons", "Varför denna annons? Dina val", "Produkter", "Förut", "nu"),
    "da": Words("Køb nu", "Annonce", "Hvorfor denne annonce? Dine valg", "Produkter", "Før", "nu"),
    "ar": Words("تسوق الآن", "إعلان", "لماذا هذا الإعلان؟ خياراتك", "منتجات", "قبل", "الآن", "rtl"),
    "he": Words("לקנייה", "פרסומת", "למה הפרסומת הזו? הבחירות שלך", "מוצרים", "לפני", "עכשיו", "rtl"),
}


def words_of(language: str) -> Words:
    """The words of a language of two letters."""
    return _WORDS.get(language, _ENGLISH)
