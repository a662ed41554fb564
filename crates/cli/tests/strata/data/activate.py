# Made activate.json: `python3 activate.py SPACK STORE DIRECTORY > activate.json`; the directory is made anew.
# What `spack env activate --sh` makes of variables, for environments over the packages of a store.
import json, os, shutil, subprocess, sys
spack, root, scratch = sys.argv[1:4]
db = json.load(open(root + "/.spack-db/index.json"))["database"]["installs"]
by = {db[h]["spec"]["name"]: h for h in db if db[h]["installed"] and (db[h]["path"] or "").startswith(root)}
def lock(names):
    concrete, todo = {}, [by[n] for n in names]
    while todo:
        h = todo.pop()
        if h in concrete: continue
        node = dict(db[h]["spec"]); node["hash"] = h
        concrete[h] = node
        todo += [d["hash"] for d in node.get("dependencies", [])]
    return {"_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
            "roots": [{"hash": by[n], "spec": n} for n in names], "concrete_specs": concrete}
def manifest(names, more): return "spack:\n  specs: [%s]\n%s" % (", ".join(names), more)
VARS = """  env_vars:
    set:
      MINE: it's $HOME "quoted"
      NUMBER: 7
    prepend_path:
      PATH: /own/./tools/
      NEWLIST: /new/one
    append_path:
      PATH: /own/last
    unset: [GONE]
    remove_path:
      OTHERLIST: /a/b
"""
CASES = [
    (["python", "vim", "curl"], "  view: true\n", []),
    (["python", "vim", "curl"], "  view: false\n" + VARS, []),
    (["vim"], "  view: true\n" + VARS, []),
    (["vim", "python"], "  view: true\n", ["-V"]),
    (["curl", "vim"], "  view: views/main\n", []),
    (["python", "curl"], "  view:\n    default:\n      root: views/main\n      projections:\n        python: '{name}-{version}'\n        all: 'all/{name}'\n    other:\n      root: views/other\n      exclude: [openssl]\n      link: roots\n", []),
    (["python", "curl"], "  view:\n    default:\n      root: views/main\n    other:\n      root: views/other\n      projections:\n        all: '{name}/{hash:7}'\n", ["--with-view", "other"]),
]
before = {"PATH": "/usr/bin:/bin", "MANPATH": "/own/man", "OTHERLIST": "/a/b:/c", "GONE": "x"}
out = []
for names, more, args in CASES:
    shutil.rmtree(scratch, ignore_errors=True); os.makedirs(scratch)
    open(scratch + "/spack.yaml", "w").write(manifest(names, more))
    json.dump(lock(names), open(scratch + "/spack.lock", "w"))
    env = dict(before, HOME=os.environ["HOME"], LC_ALL="C")
    code = subprocess.run([spack, "env", "activate", "--sh", *args, "-d", scratch], env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    got = subprocess.run(["sh", "-c", code + "\nexec env -0"], env=env, stdout=subprocess.PIPE, check=True).stdout.decode()
    after = dict(v.split("=", 1) for v in got.split("\0") if v)
    for n in ("PWD", "_", "SHLVL", "HOME", "LC_ALL"): after.pop(n, None)
    # and what Spack's own way out leaves of it
    env = dict(after, HOME=os.environ["HOME"], LC_ALL="C")
    code = subprocess.run([spack, "env", "deactivate", "--sh"], env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    got = subprocess.run(["sh", "-c", code + "\nexec env -0"], env=env, stdout=subprocess.PIPE, check=True).stdout.decode()
    left = dict(v.split("=", 1) for v in got.split("\0") if v)
    for n in ("PWD", "_", "SHLVL", "HOME", "LC_ALL"): left.pop(n, None)
    sub = lambda d: {k: v.replace(scratch, "{env}").replace(root, "{store}") for k, v in d.items()}
    out.append({"roots": names, "manifest": manifest(names, more), "arguments": args, "before": before, "after": sub(after), "left": sub(left)})
    print(names, args, len(after), file=sys.stderr)
json.dump(out, sys.stdout, indent=1, sort_keys=True)
