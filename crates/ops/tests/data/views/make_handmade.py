"""Records Spack's views of a few hand-made packages: extensions of Python, conflicts, runtimes, links to directories.

    spack -c config:install_tree:root:DIRECTORY/store python make_handmade.py DIRECTORY OUTPUT

DIRECTORY is empty, and its path is 60 bytes long: copies of programs are padded. OUTPUT becomes JSON: `files`, what the store has; `index`, its database; `cases`, the views with their hashes and all that is in them. In all texts the install tree is written as $STORE, the directory of a view's files as $TREE, and an environment as
$ENVIRONMENT.
"""
import json
import os
import stat
import sys

import spack.environment as ev
import spack.store
from spack.spec import Spec

below, output = map(os.path.abspath, sys.argv[1:3])
store = spack.store.STORE.root
assert store == os.path.join(below, "store") and len(below) == 60, store
ARCH = {"platform": "linux", "platform_os": "debian12", "target": "x86_64"}
RUN, LINK, BUILD = ["run"], ["link"], ["build"]
# name, version, what it needs; parameters
PACKAGES = {
    "gcc-runtime": [("12.2.0", [], {}), ("13.1.0", [], {})],
    "python": [("3.11.2", [("gcc-runtime@12.2.0", LINK)], {})],
    "python-venv": [("1.0", [("python", ["build", "run"])], {})],
    "py-pip": [("23.1", [("python", ["build", "run"]), ("python-venv", ["build", "run"])], {"build_system": "python_pip"})],
    "py-six": [("1.16.0", [("python", ["build", "run"]), ("python-venv", ["build", "run"])], {"build_system": "python_pip"})],
    "zlib": [("1.3", [("gcc-runtime@13.1.0", LINK)], {"pic": True, "build_system": "makefile"})],
    "libxml2": [("2.10.3", [("zlib", LINK), ("xz", LINK)], {"build_system": "autotools"})],
    "xz": [("5.4.1", [], {})],
}
EXTERNAL = {"xz"}


def fake_hash(label):
    import base64
    import hashlib

    return base64.b32encode(hashlib.sha1(label.encode()).digest()).decode().lower()


nodes = {}
for name, versions in PACKAGES.items():
    for version, needs, parameters in versions:
        node = {
            "name": name,
            "version": version,
            "arch": ARCH,
            "namespace": "builtin",
            "parameters": {
                "build_system": "generic",
                "cflags": [], "cppflags": [], "cxxflags": [], "fflags": [], "ldflags": [], "ldlibs": [],
                **parameters,
            },
            "package_hash": fake_hash("recipe of " + name) + "aaaaaaaaaaaaaaaaaaaaaaaa====",
            "annotations": {"original_specfile_version": 5},
            "hash": fake_hash(f"{name}@{version}"),
        }
        if name in EXTERNAL:
            node["external"] = {"path": "/usr", "module": None, "extra_attributes": {}}
        edges = []
        for need, types in sorted(needs):
            needed, _, wanted = need.partition("@")
            wanted = wanted or PACKAGES[needed][0][0]
            edges.append(
                {
                    "name": needed,
                    "hash": fake_hash(f"{needed}@{wanted}"),
                    "parameters": {"deptypes": types, "virtuals": []},
                }
            )
        if edges:
            node["dependencies"] = edges
        nodes[f"{name}@{version}"] = node


def spec(label):
    """The spec with everything below it."""
    found, queue = {}, [nodes[label]]
    while queue:
        node = queue.pop(0)
        key = f"{node['name']}@{node['version']}"
        if key in found:
            continue
        found[key] = node
        hashes = [edge["hash"] for edge in node.get("dependencies", [])]
        queue += [other for other in nodes.values() if other["hash"] in hashes]
    return Spec.from_dict({"spec": {"_meta": {"version": 5}, "nodes": list(found.values())}})


specs = {label: spec(label) for label in nodes}
prefix = {label: str(s.prefix) for label, s in specs.items()}
python, venv = prefix["python@3.11.2"], prefix["python-venv@1.0"]
site = "lib/python3.11/site-packages"
FILES = {
    "python@3.11.2": {
        "bin/python3.11": (0o755, f"#!/bin/sh\necho {python}\n"),
        "bin/python3": "python3.11",
        "bin/python": f"{python}/bin/python3.11",
        "lib/python3.11/os.py": (0o644, f"# {python}/lib and {store}/share\n"),
        "lib64": "lib",
        "share/doc/README": (0o444, "python\n"),
    },
    "python-venv@1.0": {
        "bin/python3": f"{python}/bin/python3.11",
        "bin/python": "python3",
        "bin/activate": (0o644, f"VIRTUAL_ENV={venv}\nexport VIRTUAL_ENV # {venv}/x\n"),
        "bin/Activate.ps1": (0o644, f"$here = '{venv}'\n"),
        "pyvenv.cfg": (0o644, f"home = {python}/bin\ncommand = {python}/bin/python3.11 -m venv {venv}\n"),
        "lib64": "lib",
        f"{site}/.keep": (0o644, ""),
    },
    "py-pip@23.1": {
        "bin/pip": (0o755, f"#!{venv}/bin/python3.11\nprint('{venv}', '{python}')\n"),
        "bin/pip3": "pip",
        "bin/data": (0o644, f"#!{venv}/bin/python3.11\n"),
        "bin/other": "../share/doc/LICENSE",
        "bin/tool": (0o755, "\x7fELF no script\n"),
        f"{site}/pip/__init__.py": (0o644, "pip = 1\n"),
        f"{site}/pip/paths.py": (0o644, f"prefix = '{prefix['py-pip@23.1']}'\n"),
        f"{site}/shared/__init__.py": (0o644, ""),
        "share/doc/LICENSE": (0o644, "licence of pip\n"),
    },
    "py-six@1.16.0": {
        f"{site}/six.py": (0o644, "six = 6\n"),
        f"{site}/shared/__init__.py": (0o644, "# another one\n"),
        f"{site}/.spack/hidden": (0o644, "not shown\n"),
        "share/doc/LICENSE": (0o644, "licence of six\n"),
    },
    "zlib@1.3": {
        "lib/libz.so.1.3": (0o755, f"\x7fELF\x00\x00{prefix['zlib@1.3']}/lib/and/more\x00"),
        "lib/libz.so.1": "libz.so.1.3",
        "lib/libz.so": "libz.so.1",
        "lib/libz.a": (0o644, f"!<arch>\n\x00{prefix['zlib@1.3']}/lib\x00"),
        "include/zlib.h": (0o644, "zlib\n"),
        "share": "real/share",
        "real/share/zlib/notes": (0o644, "notes\n"),
        "up/back": "..",
        "up/deep/er/link": "../../deep",
        "dangling": "nowhere",
        "empty/": None,
    },
    "libxml2@2.10.3": {
        "lib/libxml2.so": (0o755, f"\x7fELF {prefix['zlib@1.3']}/lib/libz.so.1\x00"),
        "include/libxml2/zlib.h": f"{prefix['zlib@1.3']}/include/zlib.h",
        # The same file as zlib has it: no conflict, and the file rather than the link is shown.
        "include/zlib.h": f"{prefix['zlib@1.3']}/include/zlib.h",
        # A link to the directory that zlib has: that one is shown.
        "real": f"{prefix['zlib@1.3']}/real",
        "share/doc/README": (0o644, "libxml2\n"),
    },
    "gcc-runtime@12.2.0": {"lib/libgcc_s.so.1": (0o755, "12\n")},
    "gcc-runtime@13.1.0": {"lib/libgcc_s.so.1": (0o755, "13\n"), "lib/new": (0o644, "13\n")},
}
with spack.store.STORE.db.write_transaction():
    for label, s in specs.items():
        if s.name not in EXTERNAL:
            spack.store.STORE.layout.create_install_directory(s)
            for path, what in FILES[label].items():
                path = os.path.join(prefix[label], path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if isinstance(what, str):
                    os.symlink(what, path)
                elif what is not None:
                    with open(path, "w", newline="") as file:
                        file.write(what[1])
                    os.chmod(path, what[0])
    for label, s in specs.items():
        spack.store.STORE.db.add(s, explicit=True)


def entries(top, also=()):
    rows = []
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            found = os.lstat(path)
            row = {"path": os.path.relpath(path, top)}
            same = next((p for p in also if os.path.samestat(os.lstat(p), found)), None) if not stat.S_ISDIR(found.st_mode) else None
            if same:
                row["of"] = same
            elif stat.S_ISLNK(found.st_mode):
                row["target"] = os.readlink(path)
            else:
                row["mode"] = oct(stat.S_IMODE(found.st_mode))[2:]
                if stat.S_ISREG(found.st_mode):
                    with open(path, newline="") as file:
                        row["content"] = file.read()
            rows.append(row)
    return sorted(rows, key=lambda row: row["path"].encode())


CASES = {
    "symlink": (["py-pip", "py-six", "libxml2"], "{default: {root: view}}"),
    "hardlink": (["py-pip", "py-six", "libxml2"], "{default: {root: view, link_type: hardlink}}"),
    "copy": (["py-pip", "py-six", "libxml2"], "{default: {root: view, link_type: copy}}"),
    "order": (["libxml2", "py-six", "py-pip"], "{default: {root: view}}"),
    "no environment": (["python"], "{default: {root: view}}"),
    "projections": (
        ["py-pip", "libxml2"],
        "{default: {root: view, projections: {'^zlib': 'needs zlib/{name}', all: '{name}/{version}/{architecture.target}'}}}",
    ),
    "copied projections": (
        ["py-pip", "libxml2"],
        "{default: {root: view, link_type: copy, projections: {python: py, all: '{name}'}}}",
    ),
    "select": (["py-pip", "libxml2"], "{default: {root: view, select: [zlib, '^python'], exclude: ['py-pip@:22', python-venv]}}"),
    "run": (["py-pip", "libxml2"], "{default: {root: view, link: run}}"),
}
cases = []
for number, (case, (roots, view)) in enumerate(CASES.items()):
    directory = os.path.join(below, f"environment-{number}")
    os.makedirs(directory)
    manifest = f"spack:\n  specs: [{', '.join(roots)}]\n  view: {view}\n"
    with open(os.path.join(directory, "spack.yaml"), "w") as file:
        file.write(manifest)
    env = ev.Environment(directory)
    for root in roots:
        env._add_concrete_spec(Spec(root), next(s for s in specs.values() if s.name == root), new=False)
    env.write(regenerate=False)
    env.regenerate_views()
    place = next(iter(env.views.values())).root
    tree = os.path.realpath(place)
    originals = [os.path.join(d, f) for d, ds, fs in os.walk(store) for f in ds + fs]
    row = {
        "case": case,
        "manifest": manifest,
        "roots": env.concretized_order,
        "hash": os.path.basename(tree),
        "entries": entries(tree, originals),
    }
    text = json.dumps(row, ensure_ascii=False)
    cases.append(json.loads(text.replace(tree, "$TREE").replace(store, "$STORE").replace(directory, "$ENVIRONMENT")))

with open(os.path.join(store, ".spack-db", "index.json")) as file:
    index = json.loads(file.read().replace(store, "$STORE"))
files = [row for row in entries(store) if not row["path"].startswith(".spack-db")]
files = json.loads(json.dumps(files).replace(store, "$STORE"))
with open(output, "w") as file:
    json.dump({"store": store, "files": files, "index": index, "cases": cases}, file, ensure_ascii=False, indent=0)
