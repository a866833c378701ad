"""Print docs/formats.md."""

from featflow.plan.formats import text

print(text(), end="")
