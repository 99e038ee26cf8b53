"""Records of service routines (warm-up, calibration): JSON for programs, a page to be signed."""
