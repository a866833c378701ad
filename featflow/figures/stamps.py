"""Provenance in images, and images without what differs from run to run.

An SVG has it in <metadata>, a PNG in an iTXt chunk, a PDF in its Info dictionary: each under the
key `featflow`, as JSON.
"""

import codecs
import html
import re
import struct
import zlib

from featflow.artifacts.provenance import KEY


def stamped(content: bytes, format: str, title: str, provenance: str) -> bytes:
    """An image with its provenance, and with bytes that follow from what it shows.

    Args:
        content: as kaleido gives it.
        format: svg, png or pdf.
        title: of the figure.
        provenance: JSON.
    """
    if format == "svg":
        return _svg(content.decode("utf-8"), title, provenance).encode("utf-8")
    return _png(content, title, provenance) if format == "png" else _pdf(content, title, provenance)


def _svg(text: str, title: str, provenance: str) -> str:
    """plotly numbers its clip paths with six random hex digits: they become zeros."""
    for drawn in set(re.findall(r'id="defs-([0-9a-f]{6})"', text)):
        text = re.sub(rf'((?:id="|url\([^)]*#|href="#)[^")]*?){drawn}', r"\g<1>000000", text)
    about = (
        f"<title>{html.escape(title)}</title>"
        f'<metadata id="{KEY}">{html.escape(provenance, quote=False)}</metadata>'
    )
    return re.sub(r"(<svg[^>]*>)", lambda match: match[1] + about, text, count=1)


def _png(content: bytes, title: str, provenance: str) -> bytes:
    header = 8 + 25  # the signature, and IHDR, which comes first
    chunks = b"".join(_itxt(key, text) for key, text in (("Title", title), (KEY, provenance)))
    return content[:header] + chunks + content[header:]


def _itxt(key: str, text: str) -> bytes:
    """An iTXt chunk (PNG, third edition, 11.3.3.4): UTF-8, not compressed, no language."""
    body = b"iTXt" + key.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _pdf(content: bytes, title: str, provenance: str) -> bytes:
    """An incremental update (PDF 1.7, 7.5.6) replaces the Info dictionary, clock and all."""
    trailer = content[content.rindex(b"trailer") :]
    number = int(re.search(rb"/Info (\d+) 0 R", trailer)[1])  # type: ignore[index]
    before = int(re.search(rb"startxref\s+(\d+)", trailer)[1])  # type: ignore[index]
    entries = re.search(rb"<<(.*)>>", trailer, re.DOTALL)[1]  # type: ignore[index]
    content = re.sub(rb"(/(?:Creation|Mod)Date \(D:)\d{14}", rb"\g<1>" + b"0" * 14, content)
    new = f"{number} 0 obj\n<</Title {_hex(title)} /{KEY} {_hex(provenance)}>>\nendobj\n".encode()
    free = "xref\n0 1\n0000000000 65535 f \n"
    table = f"{free}{number} 1\n{len(content):010d} 00000 n \n".encode()
    end = b"trailer\n<<%s/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
    return content + new + table + end % (entries, before, len(content) + len(new))


def _hex(text: str) -> str:
    """A PDF text string in UTF-16."""
    return f"<{(codecs.BOM_UTF16_BE + text.encode('utf-16-be')).hex()}>"
