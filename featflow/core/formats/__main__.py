"""Print docs/formats.md."""

from featflow.core.formats import text

print(text(), end="")
