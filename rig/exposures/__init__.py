"""Exposures that were made: listed, shown, verified, exported (`dxrig exposures`)."""
