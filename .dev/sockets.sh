# SPDX-License-Identifier: Apache-2.0
# Who listens on this machine, read from /proc so that no tool need be installed; sourced by ./dev.
# shellcheck shell=bash

# One line for each listening TCP and each bound UDP socket: "proto hex-address hex-port inode".
listening_sockets() {
    local proto state
    for proto in tcp tcp6 udp udp6; do
        case $proto in tcp*) state=0A ;; *) state=07 ;; esac
        [ -r "/proc/net/$proto" ] || continue
        while read -r _ local_address _ socket_state _ _ _ _ _ inode _; do
            [ "$socket_state" = "$state" ] && echo "$proto ${local_address%:*} ${local_address##*:} $inode"
        done < "/proc/net/$proto"
    done
    return 0
}

# The first process that holds the socket and that we may look into; fails when there is none.
holder_of() { # INODE
    local fd
    fd=$(find /proc/[0-9]*/fd -lname "socket:\[$1\]" -print -quit 2> /dev/null) || true
    [ -n "$fd" ] || return 1
    fd=${fd#/proc/}
    echo "${fd%%/*}"
}

describe_process() { # PID
    local words
    words=$(tr '[:cntrl:]' ' ' < "/proc/$1/cmdline" 2> /dev/null | cut -c 1-120)
    echo "process $1 (${words% })"
}

# Ends the script when a listener already has the port on an address that ADDR:PORT would meet.
refuse_busy_port() { # ADDR:PORT
    local port=${1##*:} hex proto address socket_port inode pid who
    case $port in '' | *[!0-9]*) return 0 ;; esac
    hex=$(printf '%04X' "$((10#$port))")
    while read -r proto address socket_port inode; do
        case $proto in tcp*) ;; *) continue ;; esac
        [ "$socket_port" = "$hex" ] || continue
        addresses_meet "${1%:*}" "$address" || continue
        who="a process of another user, or the kernel itself (its NFS server, say)"
        if pid=$(holder_of "$inode"); then who=$(describe_process "$pid"); fi
        die "port $port is busy: $who listens on it. End that, or choose another: ./dev run -- --nfs 127.0.0.1:PORT"
    done < <(listening_sockets)
}

# Whether a listener on the hexadecimal address of /proc/net stands in the way of a new one on the IPv4 or IPv6 address.
addresses_meet() { # ADDR HEX
    case $1 in 0.0.0.0 | '[::]' | '*' | '') return 0 ;; esac
    case $2 in *[!0]*) ;; *) return 0 ;; esac
    case $1 in *[!0-9.]*) return 0 ;; esac
    local a b c d
    IFS=. read -r a b c d <<< "$1"
    [ "$2" = "$(printf '%02X%02X%02X%02X' "$d" "$c" "$b" "$a")" ]
}

describe_listener() { # "listener PROTO HEX-ADDRESS HEX-PORT"
    local inode pid who=''
    inode=$(inode_of "$1")
    if pid=$(holder_of "$inode"); then who=", $(describe_process "$pid")"; fi
    set -- $1
    echo "a socket that listens on $2 port $((16#$4))$who"
}

inode_of() { # "listener PROTO HEX-ADDRESS HEX-PORT"
    listening_sockets | sed -n "s/^${1#listener } //p" | head -n 1
}

# What a test run may not change: listeners and the services enabled for the next boot, one per line.
machine_state() {
    listening_sockets | sed 's/ [0-9]*$//; s/^/listener /' | sort -u
    find /etc/systemd/system /etc/rc[2-5].d -type l \( -path '*.wants/*' -o -name 'S*' \) 2> /dev/null | sed 's/^/enabled /' | sort
}

# A new listener is ours to answer for unless a process of somebody else, who is not a daemon, holds it: on a shared machine
# other people start servers too. Our own processes carry STRATA_TEST_RUN in their environment.
belongs_to_others() { # "listener PROTO HEX-ADDRESS HEX-PORT"
    local inode pid parent
    inode=$(inode_of "$1")
    [ -n "$inode" ] || return 0 # it has gone in the meantime
    pid=$(holder_of "$inode") || return 1
    if tr '\0' '\n' < "/proc/$pid/environ" 2> /dev/null | grep -q "^STRATA_TEST_RUN=$STRATA_TEST_RUN\$"; then return 1; fi
    parent=$(sed -n 's/^PPid:\t//p' "/proc/$pid/status" 2> /dev/null)
    [ "${parent:-1}" -ne 1 ]
}
