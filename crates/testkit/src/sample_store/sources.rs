//! The sample packages' sources.

/// Header of the library.
pub(super) const GREET_H: &str = "const char *greet_file(void);\nint greet(void);\n";

/// The library: `PREFIX` is compiled in, twice, once as a string that ends right after the prefix.
pub(super) const GREET_C: &str = r#"
#include <stdio.h>
static const char *const prefix = PREFIX;
const char *greet_prefix(void) { return prefix; }
const char *greet_file(void) { return PREFIX "/share/greet/greeting.txt"; }
int greet(void) {
    char line[256];
    FILE *file = fopen(greet_file(), "r");
    if (!file) { perror(greet_file()); return 1; }
    while (fgets(line, sizeof line, file)) fputs(line, stdout);
    fclose(file);
    return 0;
}
"#;

/// The executable.
pub(super) const HELLO_C: &str = "#include <greet.h>\nint main(void) { return greet(); }\n";

/// The interpreter: hands its script to the shell, and says that it did.
pub(super) const RUNNER_C: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    printf("run by runner\n");
    fflush(stdout);
    argv[0] = "sh";
    execv("/bin/sh", argv);
    (void)argc;
    perror("/bin/sh");
    return 1;
}
"#;

/// Enough of an `sbang` for the sample store itself to work: runs the interpreter that line two names.
pub(super) const SBANG: &str = r#"#!/bin/sh
interpreter=$(sed -n '2s/^#!//p' "$1")
exec $interpreter "$@"
"#;
