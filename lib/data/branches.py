"""Names and shapes of the branches that ROOT files of the detector carry.

Lengths are cm, angles degrees, energies GeV, times seconds.
"""

from typing import Final

TREE_NAME: Final = "tree"

NPHO: Final = "npho"
RELATIVE_NPHO: Final = "relative_npho"
TIME: Final = "time"
RELATIVE_TIME: Final = "relative_time"
NPHO_EXPECTED: Final = "nphoExpected"
DEAD: Final = "dead"

ENERGY: Final = "energyTruth"
TIME_TRUTH: Final = "timeTruth"
UVW: Final = "uvwTruth"
XYZ: Final = "xyzTruth"
VERTEX: Final = "xyzVTX"
EMISSION_ANGLE: Final = "emiAng"
EMISSION_VECTOR: Final = "emiVec"
N_GAMMA: Final = "nGamma"

RUN: Final = "run"
EVENT: Final = "event"

# What ``data.branches`` may give another name.
INPUT_NAMES: Final = (NPHO, RELATIVE_NPHO, TIME, RELATIVE_TIME)

# A sensor without a value holds this; anything beyond the bound is read as "no value".
NO_VALUE: Final = 1e10
INVALID_ABOVE: Final = 9e9

# Length of the last axis of each truth branch; 1 stands for a plain number.
TRUTH_WIDTHS: Final[dict[str, int]] = {
    ENERGY: 1,
    TIME_TRUTH: 1,
    UVW: 3,
    XYZ: 3,
    VERTEX: 3,
    EMISSION_ANGLE: 2,
    EMISSION_VECTOR: 3,
    N_GAMMA: 1,
}
