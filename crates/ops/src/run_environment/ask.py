# Run by `spack python -c`. Reads what images are asked about as JSON from standard input, [{"roots": [[HASH, PREFIX], ...],
# "env": [[NAME, VALUE], ...]}, ...], and prints a line for each as soon as it is known, {"env": ...} or {"error": ...} after a
# mark. If there is no "env" in a question, the answer has the changes themselves, {"changes": [...]}.
KINDS = {
    "SetEnv": "set",
    "SetPath": "set",
    "UnsetEnv": "unset",
    "PrependPath": "prepend",
    "AppendPath": "append",
    "RemoveFirstPath": "remove-first",
    "RemoveLastPath": "remove-last",
    "RemovePath": "remove-all",
    "AppendFlagsEnv": "append-flags",
    "RemoveFlagsEnv": "remove-flags",
    "PruneDuplicatePaths": "prune",
    "DeprioritizeSystemPaths": "system-last",
}


def described(change):
    text = {"variable": change.name, "change": KINDS[type(change).__name__], "separator": change.separator}
    if hasattr(change, "value"):
        text["value"] = change.value
    return text


def answer(question):
    import os

    import spack.store
    import spack.user_environment

    specs = []
    for dag_hash, prefix in question["roots"]:
        found = spack.store.STORE.db.query_by_spec_hash(dag_hash)[1]
        if found is None or not found.installed:
            return {"error": "it has no /%s in %s" % (dag_hash, spack.store.STORE.root)}
        if os.path.realpath(str(found.spec.prefix)) != os.path.realpath(prefix):
            return {"error": "it has /%s in %s, and not in %s" % (dag_hash, found.spec.prefix, prefix)}
        specs.append(found.spec)
    changes = spack.user_environment.environment_modifications_for_specs(*specs)
    if "env" not in question:
        return {"changes": [described(change) for change in changes]}
    env = {name: value for name, value in question["env"]}
    changes.apply_modifications(env)
    return {"env": [[name, value] for name, value in env.items()]}


def main():
    import json
    import sys

    for question in json.loads(sys.stdin.buffer.read().decode("utf-8")):
        try:
            reply = answer(question)
        except (Exception, SystemExit) as error:
            reply = {"error": "%s: %s" % (type(error).__name__, error)}
        print("\n== environment == " + json.dumps(reply), flush=True)


main()
