"""Turn a figure's SVG file into a part of a page: it scales, takes the page's colours and collides with nothing."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup

_DROPPED = ("metadata", "style")
"""`style` holds a rule for `*` that, inlined, would hold for the whole page; style.css has it for figures alone."""


def embed(file: str, prefix: str, alt: str, colours: Mapping[str, str]) -> Markup:
    """Return the file as inline SVG.

    Ids begin with prefix, so that several figures stand in one page; width and height give way to the viewBox; the
    colours named are replaced; fonts are left to the page; coordinates are cut off after two decimals, a hundredth of
    a point; alt is what a screen reader says.
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
