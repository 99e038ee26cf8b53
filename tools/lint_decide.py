"""What the design forbids in firmware_py/decide, found in its syntax: python -m tools.lint_decide

The decision is pure: the same memory and inputs give the same outputs, now and in a replay.
So nothing in there reads a clock, keeps a state of its own, or is undecided about a float.
Each rule is a function from a file's tree to findings; an exception stands in a table below,
with its reason. Exit codes: 0 nothing found, 1 something, 2 usage.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECIDE = "firmware_py/decide"

IMPORTS = (
    "__future__", "collections", "collections.abc", "dataclasses", "enum", "typing",
    "hal.faults", "hal.now", "hal.types", "firmware_py.decide",
)  # fmt: skip
ONLY_IN = {"transitions": "states.py"}  # the one library, behind the table
NAMES = frozenset((
    "Desk", "open", "print", "input", "eval", "exec", "compile", "__import__", "breakpoint",
    "globals", "locals", "vars", "setattr", "delattr", "__setattr__", "__dict__",
    "id", "hash",  # differ from run to run
))  # fmt: skip
DECORATORS = ("dataclass", "property")
NOT_FROZEN = ("view.py:View",)  # lives for one scan, and takes the reason of the move
STATE = ("states.py:_machine", "states.py:_sequence")  # the machine, which holds nothing
STORES = ("states.py:_sequence.state", "states.py:view.why", "states.py:named.__name__")
CONSTANT_CALLS = ("frozenset", "tuple", "Row")
CHANGING = frozenset((
    "append", "add", "extend", "insert", "update", "setdefault", "pop", "popitem", "remove",
    "discard", "clear", "sort", "reverse",
))  # fmt: skip
FLOATS = ("_ms", "_s", "kv", "ma", "mas", "_j", "_w", "_pct", "_v", "_c")
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
Rule = Callable[[str, ast.Module, list[str]], Iterator[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Finding:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def findings(name: str, source: str, path: str | None = None) -> list[Finding]:
    """All that is forbidden in one file of decide; `name` is the bare name of the file."""
    tree, lines = ast.parse(source), source.splitlines()
    found = {(line, text) for rule in RULES for line, text in rule(name, tree, lines)}
    return [Finding(path or name, line, text) for line, text in sorted(found)]


# --- imports and names -----------------------------------------------------------------------


def imports(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = _from(node)
        else:
            continue
        if node not in tree.body:
            yield node.lineno, "imports stand at the top: a hidden one is not seen by a reader"
        for module in modules:
            if not _is_allowed(module, name):
                yield node.lineno, f"imports {module}; allowed are {', '.join(IMPORTS)}"


def _from(node: ast.ImportFrom) -> list[str]:
    """`from hal import now` is an import of hal.now; one with dots or a star is none of these."""
    module = "." * node.level + (node.module or "")
    if node.level or any(alias.name == "*" for alias in node.names):
        return [f"{module}.*"] if node.module else [f"{module}*"]
    if module == "hal":
        return [f"hal.{alias.name}" for alias in node.names]
    return [module]


def _is_allowed(module: str, name: str) -> bool:
    if module in ONLY_IN:
        return ONLY_IN[module] == name
    own = module.startswith("firmware_py.decide.") and not module.endswith("*")
    return own or module in IMPORTS


def names(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=used) | ast.Attribute(attr=used) if used in NAMES:
                yield node.lineno, f"uses {used}"


# --- state of its own ------------------------------------------------------------------------


def statements(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    said: tuple[tuple[tuple[type[ast.stmt], ...], str], ...] = (
        ((ast.Global, ast.Nonlocal), "keeps a state outside Memory (global, nonlocal)"),
        ((ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith), "is asynchronous"),
        ((ast.While,), "has a while loop: a scan must end; iterate over what there is"),
    )
    for node in ast.walk(tree):
        for kinds, text in said:
            if isinstance(node, ast.stmt) and isinstance(node, kinds):
                yield node.lineno, text


def module_state(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    """A table is a tuple, a frozenset, or a dict with a name in capitals that nobody changes."""
    for node in tree.body:
        for target, value in _assigned(node):
            if f"{name}:{target}" not in STATE and not _is_constant(target, value):
                yield node.lineno, f"{target} is a state of the module: only Memory remembers"


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((ast.unparse(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
        yield ast.unparse(node.target), node.value


def _is_constant(target: str, value: ast.expr) -> bool:
    match value:
        case ast.Dict():
            return target.isupper()
        case ast.Call(func=called):
            return ast.unparse(called) in CONSTANT_CALLS
        case ast.List() | ast.Set() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            return False
        case ast.GeneratorExp():
            return False  # it remembers how far it was read
    return True


def stores(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    """Nobody writes into what somebody else holds, nor into a table of a module."""
    tables = {target for node in tree.body for target, _ in _assigned(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                if f"{name}:{ast.unparse(node)}" not in STORES:
                    yield node.lineno, f"writes to {ast.unparse(node)}: make a new value"
            case ast.Subscript(value=ast.Name(id=table), ctx=ast.Store() | ast.Del()):
                if table in tables or table.isupper():
                    yield node.lineno, f"changes the table {table}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr=method)):
                if (table in tables or table.isupper()) and method in CHANGING:
                    yield node.lineno, f"changes the table {table}"


# --- classes, errors, comparisons ------------------------------------------------------------


def decorators(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            bare = decorator.func if isinstance(decorator, ast.Call) else decorator
            what = ast.unparse(bare)
            if what not in DECORATORS:
                yield node.lineno, f"@{what}: only {', '.join(DECORATORS)} are plain"
            elif what == "dataclass" and not _is_frozen(f"{name}:{node.name}", decorator):
                yield node.lineno, f"the dataclass {node.name} is not frozen"


def _is_frozen(what: str, decorator: ast.expr) -> bool:
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    return what in NOT_FROZEN or any(
        word.arg == "frozen" and ast.unparse(word.value) == "True" for word in keywords
    )


def broad_excepts(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.walk(node.type) if node.type else ()
        named = [part.id for part in caught if isinstance(part, ast.Name)]
        if not named or {"Exception", "BaseException"}.intersection(named):
            yield node.lineno, "catches everything: a bug must stop the runner (SR-44)"


def float_equality(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = pairwise([node.left, *node.comparators])
            for operator, pair in zip(node.ops, operands, strict=True):
                if isinstance(operator, ast.Eq | ast.NotEq) and any(map(_is_float, pair)):
                    yield node.lineno, "compares floats for equality"


def _is_float(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=float()):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in FLOATS or name.endswith(tuple(f"_{f.lstrip('_')}" for f in FLOATS))
        case ast.BinOp(op=ast.Div()):
            return True
        case ast.BinOp(left=left, right=right):
            return _is_float(left) or _is_float(right)
    return False


def times(name: str, tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for line in compared_times(tree, lines):
        yield line, "orders a time by hand: ask now.reached(deadline_us), or say why"


def compared_times(tree: ast.Module, lines: Sequence[str]) -> list[int]:
    """Numbers of the lines that order a time without a `# us-compare: REASON`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(_is_time(operand) for operand in _ordered(node))
        and not any("# us-compare: " in line for line in lines[node.lineno - 1 : node.end_lineno])
    ]


def _ordered(node: ast.Compare) -> Iterator[ast.expr]:
    operands = pairwise([node.left, *node.comparators])
    for operator, pair in zip(node.ops, operands, strict=True):
        if isinstance(operator, ORDER):
            yield from pair


def _is_time(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.endswith("_us")
        case ast.Call(func=called):
            return _is_time(called)
        case ast.BinOp(left=left, right=right):
            return _is_time(left) or _is_time(right)
        case ast.UnaryOp(operand=inner) | ast.Subscript(value=inner):
            return _is_time(inner)
    return False


RULES: tuple[Rule, ...] = (
    imports, names, statements, module_state, stores, decorators, broad_excepts, float_equality,
    times,
)  # fmt: skip


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    if arguments:
        print(f"lint_decide takes no arguments, got {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    files = sorted((root / DECIDE).glob("**/*.py"))
    found = [
        finding
        for path in files
        for finding in findings(
            path.name, path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        )
    ]
    for finding in found:
        print(finding)
    print(f"lint_decide: {len(files)} files, {len(found)} findings", file=sys.stderr)
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
