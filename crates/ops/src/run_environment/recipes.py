# Makes `recipes.txt`: `spack python recipes.py DATE > recipes.txt`, DATE being that of the package repository.
#
# A package is listed if any class that its class is derived from has the function, Spack's own `PackageBase` left out: what
# text alone says of one recipe is not enough, since functions are inherited, and assigned from others.
import sys
import textwrap

import spack.repo

repo = spack.repo.PATH.get_repo("builtin")
print("# Packages of Spack's builtin repository (%s) whose classes have setup_run_environment (`run`) or" % sys.argv[1])
print("# setup_dependent_run_environment (`dependent`). Made by `recipes.py`.")
for section in ("run", "dependent"):
    function = "setup_run_environment" if section == "run" else "setup_dependent_run_environment"
    names = []
    for name in sorted(repo.all_package_names()):
        classes = repo.get_pkg_class(name).__mro__
        if any(function in c.__dict__ for c in classes if c.__module__ != "spack.package_base"):
            names.append(name)
    print(section)
    print(textwrap.fill(" ".join(names), 110, break_on_hyphens=False, break_long_words=False))
