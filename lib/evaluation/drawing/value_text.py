"""Numbers with their errors, as people read them."""

import numpy as np


def with_error(value: float, error: float) -> str:
    """Return value and error, rounded to two digits of the error."""
    if not (error > 0 and np.isfinite(value)):
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} \N{PLUS-MINUS SIGN} {error:.{digits}f}".replace("-", "\N{MINUS SIGN}")
