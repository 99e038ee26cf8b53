"""`dxrig sim show ...`: the curves and pictures of what is simulated."""
