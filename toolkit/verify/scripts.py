"""What is asked of a host, as shell: lines of what is printed tell of one argument each."""

# What an interpreter has to tell of itself: on a busy machine some seconds.
_PYTHON_S = 20
# A path may have line breaks in it: lines name an argument by its place, which stands before the first |.
_EACH = "i=-1; for f; do i=$((i+1)); "
# Its words for what a file is are those of the host's language: the raw mode tells it.
STAT = _EACH + 'stat -c "$i|%f|%U|%G|%s|%Y" -- "$f" 2>/dev/null; done; true'
# Of token files, which may be links: they are opened by their name.
STAT_OPENED = STAT.replace("stat -c", "stat -Lc")
READ = _EACH + '[ ! -f "$f" ] || [ ! -r "$f" ] || { printf "$i|"; base64 -w0 < "$f"; echo; }; done'
DROP_INS = _EACH + 'for d in "$f".d/*.conf; do [ ! -f "$d" ] || echo "$i|$d"; done; done'
LOGS = (
    _EACH + 'printf "$i|"; stat -c %s -- "$f" "$f".[0-9]* 2>/dev/null'
    " | { s=0; while read n; do s=$((s+n)); done; echo $s; }; done"
)
PROCESS = (
    'for p; do [ -r "/proc/$p/status" ] || continue; u=$(awk "/^Uid:/ {print \\$3}" /proc/$p/status);'
    ' echo "= $p $(id -nu "$u" 2>/dev/null || echo "$u") $(sed "s/.*) //" /proc/$p/stat | cut -d" " -f17)";'
    " cat /proc/$p/status /proc/$p/limits 2>/dev/null;"
    ' [ "$(cat /proc/$p/uid_map 2>&1)" != "$(cat /proc/self/uid_map)" ] || echo "Users: shared"; done; true'
)
REVEALING = (
    _EACH + '[ -f "$f" ] && tail -c 2000000 -- "$f" 2>/dev/null'
    ' | grep -aqE "(^|[^0-9])[0-9]{3,20}:[A-Za-z0-9_-]{30,}" && echo "$i|"; done; true'
)
_WHOLE_LINE = r'"^[[:space:]]*[0-9]{3,20}:[A-Za-z0-9_-]{20,}[[:space:]]*\$"'
SECRETS = (
    _EACH + 'if [ -f "$f" ] && [ -r "$f" ]; then h=no;'
    f' head -c 4096 -- "$f" | grep -aqE {_WHOLE_LINE} && h=yes; echo "$i|$h"; fi; done; true'
)
# Of token files, an empty argument, and folders: the files there that everyone can read, with one of these
# tokens in them. No token becomes an argument, or a variable of another program.
COPIES = (
    't=$(for s; do [ "$s" ] || break; [ -f "$s" ] && [ -r "$s" ] && head -c 4096 -- "$s"; echo; done'
    f' | grep -aE {_WHOLE_LINE} | tr -d "[:blank:]\\r"); [ "$t" ] || exit 0; while [ "$1" ]; do shift; done;'
    ' open() { d=$1; while case "$(stat -c %A -- "$d")" in *[xt]) ;; *) return 1;; esac; do'
    ' [ "$d" != / ] || return 0; d=$(dirname -- "$d"); done; };'
    ' shift; for f; do [ -d "$f" ] && open "$f" || continue;'
    ' find "$f" -maxdepth 1 -type f -perm -o+r -size -4096'
    " -exec grep -laF -f /dev/fd/3 -- {} + 3<<EOF\n$t\nEOF\ndone; true"
)
# Of user:interpreter. Who owns an interpreter, or what it imports, may have it do anything: root runs it with
# no more rights than the bot has, without root's environment and terminal, and waits only so long. A user
# that systemd makes up for a bot may not be there now.
PYTHON = (
    'cd /; code="import sys, toolkit, bot_runner;'
    " print('.'.join(map(str, sys.version_info[:3])), toolkit.__version__)\"; "
    + _EACH
    + 'u=${f%%:*} f=${f#*:}; set -- "$f" -c "$code";'
    ' if [ "$(id -u)" = 0 ]; then id -u -- "$u" >/dev/null 2>&1 || u=nobody;'
    ' [ "$(id -u -- "$u")" = 0 ] || set -- setpriv --reuid="$u" --regid="$(id -g -- "$u")" --init-groups'
    ' --no-new-privs --reset-env -- "$@"; set -- setsid -w "$@"; fi;'
    f' said=$(timeout -k 1 {_PYTHON_S} "$@" 2>&1 </dev/null | timeout {_PYTHON_S} head -c 4096 | tail -n1);'
    ' printf "%s\\n" "$i|$said"; done'
)
SPACE = (
    _EACH + """echo "$i|$(df -Pk "$f" 2>/dev/null | awk 'NR==2 {print $4}')"""
    """ $(df -Pi "$f" 2>/dev/null | awk 'NR==2 {print $4}')"; done"""
)
# Each version of systemd has its own sets; the program knows those of the manager, which came with it.
CALLS = "systemd-analyze --no-pager syscall-filter 2>/dev/null; true"
OF_USER = 'XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" exec systemctl --user "$@"'
HOST = """
echo "now=$(date +%s)"
sed -n 's/^\\(MemTotal\\|MemAvailable\\): *\\([0-9]*\\) kB/\\1=\\2/p' /proc/meminfo
echo "files=$(cat /proc/sys/fs/file-nr | tr '\\t' ' ')"
echo "nr_open=$(cat /proc/sys/fs/nr_open)"
[ ! -d /run/systemd/system ] || echo systemd=yes
command -v timedatectl >/dev/null && timedatectl show -p CanNTP -p NTP -p NTPSynchronized 2>/dev/null
for u in supervisor supervisord; do echo "enabled:$u=$(systemctl is-enabled $u.service 2>/dev/null)"; done
echo "user=$(id -un)"
[ ! -e "/var/lib/systemd/linger/$(id -un)" ] || echo linger=yes
"$@" show --property=DefaultTasksMax 2>/dev/null
true
"""
