"""Yolong stationary generator, 4800 8N1, `LF COMMAND CR`. **Codec only**: no beam.

ON (XRII, XRIO) and OFF (XROO) are known; whether there is a beam cannot be asked, and no error is
ever told. The lines, the source and the doubts are in _yolong.py; here are the stationary's scales.
"""

from __future__ import annotations

from hal.generators import _yolong
from hal.line_codec import Number

SOURCE = _yolong.SOURCE
VERIFIED = _yolong.VERIFIED
DRIVES_BEAM = False
CODEC_ONLY = _yolong.CODEC_ONLY
LINE = "4800 8N1"

CODEC = _yolong.codec(
    ma=Number(unit="mA"),
    ms=Number(unit="ms"),
    mas=Number(unit="mAs", decimals=None),  # "decimal mAs (dot)"
)
COMMANDS = CODEC.rows
listener = CODEC.listener
