# SPDX-License-Identifier: Apache-2.0
# Finds the functions of C++, Python and shell text and their length in lines.

import ast
import re
from dataclasses import dataclass

from source_tree import CPP, line_of

CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern|concept)\b")
# What may stand between a parameter list and its body.
TAIL = re.compile(r"^\s*(?:(?:const|noexcept|override|final|mutable|try|&&?|requires\b.*|->.*|\[\[.*?\]\])\s*)*$", re.DOTALL)
LABELS = re.compile(r"^(?:\s*(?:public|private|protected)\s*:(?!:))+")
NAME = re.compile(r"([\w:~]+|operator\s*[^\s(]+(?:\s*\(\s*\))?)\s*\($")


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    lines: int


def functions(path, text, code):
    if path.endswith(CPP):
        return list(_cpp_functions(code))
    if path.endswith(".py"):
        return _python_functions(text)
    return list(_shell_functions(text))


def _cpp_functions(code):
    """Scans declarations at namespace and class level; each body is skipped as a whole, so lambdas count to their function."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.MULTILINE)
    position, begin, parens = 0, 0, 0
    while position < len(code):
        character = code[position]
        if character == "(":
            parens += 1
        elif character == ")":
            parens -= 1
        elif parens > 0:
            if character == "{":
                position = _matching(code, position)
        elif character in ";}":
            begin = position + 1
        elif character == "{":
            head = LABELS.sub("", code[begin:position])
            kind, name = _classify(head)
            if kind == "container":
                begin = position + 1
            else:
                end = _matching(code, position)
                if kind == "function":
                    first = line_of(code, position - len(head.lstrip()))
                    yield Function(name, first, line_of(code, end) - first + 1)
                    begin = end + 1
                position = end  # a braced initialiser: its declaration goes on
        position += 1


def _matching(code, opening):
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def _classify(head):
    opening = _parameter_list(head)
    if opening is None:
        is_value = re.search(r"=\s*$", head) or re.search(r"=[^=]", head.replace("==", ""))
        return ("container", "") if CONTAINER.search(head) and not is_value else ("value", "")
    start, end = opening
    tail = head[end + 1:]
    if re.match(r"^\s*(?:noexcept\s*)?:[^:]", tail):  # a constructor's member list: `a_(x), b_{y} {`
        if not tail.rstrip().endswith((")", "}")):
            return "value", ""
    elif not TAIL.match(tail):
        return ("container", "") if CONTAINER.search(head) else ("value", "")
    name = NAME.search(head[:start + 1])
    return "function", re.sub(r"\s+", "", name.group(1)) if name else "?"


def _parameter_list(head):
    """The first bracket pair that follows a name and is no attribute, requirement or specifier; None when there is none."""
    position = 0
    while True:
        start = head.find("(", position)
        if start < 0:
            return None
        depth, end = 0, start
        while end < len(head):
            depth += {"(": 1, ")": -1}.get(head[end], 0)
            if depth == 0:
                break
            end += 1
        word = re.search(r"([\w:~]+|operator\s*\S+)\s*$", head[:start])
        if word and word.group(1) not in ("requires", "alignas", "decltype", "explicit", "noexcept", "__attribute__", "operator"):
            if "=" not in re.sub(r"operator\s*\S+|[<>=!]=|<[^<>]*>", "", head[:start]):
                return start, end
        if word and word.group(1) == "operator" and head[end + 1:].lstrip().startswith("("):
            position = end + 1
            start = head.find("(", position)
            return (start, head.find(")", start)) if start >= 0 else None
        position = end + 1


def _python_functions(text):
    return [Function(node.name, node.lineno, node.end_lineno - node.lineno + 1)
            for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _shell_functions(text):
    for match in re.finditer(r"^(\w+)\(\) \{.*\n(?:.*\n)*?\}", text, re.MULTILINE):
        yield Function(match.group(1), line_of(text, match.start()), match.group(0).count("\n") + 1)
