"""Imports every module of an unpacked Lambda package, under an interpreter that has nothing else.

Run as ``python -I -S zip_modules.py FOLDER RESULT_FILE``. What is printed is the modules' own; results go to
the file: the modules, and of those that cannot be imported what they miss.
"""

import importlib
import json
import re
import sys
from pathlib import Path

__all__ = ["main"]

_SUFFIXES = {".py", ".pyc", ".so"}


def main(folder: Path, result_file: Path) -> None:
    """Import what is there, and write down what came of it."""
    sys.path.insert(0, str(folder))
    names = sorted(
        {
            ".".join((*path.parent.parts, path.name.partition(".")[0])).removesuffix(".__init__")
            for path in (found.relative_to(folder) for found in folder.rglob("*"))
            if path.suffix in _SUFFIXES and path.parent.name != "__pycache__"
        }
    )
    missing: dict[str, str] = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            said = re.match(r"(?:No module named|cannot import name) '([\w.]+)'", str(error))
            missing[name] = repr(error) if said is None else said[1]
    result_file.write_text(json.dumps({"modules": names, "missing": missing}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
