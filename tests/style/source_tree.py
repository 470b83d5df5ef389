# SPDX-License-Identifier: Apache-2.0
# The files of the project as the style checks see them, and C++ text without its comments and literals.

import os
import re
import subprocess
from dataclasses import dataclass

SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", ".cache", "corpus"}
CPP = (".cpp", ".h", ".c")
TEXT = CPP + (".py", ".sh", ".cmake", ".toml", ".json", ".yaml", ".yml", ".md", ".txt", ".ts", ".svelte", ".css", ".service")
EXTENSIONLESS = {"dev", "CMakeLists.txt", ".ci/run", ".clang-format", ".clang-tidy"}


@dataclass(frozen=True)
class Finding:
    path: str
    line: int  # from 1; 0 = the file as a whole
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class Tree:
    """Paths relative to the root, and their text. `files` gives the text of samples in place of the disk's."""

    def __init__(self, root=None, files=None):
        self.root = root
        self._texts = dict(files or {})
        self._codes = {}
        self.paths = sorted(self._texts) if files is not None else sorted(_project_files(root))

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def code(self, path):
        """The text with comments and literals blanked; offsets and lines are those of the text."""
        if path not in self._codes:
            self._codes[path] = blank_comments_and_literals(self.text(path))
        return self._codes[path]

    def cpp(self):
        return [path for path in self.paths if path.endswith(CPP)]

    def with_text(self):
        return [path for path in self.paths if path.endswith(TEXT) or path in EXTENSIONLESS or is_script(path)]


def is_script(path):
    return path in ("dev", ".ci/run") or path.endswith((".py", ".sh"))


def _project_files(root):
    """What git tracks or would track; without git, everything outside the folders that builds make."""
    try:
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, check=True).stdout.decode().split("\0")
        if any(listed):
            return {path for path in listed if path and os.path.isfile(os.path.join(root, path)) and not _skipped(path)}
    except (OSError, subprocess.CalledProcessError):
        pass
    found = set()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found.update(os.path.relpath(os.path.join(folder, name), root) for name in names)
    return found


def _skipped(path):
    return any(part in SKIPPED_FOLDERS for part in path.split("/")[:-1])


_LITERAL = re.compile(
    r"""//[^\n]*                                        # comment to the end of the line
      | /\*.*?\*/                                       # comment
      | (?:\bu8|\bu|\bU|\bL)?R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"   # raw string
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'             # character; the look-behind spares 1'000'000
      | "(?:\\.|[^"\\\n])*"                             # string
    """, re.VERBOSE | re.DOTALL)


def blank_comments_and_literals(text):
    def blank(match):
        found = match.group(0)
        if found.startswith('"') and _is_include(text, match.start()):
            return found
        kept = found[0] + "".join(c if c == "\n" else " " for c in found[1:-1]) + found[-1] if found[0] in "\"'" else None
        return kept if kept is not None else "".join(c if c == "\n" else " " for c in found)
    return _LITERAL.sub(blank, text)


def _is_include(text, position):
    line_start = text.rfind("\n", 0, position) + 1
    return text[line_start:position].strip().startswith("#")


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def search_all(tree, paths, pattern, message, of_code=True):
    """A finding for each match; `message` may use the match's groups."""
    for path in paths:
        text = tree.code(path) if of_code else tree.text(path)
        for match in re.finditer(pattern, text, re.MULTILINE):
            found = next((group for group in match.groups() if group), match.group(0))
            yield Finding(path, line_of(text, match.start() + len(match.group(0)) - len(match.group(0).lstrip())),
                          message.format(found=found.strip()))
