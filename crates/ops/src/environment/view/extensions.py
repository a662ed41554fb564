#!/usr/bin/env python3
"""Writes extensions.txt: which packages of Spack's builtin repository extend others, and which of those that extend Python
come from its PythonExtension class. Recipes are read as text, not run.

    python3 extensions.py .../repos/spack_repo/builtin > extensions.txt
"""
import ast
import pathlib
import sys

builtin = pathlib.Path(sys.argv[1])


def text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def base_names(cls):
    return [b.id if isinstance(b, ast.Name) else getattr(b, "attr", "") for b in cls.bases]


def extends(body, when=()):
    """(what, conditions) of every `extends` in a class body, `with when(...)` blocks included."""
    for statement in body:
        if isinstance(statement, ast.With):
            more = [text(i.context_expr.args[0]) for i in statement.items
                    if isinstance(i.context_expr, ast.Call) and getattr(i.context_expr.func, "id", "") == "when"
                    and i.context_expr.args]
            yield from extends(statement.body, when + tuple(m for m in more if m))
        elif isinstance(statement, (ast.For, ast.If)):
            yield from extends(statement.body, when)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = statement.value
            if getattr(call.func, "id", "") == "extends" and call.args:
                own = [text(k.value) for k in call.keywords if k.arg == "when"]
                yield text(call.args[0]), when + tuple(o for o in own if o)


classes = {}  # class name -> (bases, extends)
for path in sorted((builtin / "build_systems").glob("*.py")):
    for cls in [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]:
        classes[cls.name] = (base_names(cls), list(extends(cls.body)))


def lineage(bases, seen=()):
    for base in bases:
        if base in classes and base not in seen:
            yield base
            yield from lineage(classes[base][0], (*seen, base))


rows = {}
for path in sorted((builtin / "packages").glob("*/package.py")):
    name = path.parent.name
    name = (name[1:] if name.startswith("_") else name).replace("_", "-")
    trees = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
    if not trees:
        continue
    # The class whose name is the package's is the last one that is no builder.
    main = [c for c in trees if not c.name.endswith("Builder")] or trees
    cls = main[-1]
    above = list(lineage(base_names(cls)))
    found = list(extends(cls.body))
    for base in above:
        found += classes[base][1]
    is_python = "PythonExtension" in above
    for what, when in dict.fromkeys(found):
        if what:
            rows.setdefault((what, " ".join(dict.fromkeys(when)), is_python), []).append(name)

print("# Packages of Spack's builtin repository (July 2026) that extend others: what, in which case, and whether by the class")
print("# PythonExtension. Those that extend python by build_system=python_pip, and those named `r-` that extend r, are left out.")
print("# Made by `extensions.py`.")
for (what, when, is_python), names in sorted(rows.items()):
    if (what, when, is_python) == ("python", "build_system=python_pip", True):
        continue
    if (what, when) == ("r", ""):
        names = [n for n in names if not n.startswith("r-")]
    if not names:
        continue
    print(f"{'python-extension' if is_python else 'extension'} {what} | {when} |")
    line = ""
    for name in sorted(set(names)):
        if len(line) + len(name) > 110:
            print("    " + line.strip())
            line = ""
        line += " " + name
    print("    " + line.strip())
