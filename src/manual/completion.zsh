#compdef ethercord
# SPDX-License-Identifier: MIT
#
# Completion of ethercord(8) for zsh. Made from the tables that `ethercord --help` is made from.

# Those that have a control socket in the folder that --run-dir names.
_ethercord_instances() {
  local folder=${(Q)opt_args[--run-dir]:-/run/ethercord}
  local -a names
  names=(${~folder}/*.sock(N=:t:r))
  _wanted instances expl 'instance' compadd -a names
}

# Those of /etc/ethercord are offered whichever folder one is in, unless one has begun with a path.
_ethercord_configurations() {
  if [[ $PREFIX == */* ]]; then
    _files -g '*.conf'
    return
  fi
  local -a files
  files=(/etc/ethercord/*.conf(N))
  _alternative 'configurations:configuration:compadd -a files' 'files:file:_files -g "*.conf"'
}

# Bit 1 of the flags is IFF_TAP; a TUN has bit 0.
_ethercord_taps() {
  local -a taps
  local flags
  for flags in /sys/class/net/*/tun_flags(N); do
    [[ $(<$flags) != *[2367abef] ]] || taps+=(${flags:h:t})
  done
  _wanted taps expl 'TAP' compadd -a taps
}

_ethercord_commands() {
  local -a commands
  commands=(
@@commands@@
  )
  _describe -t commands 'command' commands
}

_ethercord() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \
    '(- *)'{-h,--help}'[the list of commands]' \
    '(- *)--version[the version]' \
    '1:command:_ethercord_commands' \
    '*::argument:->arguments'
  [[ $state == arguments ]] || return
  curcontext="${curcontext%:*:*}:ethercord-$words[1]:"
  case $words[1] in
@@arguments@@
  esac
}

_ethercord "$@"
