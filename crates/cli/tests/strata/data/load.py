# Made load.json: `python3 load.py SPACK STORE > load.json`, STORE being the directory of the .spack-db of the Spack that is run.
# What `spack load --sh` gives for every package of a store and for combinations, as variables.
import json, os, subprocess, sys
spack, root = sys.argv[1], sys.argv[2]
db = json.load(open(root + "/.spack-db/index.json"))["database"]["installs"]
def name(h): return db[h]["spec"]["name"]
own = sorted((h for h in db if db[h]["installed"] and db[h]["path"] and db[h]["path"].startswith(root)), key=lambda h: (name(h), h))
by = {name(h): h for h in own}
combos = [[h] for h in own]
for c in (["python","vim"],["vim","python"],["curl","python","vim"],["zlib-ng","curl"],["ncurses","vim"],["perl","curl"] ):
    if all(n in by for n in c): combos.append([by[n] for n in c])
base = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME","/root"), "LC_ALL": "C"}
started = dict(base, MANPATH="/own/man", CMAKE_PREFIX_PATH="/own", PKG_CONFIG_PATH="")
out = []
for env0, cs in ((base, combos), (started, combos[:3] + combos[-2:])):
    for c in cs:
        code = subprocess.run([spack, "load", "--sh"] + ["/" + h for h in c], env=env0, stdout=subprocess.PIPE, check=True, text=True).stdout
        got = subprocess.run(["sh", "-c", code + "\nexec env -0"], env=env0, stdout=subprocess.PIPE, check=True).stdout.decode()
        after = dict(v.split("=", 1) for v in got.split("\0") if v)
        for n in ("PWD", "_", "SHLVL"): after.pop(n, None)
        sub = lambda v: v.replace(root, "{store}")
        out.append({"specs": ["/" + h for h in c], "names": [name(h) for h in c],
          "before": {k: v for k, v in env0.items() if k not in ("HOME","LC_ALL")},
          "after": {k: sub(v) for k, v in after.items() if k not in ("HOME","LC_ALL")}})
        print(c and [name(h) for h in c], len(after), file=sys.stderr)
json.dump(out, sys.stdout, indent=1, sort_keys=True)
