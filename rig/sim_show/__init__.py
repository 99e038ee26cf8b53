"""The words of `dxrig sim show`: a file a word. See README.md."""
