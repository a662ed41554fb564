#!/bin/sh
# Runs a script whose interpreter has a path too long for a shebang line.
#
# The script names this file in its first line and its own interpreter in the second:
#
#     #!/bin/sh STORE/bin/sbang
#     #!/a/very/long/path/bin/python3 -E
#
# Where `#` does not start a comment, the second line is `//!…`, `--!…` or `<?php #!… ?>`.
# With SBANG_DEBUG set, the command is printed and not run.

fail() {
    printf 'sbang: %s\n' "$1" >&2
    exit 1
}

[ $# -gt 0 ] || fail 'no script given'
script=$1
[ -f "$script" ] || fail "$script: no such script"

# The later of the first two lines that names an interpreter decides, after any blanks that `read` takes off.
command_line=
number=0
while [ "$number" -lt 2 ] && { read -r line || [ -n "$line" ]; }; do
    number=$((number + 1))
    case $line in
        '#!'*) command_line=${line#'#!'} ;;
        '//!'*) command_line=${line#'//!'} ;;
        '--!'*) command_line=${line#'--!'} ;;
        '<?php #!'*)
            command_line=${line#'<?php #!'}
            command_line=${command_line%'?>'}
            ;;
    esac
done <"$script"

# The words of that line are used as they are: no patterns.
set -f
program=
for word in $command_line; do
    case $program,$word in
        ,* | env,*) ;;
        # Past the interpreter, only `/bin/sh STORE/bin/sbang` is of interest: it would come here again.
        *,*/sbang) fail "$script: no interpreter but sbang itself in its first two lines" ;;
        *) break ;;
    esac
    case $program,$word in
        # What env takes before the program it is to run.
        env,-* | env,*=*) ;;
        *) program=${word##*/} ;;
    esac
done

case $program in
    '') fail "$script: no interpreter in its first two lines" ;;
    sbang) fail "$script: no interpreter but sbang itself in its first two lines" ;;
    # They read the first line themselves and would start sbang again; -x has them look for their own.
    perl | perl[0-9]* | ruby | ruby[0-9]*) option=-x ;;
    *) option= ;;
esac

if [ -n "$SBANG_DEBUG" ]; then
    # shellcheck disable=SC2086
    echo $command_line $option "$@"
    exit 0
fi
# shellcheck disable=SC2086
exec $command_line $option "$@"
