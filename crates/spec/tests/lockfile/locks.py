# How `plain.lock` and `including.lock` were made: Spack writes down packages that are installed. Run as
#   spack python lock.py DIRECTORY
import pathlib
import sys

import spack.environment as ev
import spack.store
from spack.spec import Spec

top = pathlib.Path(sys.argv[1])
for name, wanted, more in [
    ("plain", ["zlib", "xz@5:", "bzip2 +shared"], ""),
    ("including", ["zlib", "zstd"], f"  include_concrete: [{top}/plain]\n"),
]:
    directory = top / name
    directory.mkdir(parents=True)
    listed = "".join(f"  - '{spec}'\n" for spec in wanted)
    (directory / "spack.yaml").write_text(f"spack:\n  view: false\n{more}  specs:\n{listed}")
    environment = ev.Environment(directory)
    for text in wanted:
        spec = Spec(text)
        environment._add_concrete_spec(spec, spack.store.STORE.db.query(spec.name)[0], new=False)
    if more:
        environment.included_concrete_envs = [f"{top}/plain"]
        environment.include_concrete_envs()
    environment.write(regenerate=False)
