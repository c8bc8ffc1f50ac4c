"""QR codes of links, for who points a phone at them."""

from __future__ import annotations

from markupsafe import Markup


def qr_code(url: str) -> Markup | None:
    """Return a picture of an address, as SVG; None for one that is longer than a code can be."""
    import segno  # loaded by the pages that show one

    try:
        code = segno.make(url, error="m", micro=False)
    except ValueError:
        return None
    # Lines and a box: nothing of what it encodes is in it as text.
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass=None, lineclass=None))  # noqa: S704
