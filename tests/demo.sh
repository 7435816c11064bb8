#!/bin/sh
# The demo: `demo.sh start` brings up three bots and talks to each, `demo.sh stop` ends all of it.
# TOOLKIT names the toolkit to use; TOKEN_FILE, if set, a file of real tokens, one a line.
set -eu
: "${TOOLKIT:=toolkit}" "${TOKEN_FILE:=}"
fleet=demo/fleet.yaml

start_sandbox() {
    port=0
    [ ! -f demo/sandbox.url ] || port=$(sed 's/.*://' demo/sandbox.url)
    mkdir -p demo
    "$TOOLKIT" sandbox --detach --port "$port" --url-file demo/sandbox.url --pid-file demo/sandbox.pid \
        --log demo/sandbox.log
}

talk_to_each() {
    for bot in alice bob carol; do
        echo
        echo "you to $bot: Hello from $(uname -s)"
        "$TOOLKIT" -f $fleet sandbox say $bot "Hello from $(uname -s)"
    done
}

# What `init` says of a sandbox and of `up` is what follows here by itself.
write_fleet() {
    [ -f $fleet ] || {
        "$TOOLKIT" init demo --keep-in-folder "$@" >/dev/null
        echo "wrote $fleet, the code of its bots and their tokens"
    }
}

start() {
    if [ -n "$TOKEN_FILE" ]; then
        write_fleet --token-file "$TOKEN_FILE"
        "$TOOLKIT" -f $fleet up
        "$TOOLKIT" -f $fleet bot list
        echo; echo "Now write to your bots in Telegram."
    else
        start_sandbox
        write_fleet --endpoint "$(cat demo/sandbox.url)"
        "$TOOLKIT" -f $fleet up
        talk_to_each
        echo
        "$TOOLKIT" -f $fleet bot list
    fi
    cat <<END

What to try next:
  export TOOLKIT_FLEET=$fleet
  $TOOLKIT bot status alice            all that is known of one bot
  $TOOLKIT bot logs -f                 what the bots write
  kill -9 \$(cat demo/state/demo/run/supervisord.pid); $TOOLKIT up
                                       end the supervisor, and have all back
  edit $fleet; $TOOLKIT plan; $TOOLKIT deploy
                                       change the fleet; only what changed is restarted
  make demo-stop                       end all of it
END
}

stop() {
    [ ! -f $fleet ] || "$TOOLKIT" -f $fleet down
    [ ! -f demo/sandbox.pid ] || "$TOOLKIT" sandbox stop --pid-file demo/sandbox.pid
}

case "${1:-}" in
    start | stop) "$1" ;;
    *) echo "usage: demo.sh start|stop" >&2; exit 2 ;;
esac
