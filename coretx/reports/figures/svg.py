"""Turn a figure's SVG file into inline SVG, which scales, has the page's colours and ids of its own."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup

_DROPPED = ("metadata", "style")
"""`style` has a rule for `*`: inline, it would change the whole page. style.css has it for figures alone."""


def embed(file: str, prefix: str, alt: str, colours: Mapping[str, str]) -> Markup:
    """Return the file as inline SVG.

    Ids begin with prefix, so that a page can have several figures. The viewBox replaces width and height. The colours
    named are replaced, and the page chooses the fonts. Coordinates keep two decimals, a hundredth of a point. A screen
    reader says alt.
    """
    root = ElementTree.fromstring(file)
    for parent in root.iter():
        for child in [child for child in parent if _local(child.tag) in _DROPPED]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(name): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({name: _value(name, value, prefix, colours) for name, value in attributes.items()})
        element.text = element.text if (element.text or "").strip() else None
        element.tail = None
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": alt, "class": "plot"})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _value(name: str, value: str, prefix: str, colours: Mapping[str, str]) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return value.replace("#", f"#{prefix}-")
    value = value.replace("url(#", f"url(#{prefix}-")
    if name in ("d", "points", "transform", "x", "y", "width", "height"):
        return re.sub(r"(?<=\.\d\d)\d+", "", value)
    if name == "style":
        value = re.sub(r"font: (?:\d+ )?([\d.]+)px [^;]*", r"font-size: \1px", value)
        return re.sub(r"#[0-9a-f]{6}", lambda match: colours.get(match[0], match[0]), value)
    return value.replace("\n", " ")
