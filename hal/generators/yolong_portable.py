"""Yolong portable generator, 19200 8E1, `LF COMMAND CR`. **Codec only**: no beam.

ON (XRII, XRIO) and OFF (XROO) are known; whether there is a beam cannot be asked, and no error is
ever told. The lines, the source and the doubts are in _yolong.py; here are the portable's scales.
"""

from __future__ import annotations

from hal.generators import _yolong
from hal.line_codec import Number

SOURCE = _yolong.SOURCE
VERIFIED = _yolong.VERIFIED
DRIVES_BEAM = False
CODEC_ONLY = _yolong.CODEC_ONLY
LINE = "19200 8E1"

CODEC = _yolong.codec(
    ma=Number(unit="mA", per_unit=10),
    ms=Number(unit="ms", per_unit=100),
    mas=Number(unit="mAs", per_unit=1000),
)
COMMANDS = CODEC.rows
listener = CODEC.listener
