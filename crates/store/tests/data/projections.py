"""What Spack makes of projections: run with `spack python projections.py ROOT > projections.json`.

ROOT is the install tree whose database has the packages. For each set of projections: the path below the root of every
installed package, by its hash, or the error.
"""
import json
import sys

import spack.config
import spack.directory_layout
import spack.store

SETS = [
    {},
    {"all": "{name}-{version}-{hash}"},
    {"all": "{architecture}/{compiler.name}-{compiler.version}/{name}-{version}-{hash}"},
    {"all": "{ARCHITECTURE.PLATFORM}/{Name}/{version}/{hash:7}"},
    {"all": "{name}/{version}-{hash}", "python": "lang/{name}-{version.up_to_2}-{hash}"},
    {"python": "lang/{name}-{hash}", "all": "rest/{name}-{hash}"},
    {"all": "{name}-{hash}", "^zlib": "with-zlib/{^zlib.version}/{name}-{hash}", "ncurses": "n/{name}-{hash}"},
    {"^zlib": "with-zlib/{name}-{hash}", "%gcc": "gcc/{name}-{hash}", "all": "all/{name}-{hash}"},
    {"curl@7:": "c7/{name}{@version}-{hash}", "vim+python": "vp/{name}-{hash}", "all": "x//./{name}-{hash}"},
    {"all": "{name}{variants}-{hash:5}"},
    {"zlib": "only/{name}-{hash}"},
    {"all": "{namespace}/{target.family}/{os}/{name}-{version.underscored}-{hash:32}/"},
]

root = sys.argv[1]
specs = sorted((s for s in spack.store.STORE.db.query_local() if not s.external), key=lambda s: s.dag_hash())
out = []
for projections in SETS:
    for length in (None, 9):
        row = {"projections": list(projections.items()), "hash_length": length}
        try:
            layout = spack.directory_layout.DirectoryLayout(
                "/root", projections=projections or None, hash_length=length
            )
            row["paths"] = {}
            for spec in specs:
                try:
                    row["paths"][spec.dag_hash()] = layout.relative_path_for_spec(spec)
                except Exception as error:
                    row["paths"][spec.dag_hash()] = None
        except spack.directory_layout.InvalidDirectoryLayoutParametersError:
            row["paths"] = None
        out.append(row)
json.dump(out, sys.stdout, indent=1)
print()
