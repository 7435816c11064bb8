#!/bin/sh
# A program: says what it was given, tells that it is ready, and ends at SIGTERM.
echo "name=$BOT_NAME type=$BOT_TYPE config=$BOT_CONFIG token=$MY_TOKEN"
echo "to stderr" >&2
trap 'echo bye; exit 5' TERM
python3 - "$1" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.argv[1].encode(), os.environ["NOTIFY_SOCKET"])
PY
while :; do sleep 0.05; done
