"""Codes of languages: ``de``, ``deu`` and ``ger`` name one."""

from functools import cache


@cache
def codes_of(code: str) -> frozenset[str]:
    """Return all codes of ISO 639 that name the language of one of them, without script or region.

    >>> sorted(codes_of("de-AT"))
    ['de', 'deu', 'ger']
    >>> codes_of("ROMANCE")
    frozenset()
    """
    import pycountry

    primary = code.partition("-")[0].partition("_")[0]
    if len(primary) == 2:
        found = pycountry.languages.get(alpha_2=primary)
    else:
        found = pycountry.languages.get(alpha_3=primary) or pycountry.languages.get(bibliographic=primary)
    names = ("alpha_2", "alpha_3", "bibliographic")
    return frozenset(getattr(found, name) for name in names if hasattr(found, name)) if found else frozenset()
