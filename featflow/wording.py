"""A share as text: for a terminal, and for a page."""


def percent(share: float) -> str:
    """For a terminal or a log: 26.6%, a dash where it is not known."""
    return "-" if share != share else f"{share:.1%}"


def page_percent(share: float, digits: int = 1) -> str:
    """For a page: 26.6 % with a narrow space that does not break, – where it is not known."""
    return "–" if share != share else f"{100 * share:.{digits}f}\u202f%"
