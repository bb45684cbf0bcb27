"""Conditions over signals: a small, safe form of expression.

``amount.ratio >= 5 and not (payment.new_card or hour.z < 2)``: names of signals, numbers, comparisons,
``and or not``, ``+ - *``, and ``known(signal)``. Read by Python's own parser, then every node is
checked against this list, so nothing else can be said; no loop, no division, no call can be written.
A comparison with a signal that could not be measured is false.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

MAX_LENGTH = 500

Condition = Callable[[list[float]], object]

_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


class InvalidCondition(ValueError):
    """The text is not a condition; the message says what is wrong with it."""


def compile_condition(text: str, index: Mapping[str, int]) -> Condition:
    """A function from a vector of signals to truth. ``index``: place of each signal in it."""
    if len(text) > MAX_LENGTH:
        raise InvalidCondition(f"longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidCondition(f"not an expression: {getattr(error, 'msg', error)}") from None
    body = _rewritten(tree.body, index)
    if not isinstance(body, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Subscript):
        raise InvalidCondition("a condition compares something, e.g. amount.ratio >= 5")
    arguments = ast.arguments([], [ast.arg("s")], None, [], [], None, [])
    function = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    made: Condition = eval(compile(function, "<condition>", "eval"), {"__builtins__": {}})
    return made


def _rewritten(node: ast.expr, index: Mapping[str, int]) -> ast.expr:
    """The same expression over the vector ``s``; refuses every node that is not on the list."""
    match node:
        case ast.BoolOp(op, values):
            # `s and ...` would take NaN for true: a bare signal in a condition means "above 0"
            return ast.BoolOp(op, [_truth(v, index) for v in values])
        case ast.UnaryOp(ast.Not() as op, value):
            return ast.UnaryOp(op, _truth(value, index))
        case ast.UnaryOp(ast.USub() as op, value):
            return ast.UnaryOp(op, _rewritten(value, index))
        case ast.BinOp(left, (ast.Add() | ast.Sub() | ast.Mult()) as op, right):
            return ast.BinOp(_rewritten(left, index), op, _rewritten(right, index))
        case ast.Compare(left, ops, comparators) if all(isinstance(o, _COMPARISONS) for o in ops):
            if any(isinstance(o, ast.NotEq) for o in ops):
                raise InvalidCondition("use < and > instead of !=, which a missing signal passes")
            return ast.Compare(
                _rewritten(left, index), ops, [_rewritten(c, index) for c in comparators]
            )
        case ast.Constant(int() | float() as value) if abs(value) < 1e15:
            return ast.Constant(float(value))
        case ast.Call(ast.Name("known"), [argument], []):
            signal = _rewritten(argument, index)
            if isinstance(signal, ast.Subscript):
                return ast.Compare(signal, [ast.Eq()], [signal])
        case ast.Name() | ast.Attribute():
            name = ast.unparse(node)
            if name not in index:
                raise InvalidCondition(f"no signal {name!r}")
            return ast.Subscript(ast.Name("s", ast.Load()), ast.Constant(index[name]), ast.Load())
    raise InvalidCondition(f"{ast.unparse(node)!r} is not allowed in a condition")


def _truth(node: ast.expr, index: Mapping[str, int]) -> ast.expr:
    made = _rewritten(node, index)
    if isinstance(made, ast.Compare | ast.BoolOp) or (
        isinstance(made, ast.UnaryOp) and isinstance(made.op, ast.Not)
    ):
        return made
    return ast.Compare(made, [ast.Gt()], [ast.Constant(0.0)])
