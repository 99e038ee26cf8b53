from rig.cli import main

main(prog_name="dxrig")
