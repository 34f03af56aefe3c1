"""Small faults that can be made in a source file, and the seeded draw of some of them.

A fault replaces one node of the syntax tree: a comparison is moved or turned, `and` becomes `or`, a
`not` is dropped, a number moves (integers by one, other numbers by 5 %), `+` becomes `-` and `*`
becomes `//`, `min` becomes `max`, True becomes False (arguments and defaults among them), a
condition is forced false, a returned value becomes None, or a call whose result is not used is left
out. Annotations, `if TYPE_CHECKING`, `__all__` and decorators of classes stay as they are.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
}
EXTREMES = {"min": "max", "max": "min"}
#: How far numbers that are not whole move, as a share of themselves.
MOVE = 0.05


@dataclass(frozen=True)
class Fault:
    """One fault: where it is, what it is, and the nodes of the file's tree that it concerns.

    `lines` are those of the statement around it (of the whole function for a default): the tests
    that run one of them are the first to see the fault.
    """

    path: str
    line: int
    what: str
    source: str
    lines: range
    tree: ast.Module
    old: ast.AST
    new: ast.AST

    def text(self) -> str:
        """The whole file with the fault in it, without its comments."""
        _Swap(self.old, self.new).visit(self.tree)
        try:
            return ast.unparse(ast.fix_missing_locations(self.tree)) + "\n"
        finally:
            _Swap(self.new, self.old).visit(self.tree)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}: {self.source}"


def faults_of(path: str, text: str) -> list[Fault]:
    """All faults that can be made in a file, in the order of its tree."""
    tree = ast.parse(text)
    lines = text.splitlines()
    return [
        Fault(path, line, what, lines[line - 1].strip(), span, tree, old, new)
        for old, span in _nodes(tree, range(0))
        for what, new in _variants(old)
        for line in (getattr(old, "lineno", span.start),)
    ]


def draw(faults: Sequence[Fault], count: int, seed: int) -> list[Fault]:
    """At most `count` of the faults; the same ones for the same seed and files."""
    return random.Random(seed).sample(list(faults), min(count, len(faults)))


class _Swap(ast.NodeTransformer):
    """Puts one node into the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        found: ast.AST = self._new if node is self._old else self.generic_visit(node)
        return found


def _nodes(node: ast.AST, span: range) -> Iterator[tuple[ast.AST, range]]:
    """The nodes in which faults are made, each with the lines of the statement around it."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_left_alone(node, name, child):
                inner = _span(child) if isinstance(child, ast.stmt) else span
                yield child, inner
                yield from _nodes(child, inner)


def _is_left_alone(parent: ast.AST, name: str, child: ast.AST) -> bool:
    if name in ("annotation", "returns"):
        return True
    if name == "decorator_list" and isinstance(parent, ast.ClassDef):
        return True
    if isinstance(child, ast.If):
        return "TYPE_CHECKING" in ast.dump(child.test)
    if isinstance(child, ast.Assign):
        return any(isinstance(goal, ast.Name) and goal.id == "__all__" for goal in child.targets)
    # `while True` and `if False` are conditions to be forced, not constants to be turned
    return name == "test" and isinstance(child, ast.Constant)


def _span(statement: ast.stmt) -> range:
    """All lines of a simple statement or a function; of others those before the first inside."""
    body: list[ast.stmt] = getattr(statement, "body", [])
    is_function = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    if body and not is_function:
        return range(statement.lineno, max(body[0].lineno, statement.lineno + 1))
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def _variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What can be wrong at a node, and the node that is put into its place."""
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield "condition forced false", _with(node, test=ast.Constant(False))
        case ast.Return(value=ast.expr() as result) if not _is_none(result):
            yield "returns None", _with(node, value=None)
        case ast.Expr(value=ast.Call()):
            yield "call left out", ast.Pass()
        case ast.expr():
            yield from _variants_of_expression(node)


def _variants_of_expression(node: ast.expr) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = COMPARISONS[type(operator)]
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield f"{_name(operator)} -> {other.__name__}", _with(node, ops=ops)
        case ast.BoolOp():
            turned = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield f"{_name(node.op)} -> {_name(turned)}".lower(), _with(node, op=turned)
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC and not _joins_text(node):
            operation = ARITHMETIC[type(node.op)]
            what = f"{_name(node.op)} -> {operation.__name__}"
            yield what, _with(node, op=operation())
        case ast.Constant(value=bool() | int() | float() as value):
            moved = _moved(value)
            yield f"{value} -> {moved}", _with(node, value=moved)
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            yield f"{name} -> {EXTREMES[name]}", _with(node, func=ast.Name(EXTREMES[name]))


def _moved(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return float(f"{value * (1 + MOVE) or MOVE:.6g}")


def _joins_text(node: ast.BinOp) -> bool:
    """Whether a side is text, which has no difference: such a fault is no small one."""
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in (node.left, node.right)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(operator: ast.AST) -> str:
    return type(operator).__name__


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    """A copy of the node with other fields; the nodes below stay the same objects."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
