"""`dxrig check search`: every state that the real `step` reaches in a small world, judged.

What it covers and what it does not: `explore.py`.
"""
