# SPDX-License-Identifier: MIT OR Apache-2.0
# comes.sh: for tests that wait for another program; to be sourced.

# comes COMMAND...: wait until it holds; two minutes are for what never comes.
comes() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || return 1
        sleep 0.1
    done
}
