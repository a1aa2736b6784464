"""The command line of scripts that write one model after the other: FOLDER [model …]."""

import sys
from pathlib import Path


def write_chosen(models, make):
    """Calls `make(name, folder)` for the models named, or all; what one of them raises is told, and the next one made."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or models:
        try:
            make(name, folder)
            print(name, "written")
        except Exception as error:
            print(name, "failed:", str(error)[:2000])
