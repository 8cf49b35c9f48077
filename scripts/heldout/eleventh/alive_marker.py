"""What a proof leaves behind."""
import pathlib


def mark():
    pathlib.Path("marker").touch()
