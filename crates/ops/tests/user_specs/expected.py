# What Spack makes of the manifests beside this file. Run from here:
#   spack python expected.py > expected.json
# With `spack:specs` expanded as `spack concretize` would: the text of each spec, or null where Spack refuses.
import json
import pathlib
import shutil
import sys
import tempfile

import spack.environment as ev

found = {}
for manifest in sorted(pathlib.Path(__file__).parent.glob("*.yaml")):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(manifest, pathlib.Path(directory) / "spack.yaml")
        try:
            found[manifest.stem] = [str(spec) for spec in ev.Environment(directory).user_specs]
        except BaseException as error:
            print(f"{manifest.stem}: {type(error).__name__}: {error}", file=sys.stderr)
            found[manifest.stem] = None
json.dump(found, sys.stdout, indent=1)
print()
