# What Spack takes for unused in a database, for random sets of explicit packages, with and without build dependencies.
# Made with Spack 1.2.0.dev0, whose store had the database index.json:  spack python unused.py unused.json
import json, random, sys
import spack.store, spack.deptypes as dt
db = spack.store.STORE.db
random.seed(7)
with db.read_transaction():
    hashes = sorted(k for k, r in db._data.items())
    cases = []
    def ask(explicit):
        for k, r in db._data.items():
            r.explicit = k in explicit
        case = {"explicit": sorted(explicit)}
        for key, types in (("unused", dt.LINK | dt.RUN), ("unused_keeping_build", dt.LINK | dt.RUN | dt.BUILD)):
            case[key] = sorted(s.dag_hash() for s in db.unused_specs(deptype=types))
        cases.append(case)
    ask(set())
    ask(set(hashes))
    for n in range(38):
        ask(set(random.sample(hashes, random.randint(1, max(1, len(hashes)//(1 + n % 4))))))
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
open(sys.argv[1], "w").write(f"[\n{lines}\n]\n")
