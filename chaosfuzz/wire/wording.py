"""Find in a parse tree the words that a statement's key consists of."""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

# A node of libpg_query's JSON. No other module reads its shape.
Node: TypeAlias = Any

_WORD_LITERAL = re.compile(r"[A-Za-z_][A-Za-z_ \-]{0,23}")
_WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_RELATION_FIELDS = ("relation", "relations", "fromClause", "into", "rel")
# PostgreSQL's own functions that change no rows; any other function may.
_OWN_PREFIXES = ("pg_", "current_", "json", "to_", "array_", "string_", "regexp_", "xml", "txid_")
_OWN_FUNCTIONS = frozenset(
    {
        *("now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timezone"),
        *("version", "set_config", "unnest", "generate_series", "format", "lower", "upper"),
        *("length", "concat", "random", "gen_random_uuid", "inet_server_addr", "inet_client_addr"),
        *("has_schema_privilege", "has_table_privilege", "quote_ident", "quote_literal", "md5"),
        *("max", "min", "sum", "count", "date_part", "extract", "date_trunc", "lastval"),
    }
)
_WITHOUT_LITERALS = frozenset({"typeName", "funcname", "names"})


def is_telling(literal: str) -> bool:
    """Say whether a literal is a short word, not an id, a number or data."""
    return _WORD_LITERAL.fullmatch(literal) is not None


def main_relation(body: Node) -> str:
    """Return the relation that is written to, else the first one read, else the function called.

    Some queues claim tasks by a function of their own, so a function counts as well.
    """
    for field in _RELATION_FIELDS:
        for name in _relation_names(body.get(field)):
            return name
    for field in ("fromClause", "targetList"):
        for name in _called(body.get(field)):
            return name
    return str(body.get("conditionname") or body.get("name") or body.get("portalname") or "")


def assignments(body: Node) -> list[str]:
    """Return what an UPDATE sets to telling literals, as `status='running'`."""
    found = []
    for target in body.get("targetList", ()):
        column = target.get("ResTarget", {})
        words = literals(column.get("val"))
        if words and "name" in column:
            found.append(f"{column['name']}={'|'.join(words)}")
        else:
            found += comparisons(column.get("val"))
    return found


def comparisons(node: Node) -> list[str]:
    """Return the telling literals of a clause, with the column they are compared to if any."""
    if isinstance(node, list):
        return [word for part in node for word in comparisons(part)]
    if not isinstance(node, dict):
        return []
    if "A_Expr" in node:
        expression = node["A_Expr"]
        column = _column(expression.get("lexpr"))
        words = literals(expression.get("rexpr"))
        if column and words:
            return [f"{column}={'|'.join(words)}"]
    if "ResTarget" in node and "name" in node["ResTarget"]:
        return assignments({"targetList": [node]})
    if "A_Const" in node:
        return literals(node)
    return [
        word
        for field, part in node.items()
        if field not in _WITHOUT_LITERALS
        for word in comparisons(part)
    ]


def literals(node: Node) -> list[str]:
    """Return the telling string literals of an expression, quoted, in order, once each.

    Literals of a subquery are left out.
    """
    return list(dict.fromkeys(f"'{word}'" for word in _strings(node) if is_telling(word)))


def writes(node: Node) -> bool:
    """Say whether a statement changes rows, also in a WITH clause or by COPY."""
    if isinstance(node, list):
        return any(map(writes, node))
    if not isinstance(node, dict):
        return False
    if node.get("CopyStmt", {}).get("is_from"):
        return True
    return any(field in _WRITES or writes(part) for field, part in node.items())


def calls(body: Node) -> bool:
    """Say whether a statement reads from no table and calls a function that may change rows.

    Some queues claim and acknowledge tasks by such functions.
    """
    if any(True for field in _RELATION_FIELDS for _ in _relation_names(body.get(field))):
        return False
    names = [name for field in ("fromClause", "targetList") for name in _called(body.get(field))]
    return any(not _is_own(name) for name in names)


def _is_own(function: str) -> bool:
    return function in _OWN_FUNCTIONS or function.startswith(_OWN_PREFIXES)


def _strings(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _strings(part)
    elif isinstance(node, dict):
        if "A_Const" in node:
            yield node["A_Const"].get("sval", {}).get("sval", "")
            return
        for field, part in node.items():
            if field != "SubLink" and field not in _WITHOUT_LITERALS:
                yield from _strings(part)


def _relation_names(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _relation_names(part)
    elif isinstance(node, dict):
        if "relname" in node:
            yield str(node["relname"])
            return
        for part in node.values():
            yield from _relation_names(part)


def _called(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _called(part)
    elif isinstance(node, dict):
        if "FuncCall" in node:
            yield str(node["FuncCall"]["funcname"][-1]["String"]["sval"])
        for part in node.values():
            yield from _called(part)


def _column(node: Node) -> str:
    fields = (node or {}).get("ColumnRef", {}).get("fields", ())
    return str(fields[-1].get("String", {}).get("sval", "")) if fields else ""
