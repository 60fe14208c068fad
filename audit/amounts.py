"""Numbers of a verdict as text: short, with their unit, and without an exponent."""

from decimal import Decimal

from fairprint.audit.planning import IN_POINTS


def told(value: float, unit: str, *, change: bool = False) -> str:
    """Return a number with its unit: shares in percent and their changes in points, others with three figures.

    Args:
        value: the number.
        unit: of the metric.
        change: whether it is a worsening, a distance or a margin, and no value of the metric itself.

    >>> told(0.6942, "share"), told(0.0312, "share", change=True), told(-1.23456, "nats"), told(5.0, "%")
    ('69.4 %', '3.1 points', '-1.23 nats', '5 %')
    """
    if unit in IN_POINTS:
        places = 1 if abs(value) >= 0.0005 or value == 0 else 3
        return f"{100 * value:.{places}f} {'points' if change or unit != 'share' else '%'}"
    digits = f"{Decimal(f'{value:.2e}'):,f}"
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {unit}".rstrip()
