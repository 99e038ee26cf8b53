"""How fast dxrig is, each figure beside its floor. See README.md."""
