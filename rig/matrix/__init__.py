"""The fault matrix: every injection in every state of the unit, judged (`dxrig matrix`)."""
