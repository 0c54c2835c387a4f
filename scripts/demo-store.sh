# shellcheck shell=bash disable=SC2154 # work and output are of demo.sh
# The demo's second part: stowage-sidecar as it starts without configuration, and one of each thing it keeps. Sourced by
# demo.sh, which has `step`, `output` and `work`.

store_log=$work/store.log store_pid="" store_port=""

store_answers() {
    store_port=$(sed -n 's/.*"event":"started".*"port":\([0-9]*\).*/\1/p' "$store_log")
    [ -n "$store_port" ]
}
# The port is the kernel's choice, so that nothing that runs here is in the way.
store_start() {
    "$BIN/stowage-sidecar" --data-dir "$work/store" --listen 127.0.0.1:0 --log-format json 2>"$store_log" &
    store_pid=$!
    wait_until 10 store_answers || { cat "$store_log" && return 1; }
}
store_stop() {
    [ -n "$store_pid" ] || return 0
    kill "$store_pid"
    wait "$store_pid"
    store_pid=""
}
store_kill_and_start() {
    kill -9 "$store_pid"
    wait "$store_pid" || true
    store_start
}

# ask METHOD PATH [CURL ARGUMENT…]: with the token that the server made
ask() {
    local method=$1 path=$2
    shift 2
    curl -sS --fail-with-body -m 20 -X "$method" -H "Authorization: Bearer $(cut -d " " -f 1 "$work/store/token")" "$@" \
        "http://127.0.0.1:$store_port/api/v1$path"
}
# gives WANTED METHOD PATH [CURL ARGUMENT…]: the answer is WANTED
gives() {
    local wanted=$1 got
    shift
    got=$(ask "$@") || { printf '%s\n' "$got" && return 1; }
    [ "$got" = "$wanted" ] || { printf 'got: %s\n' "$got" && return 1; }
}
message_is() {
    local got
    got=$(ask GET /queue/jobs/messages) && printf '%s\n' "$got"
    [[ $got == *"\"message\":\"$1\""* ]]
}
url_of() { ask GET /object_storage/private_presigned/report.txt -o /dev/null -w '%{redirect_url}'; }
same_by_url() { [ "$(curl -sS -f -m 20 "$1")" = "an object" ]; }

demo_store() {
    printf '\nKeys and values, queues, objects and files: stowage-sidecar, started without any configuration.\n\n'
    step "stowage-sidecar answers" store_start
    step "a namespace is made" ask POST /kv/namespaces/settings
    step "a value is put" ask PUT /kv/namespaces/settings/values/learning-rate -d 0.001
    step "a queue is made" ask POST /queue -d '{"name":"jobs"}'
    step "a message is sent" ask POST /queue/jobs/messages -d '{"message":"train epoch 7"}'
    step "an object is stored" ask PUT /objects/private/report.txt -d "an object"
    step "a file is uploaded" ask POST /storage/default/log.txt -F "file=@-" <<<"a line"
    step "it is killed with kill -9, and started again" store_kill_and_start
    step "the value is there" gives 0.001 GET /kv/namespaces/settings/values/learning-rate
    step "the message is received" message_is "train epoch 7"
    step "a presigned URL of the object is asked for" url_of
    step "the object is read with it, without a token" same_by_url "$output"
    step "the file is there" gives "a line" GET /storage/default/log.txt
    say "             memory: stowage-sidecar $(rss_mib "$store_pid") MiB"
    step "it is stopped" store_stop
}
