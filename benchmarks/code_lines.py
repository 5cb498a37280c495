"""Lines of code of each package: `python -m benchmarks.code_lines [FOLDER]`.

A line counts if it holds a token of code. Blank lines, comments and docstrings (of attributes too) do not count;
templates, CSS and JavaScript are counted apart, without their blank lines.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

PRODUCT = ("coretx", "jaxtx", "torchtx")
BESIDE = ("tests", "parity_tests", "benchmarks")
PAGES = (".html", ".css", ".js")
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Return how many lines of a Python source hold a token of code.

    >>> code_lines('x = 1  # one' + chr(10) * 2 + '# two' + chr(10) + 'y = 2')
    2
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for part in tokens if part.type not in LAYOUT for line in range(part.start[0], part.end[0] + 1)}
    texts = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    docstrings = (node for node in texts if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str))
    return len(lines - {line for node in docstrings for line in range(node.lineno, (node.end_lineno or 0) + 1)})


def main(folder: Path) -> None:
    """Print the lines of each package, and those of all that is shipped."""
    found = {
        name: sum(code_lines(file.read_text()) for file in (folder / name).rglob("*.py")) for name in PRODUCT + BESIDE
    }
    for name, lines in found.items():
        print(f"{name:14}{lines:7,}")
    pages = [file for file in (folder / "coretx").rglob("*") if file.suffix in PAGES]
    print(f"{'templates':14}{sum(bool(line.strip()) for file in pages for line in file.read_text().splitlines()):7,}")
    print(f"{'product':14}{sum(found[name] for name in PRODUCT):7,}  ({', '.join(PRODUCT)})")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]))
