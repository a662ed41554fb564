#!/usr/bin/env python3
"""Writes down what a real Spack says of each tree: expected.json, blame.txt and get.yaml.

    expect.py SPACK_ROOT REPOSITORY [NAME...]

SPACK_ROOT is a Spack that is checked out, REPOSITORY a package repository to start it with (a directory with a repo.yaml); see
README.md. Each tree is copied, on top of base/, into a directory of its own, which becomes the prefix of a Spack: its etc/spack is
the tree's, its lib and share are those of SPACK_ROOT.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PLACEHOLDER = "@TREE@"


def materialize(name, top):
    for source in (os.path.join(HERE, "base"), os.path.join(HERE, name, "tree")):
        if os.path.isdir(source):
            shutil.copytree(source, top, dirs_exist_ok=True)
    for directory in ("user", "system", "home"):
        os.makedirs(os.path.join(top, directory), exist_ok=True)


def environment(case, top):
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": top + "/home",
        "LANG": "C.UTF-8",
        "SPACK_USER_CONFIG_PATH": top + "/user",
        "SPACK_SYSTEM_CONFIG_PATH": top + "/system",
    }
    for key, value in case["variables"].items():
        if value is None:
            del variables[key]
        else:
            variables[key] = value.replace(PLACEHOLDER, top)
    return variables


def machine(root, repository):
    """What of this machine the conditions and the names of the scopes depend on."""
    code = (
        "import json, spack.platforms; h = spack.platforms.host(); "
        "print('machine=' + json.dumps({'platform': str(h), 'os': str(h.default_operating_system()), "
        "'target': str(h.default_target())}))"
    )
    output = run(root, ["python", "-c", code], dict(os.environ), "/")[1]
    return json.loads(re.search("machine=(.*)", output).group(1))


def run(root, arguments, variables, directory):
    command = [sys.executable, os.path.join(root, "bin/spack"), "--color=never", *arguments]
    done = subprocess.run(command, env=variables, cwd=directory, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def with_tabs(blame):
    """Where a line comes from, a tab, the line: columns would depend on how long the names of directories are."""
    lines = blame.splitlines()
    column = lines[0].index("spack:")
    return "".join(f"{line[:column].rstrip()}\t{line[column:]}\n" for line in lines)


def expect(name, spack, repository):
    case = json.load(open(os.path.join(HERE, name, "case.json")))
    with tempfile.TemporaryDirectory() as top:
        top = os.path.realpath(top)
        materialize(name, top)
        root = os.path.join(top, "spack")
        os.makedirs(root + "/lib", exist_ok=True)
        shutil.copytree(spack + "/bin", root + "/bin")
        os.symlink(spack + "/lib/spack", root + "/lib/spack")
        os.symlink(spack + "/share", root + "/share")
        with open(root + "/etc/spack/defaults/repos.yaml", "w") as file:
            file.write(f"repos:\n  builtin: {repository}\n")
        variables = environment(case, top)
        arguments = [argument.replace(PLACEHOLDER, top) for argument in case["arguments"]]

        def ask(*command):
            code, output, error = run(root, [*arguments, *command], variables, top)
            if command == ("config", "blame") and code == 0:
                output = with_tabs(output)
            return code, output.replace(top, PLACEHOLDER), error.replace(top, PLACEHOLDER)

        code, output, error = ask("config", "get", "--json")
        target = os.path.join(HERE, name)
        if code != 0:
            messages = re.findall("^(?:==> Error: )?(.*)$", error.split("==> Error: ", 1)[-1], re.MULTILINE)
            expected = {"error": messages[0]}
        else:
            merged = json.loads(output)["spack"]
            merged.pop("repos", None)
            scopes = ask("config", "scopes", "-v", "-p")[1].splitlines()[1:]
            expected = {"sections": merged, "scopes": [" ".join(line.split()) for line in scopes]}
            for file, command in (("blame.txt", "blame"), ("get.yaml", "get")):
                with open(os.path.join(target, file), "w") as stream:
                    stream.write(ask("config", command)[1])
        with open(os.path.join(target, "expected.json"), "w") as stream:
            json.dump(expected, stream, indent=1)
            stream.write("\n")
        print(name, "error" if code else "ok", flush=True)


def main():
    spack, repository, *names = sys.argv[1:]
    every = sorted(name for name in os.listdir(HERE) if os.path.isfile(os.path.join(HERE, name, "case.json")))
    with open(os.path.join(HERE, "machine.json"), "w") as stream:
        json.dump(machine(spack, repository), stream, indent=1)
        stream.write("\n")
    for name in names or every:
        expect(name, os.path.abspath(spack), os.path.abspath(repository))


main()
