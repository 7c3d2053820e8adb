"""How figures are written for people."""

__all__ = ["figure"]


def figure(value: object) -> str:
    """A figure as a table shows it: enough digits to compare, none to look at."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
