"""Records what Spack's views of the 19-package store look like.

    spack python make.py DIRECTORY OUTPUT [CASE…]

Makes an environment for every case in a directory below DIRECTORY whose path is 80 bytes long, lets Spack make its views, and
writes OUTPUT/CASE.jsonl: a line about the case, and a line for everything in the view, by path. `mode` is octal; `target` is that
of a symbolic link; `of` is the file that a hard link is another name of; `sha256` begins the digest of any other file. In all
that, the install tree is written as $STORE and the directory of the view's files as $TREE, in the content of files before
their digest is taken, too.
"""
import hashlib
import json
import os
import stat
import sys

import spack
import spack.environment as ev
import spack.store
from spack.spec import Spec

LENGTH = 80
PROJECTIONS = (
    "{'^openssl': 'with-{^openssl.version}/{name}', zlib: 'z/{name}-{version}',"
    " all: '{name}/{version}-{hash:7}'}"
)
ALL = ["python", "vim", "curl", "libxml2", "zstd"]
CASES = {
    "symlink": (ALL, "{default: {root: view}}"),
    "hardlink": (ALL, "{default: {root: view, link_type: hardlink}}"),
    "copy": (ALL, "{default: {root: view, link_type: copy}}"),
    "projections": (ALL, "{default: {root: view, projections: %s}}" % PROJECTIONS),
    "copied-projections": (
        ["vim", "curl"],
        "{default: {root: view, link_type: copy, projections: {all: '{name}'}}}",
    ),
    "select": (ALL, "{default: {root: view, select: ['^zlib', xz], exclude: [vim, 'python@3']}}"),
    "roots": (["vim", "python"], "{default: {root: deep/view, link: roots}}"),
    "run": (["vim", "python"], "{default: {root: view, link: run}}"),
    "path": (["curl"], "view"),
}
store = spack.store.STORE.root


def path_of_length(below, case):
    path = os.path.join(below, case)
    return path + "-" * (LENGTH - len(path))


def lines(root):
    tree = os.path.realpath(root)
    inodes = {}
    for directory, directories, files in os.walk(store):
        for name in directories + files:
            found = os.lstat(os.path.join(directory, name))
            inodes.setdefault((found.st_dev, found.st_ino), os.path.join(directory, name))

    def short(text):
        return text.replace(store.encode(), b"$STORE").replace(tree.encode(), b"$TREE")

    rows = []
    for directory, directories, files in os.walk(tree):
        for name in directories + files:
            path = os.path.join(directory, name)
            found = os.lstat(path)
            row = {"path": os.path.relpath(path, tree)}
            same = inodes.get((found.st_dev, found.st_ino))
            if same:
                row["of"] = short(same.encode()).decode()
            elif stat.S_ISLNK(found.st_mode):
                row["target"] = short(os.readlink(path).encode()).decode()
            else:
                row["mode"] = oct(stat.S_IMODE(found.st_mode))[2:]
            if not same and stat.S_ISREG(found.st_mode):
                with open(path, "rb") as file:
                    row["sha256"] = hashlib.sha256(short(file.read())).hexdigest()[:16]
            rows.append(row)
    return sorted(rows, key=lambda row: row["path"].encode())


below, output, *wanted = sys.argv[1:]
for case in wanted or CASES:
    roots, view = CASES[case]
    directory = path_of_length(below, case)
    os.makedirs(directory)
    manifest = f"spack:\n  specs: [{', '.join(roots)}]\n  view: {view}\n"
    with open(os.path.join(directory, "spack.yaml"), "w") as file:
        file.write(manifest)
    env = ev.Environment(directory)
    for root in roots:
        env._add_concrete_spec(Spec(root), spack.store.STORE.db.query_one(root, installed=True), new=False)
    env.write(regenerate=False)
    env.regenerate_views()
    place = next(iter(env.views.values())).root
    head = {
        "spack": spack.spack_version,
        "manifest": manifest,
        "roots": [h for h in env.concretized_order],
        "store": store,
        "hash": os.path.basename(os.path.realpath(place)),
        "link": os.readlink(place).replace(directory, "$ENVIRONMENT"),
    }
    with open(os.path.join(output, f"{case}.jsonl"), "w") as file:
        for row in [head, *lines(place)]:
            file.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")
