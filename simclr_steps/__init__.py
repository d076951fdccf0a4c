"""The steps of simclr-workflow: ordinary commands that read files and write files."""

__version__ = "0.1.0"
