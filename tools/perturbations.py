"""What can be perturbed in a source file: values up and down, rows and guards away, rows swapped.

mutmut changes what stands inside functions, an operator at a time. This is the rest: every
number, word and member of an enum outside of functions, every default, every entry of a table
or a set; and inside functions what a reviewer would call a guard: one operand of `and`/`or`, one
row of a list of checks, one entry of a dict, one early `return`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from tools.survivors import Change
from tools.trials import Trial

FAULT_COUNT = 5  # code, reaction, text, action, requirement
ENUM_BASES = ("Enum", "StrEnum", "IntEnum")
Members = dict[str, tuple[str, ...]]  # of each enum, by its name or its short name


class Text:
    """A source file that single nodes can be replaced in."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.source = file, source
        self.tree = ast.parse(source)
        self.function = ""  # the one that changes are inside of
        self._lines = source.encode().splitlines(keepends=True)

    def at(self, where: str, node: ast.expr | ast.stmt, becomes: str) -> Trial:
        """`becomes` stands for the node; a change is told by the node's own text."""
        start, end = self._offset(node.lineno, node.col_offset), self._end(node)
        encoded = self.source.encode()
        source = (encoded[:start] + becomes.encode() + encoded[end:]).decode()
        was = ast.unparse(node)
        change = Change(file=self.file, where=where, was=_short(was), becomes=_short(becomes))
        return Trial(change=change, source=source, function=self.function)

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        return sum(map(len, self._lines[: line - 1])) + column


def _short(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-190:]}"


def enum_members(tree: ast.Module) -> Members:
    """The enums that a file defines, and names like `S = State` that stand for one."""
    found: Members = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(base) in ENUM_BASES for base in node.bases
        ):
            names = [target.id for part in node.body for target in _targets(part)]
            found[node.name] = tuple(names)
    return found


def _targets(node: ast.stmt) -> Iterator[ast.Name]:
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = (node.target,)
    yield from (target for target in targets if isinstance(target, ast.Name))


def perturbations(text: Text, members: Members, *, guards: bool) -> Iterator[Trial]:
    """All of one file. `guards`: what stands inside functions, too."""
    named = members | _short_names(text.tree, members)
    for node in text.tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _of_class(text, node, named)
        elif isinstance(node, ast.FunctionDef):
            yield from _of_function(text, node.name, node, named, guards=guards)
        else:
            for where, value, _ in _values(node):
                yield from _of_value(text, where, value, named)


def _short_names(tree: ast.Module, members: Members) -> Members:
    return {
        target.id: members[node.value.id]
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Name)
        and node.value.id in members
        for target in _targets(node)
    }


def _values(node: ast.stmt) -> Iterator[tuple[str, ast.expr, str]]:
    """Name, value and annotation of an assignment."""
    value = getattr(node, "value", None)
    annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
    if value is not None:
        yield from ((target.id, value, annotation) for target in _targets(node))


def _of_class(text: Text, node: ast.ClassDef, members: Members) -> Iterator[Trial]:
    if node.name in members:
        return  # the values of an enum are the words of trace and journal
    for part in node.body:
        for name, value, annotation in _values(part):
            where = f"{node.name}.{name}"
            if isinstance(value, ast.Constant) and value.value is None:
                yield text.at(where, value, "'x'" if "str" in annotation else "0")
            else:
                yield from _of_value(text, where, value, members)
        if isinstance(part, ast.FunctionDef):
            yield from _of_function(text, f"{node.name}.{part.name}", part, members, guards=False)


def _of_function(
    text: Text, where: str, node: ast.FunctionDef, members: Members, *, guards: bool
) -> Iterator[Trial]:
    defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
    for default in defaults:
        yield from _of_value(text, where, default, members)
    text.function = where
    for part in _code(node) if guards else ():
        yield from _guards(text, where, part)
    text.function = ""


def _code(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node but annotations, and of rows in rows the outermost."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop(0)
        yield node
        notes = (node.annotation,) if isinstance(node, ast.AnnAssign) else ()
        children = [child for child in ast.iter_child_nodes(node) if child not in notes]
        waiting += _flat(node, children)


def _flat(node: ast.AST, children: Sequence[ast.AST]) -> list[ast.AST]:
    """A row of a table is dropped as a whole: half a row is an error that any test sees."""
    if not isinstance(node, ast.Tuple | ast.List):
        return list(children)
    rows = [child for child in children if isinstance(child, ast.Tuple)]
    inner = [part for row in rows for part in _parts(row)]
    return [child for child in children if child not in rows] + inner


def _parts(row: ast.Tuple) -> list[ast.expr]:
    """Of a fault the code and the reaction; the words are for people (test_fault_words)."""
    return row.elts[:2] if len(row.elts) == FAULT_COUNT else row.elts


# --- values ----------------------------------------------------------------------------------


def _of_value(text: Text, where: str, value: ast.expr, members: Members) -> Iterator[Trial]:
    """Each constant in the value, and each entry of each container in it."""
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop(0)
        waiting += _flat(node, list(ast.iter_child_nodes(node)))
        if isinstance(node, ast.Constant):
            yield from (text.at(where, node, repr(other)) for other in others(node.value))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from _other_member(text, where, node, members.get(node.value.id, ()))
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            yield from _entries(text, where, node)


def others(value: object) -> tuple[object, ...]:
    """Numbers a tenth up and down (whole ones at least 1), a flag turned, a word changed."""
    match value:
        case bool():
            return (not value,)
        case int():
            step = max(1, abs(value) // 10)
            return (value + step, value - step)
        case float():
            step_part = abs(value) / 10 or 1.0
            return (value + step_part, value - step_part)
        case str() if " " not in value:  # one with a space is for people
            return (f"{value}X",)
    return ()


def _other_member(
    text: Text, where: str, node: ast.Attribute, members: Sequence[str]
) -> Iterator[Trial]:
    if node.attr in members:
        other = members[(members.index(node.attr) + 1) % len(members)]
        yield text.at(where, node, f"{ast.unparse(node.value)}.{other}")


# --- rows and guards -------------------------------------------------------------------------


def _entries(
    text: Text, where: str, node: ast.Tuple | ast.List | ast.Set | ast.Dict
) -> Iterator[Trial]:
    """The container without one entry, each in turn. The change is told by the entry."""
    told_all = _told(node)
    if isinstance(node, ast.Tuple) and all(
        isinstance(entry, ast.Call | ast.Starred) for entry in node.elts
    ):
        return  # objects: `table_rows` drops those of the table, as it is when it was made
    for i, told in enumerate(told_all):
        fewer = _without(node, i)
        whole = text.at(where, node, f"({fewer})" if isinstance(node, ast.Tuple) else fewer)
        change = Change(file=text.file, where=where, was=_short(told), becomes="")
        yield Trial(change=change, source=whole.source, function=whole.function)


def _told(node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> list[str]:
    if not isinstance(node, ast.Dict):
        return [ast.unparse(entry) for entry in node.elts]
    keys = ["**" if key is None else f"{ast.unparse(key)}: " for key in node.keys]
    return [key + ast.unparse(value) for key, value in zip(keys, node.values, strict=True)]


def _without(node: ast.Tuple | ast.List | ast.Set | ast.Dict, i: int) -> str:
    told = _told(node)
    kept = [entry for k, entry in enumerate(told) if k != i]
    match node:
        case ast.Tuple():
            return "".join(f"{entry}, " for entry in kept)
        case ast.List():
            return f"[{', '.join(kept)}]"
        case ast.Set():
            return f"{{{', '.join(kept)}}}" if kept else "set()"
    return f"{{{', '.join(kept)}}}"


def _guards(text: Text, where: str, node: ast.AST) -> Iterator[Trial]:
    match node:
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) else " or "
            for i in (i for i, value in enumerate(values) if not _is_about_none(value)):
                kept = [f"({ast.unparse(value)})" for k, value in enumerate(values) if k != i]
                yield text.at(where, node, f"({word.join(kept)})")
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Dict() | ast.Set():
            yield from _entries(text, where, node)
        case ast.If(orelse=[], body=[ast.Return() | ast.Continue()]):
            yield text.at(where, node, "pass")
        case ast.If(orelse=[], body=[ast.Expr() | ast.AugAssign() | ast.Assign()]):
            yield text.at(where, node, "pass")


def _is_about_none(node: ast.expr) -> bool:
    """Without such a check the types no longer fit: mypy holds it, and mutmut turns it round."""
    return isinstance(node, ast.Compare) and "None" in map(ast.unparse, node.comparators)


def table_rows(text: Text, name: str, rows: Sequence[tuple[str, str]]) -> Iterator[Trial]:
    """A table of rows without each in turn, and with it and the next one of its source swapped.

    `rows`: what a row says, and its group; the order between two groups means nothing.
    """
    for i, (told, group) in enumerate(rows):
        yield _reordered(text, name, f"row {told}", "", [k for k in range(len(rows)) if k != i])
        following = [k for k in range(i + 1, len(rows)) if rows[k][1] == group][:1]
        for k in following:
            order = list(range(len(rows)))
            order[i], order[k] = k, i
            yield _reordered(text, name, f"row {told}", f"after {rows[k][0]}", order)


def _reordered(text: Text, name: str, was: str, becomes: str, order: list[int]) -> Trial:
    node = next(n for n in text.tree.body for target in _targets(n) if target.id == name)
    value = next(value for _, value, _ in _values(node))
    changed = f"tuple(({ast.unparse(value)})[k] for k in {order})"
    change = Change(file=text.file, where=name, was=was, becomes=becomes)
    return Trial(change=change, source=text.at(name, value, changed).source)
